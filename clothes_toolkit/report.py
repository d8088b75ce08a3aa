"""What a validation says: findings, and whether they leave the dataset sound."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from clothes_toolkit.dataset import Counts


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, at one path.

    Attributes:
        rule: the rule's name.
        path: relative to the dataset's root, with `/`; `.` for the dataset as a whole.
        message: what is wrong.
        hint: what to do, where there is something to say.
        related: other paths that belong to the fault.
        accepted: the maintainer's reason for letting it stay, or `None`.
    """

    rule: str
    severity: Severity
    path: str
    message: str
    hint: str | None = None
    related: tuple[str, ...] = ()
    accepted: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return {
            "rule": self.rule,
            "severity": self.severity.value,
            "path": self.path,
            "message": self.message,
            "hint": self.hint,
            "related": list(self.related),
            "accepted": self.accepted,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a validation.

    Attributes:
        root: the dataset's folder as it was named.
        scheme: "clothes" or "open"; `scheme_chosen` is false where it was guessed.
        counts: what the dataset holds.
        findings: all of them, accepted ones included, by rule in the rules' order, then by path.
        fail_on: the lowest severity that makes the dataset unsound.
    """

    root: str
    scheme: str
    scheme_chosen: bool
    counts: Counts
    findings: tuple[Finding, ...]
    fail_on: Severity = Severity.ERROR

    def open_findings(self, severity: Severity | None = None) -> tuple[Finding, ...]:
        """Return the findings that are not accepted, of one severity or of all."""
        return tuple(
            finding
            for finding in self.findings
            if finding.accepted is None and severity in (None, finding.severity)
        )

    @property
    def ok(self) -> bool:
        """Whether no open finding is at or above `fail_on`."""
        return not self.open_findings(Severity.ERROR if self.fail_on is Severity.ERROR else None)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values, schema `clothes-toolkit/validate/1`."""
        return {
            "schema": "clothes-toolkit/validate/1",
            "root": self.root,
            "scheme": self.scheme,
            "ok": self.ok,
            "counts": self.counts.to_json(),
            "findings": [finding.to_json() for finding in self.findings],
        }
