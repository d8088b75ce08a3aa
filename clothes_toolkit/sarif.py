"""A report as SARIF 2.1.0, the form in which code hosts show findings."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from clothes_toolkit import __version__
from clothes_toolkit.checks import RULES
from clothes_toolkit.report import Finding, Report


def to_sarif(report: Report) -> dict[str, Any]:
    """Return a report as one SARIF run; accepted findings are suppressed with their reason."""
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "clothes-toolkit",
                        "version": __version__,
                        "rules": [
                            {
                                "id": rule.name,
                                "shortDescription": {"text": rule.summary},
                                "defaultConfiguration": {"level": rule.severity.value},
                            }
                            for rule in RULES
                        ],
                    }
                },
                "results": [_result(finding) for finding in report.findings],
            }
        ],
    }


def _result(finding: Finding) -> dict[str, Any]:
    hint = f" ({finding.hint})" if finding.hint else ""
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": finding.severity.value,
        "message": {"text": finding.message + hint},
        "locations": [_location(finding.path)],
    }
    if finding.related:
        result["relatedLocations"] = [_location(path) for path in finding.related]
    if finding.accepted is not None:
        result["suppressions"] = [{"kind": "external", "justification": finding.accepted}]
    return result


def _location(path: str) -> dict[str, Any]:
    uri = quote(path, safe="/", errors="surrogateescape")
    return {"physicalLocation": {"artifactLocation": {"uri": uri, "uriBaseId": "SRCROOT"}}}
