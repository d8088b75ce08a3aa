"""`clothes-toolkit validate`."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import click

from clothes_toolkit.cli.common import (
    dataset_argument,
    format_option,
    jobs_option,
    open_dataset,
    plural,
    print_counts,
    print_json,
    progress_bar,
    scheme_option,
)
from clothes_toolkit.cli.lazy import debug_option
from clothes_toolkit.expectations import expectation_named
from clothes_toolkit.fix import FIXABLE
from clothes_toolkit.naming import printable
from clothes_toolkit.report import Finding, Report, Severity
from clothes_toolkit.sarif import to_sarif
from clothes_toolkit.validate import validate

SHOWN_PER_RULE = 5
COLOR = {Severity.ERROR: "red", Severity.WARNING: "yellow"}


@click.command("validate")
@dataset_argument
@click.option(
    "--expect",
    metavar="clothes-v1|FILE.toml",
    help="Expected counts and designers; else those of DATASET/clothes.toml.",
)
@format_option("text", "json", "sarif")
@click.option(
    "--fail-on",
    type=click.Choice([severity.value for severity in Severity]),
    default="error",
    show_default=True,
    help="Lowest severity that makes the dataset unsound.",
)
@click.option("--only", multiple=True, metavar="RULE", help="Run this rule; may be repeated.")
@click.option("--skip", multiple=True, metavar="RULE", help="Leave out a rule; may be repeated.")
@scheme_option
@jobs_option
@debug_option
def command(
    dataset: Path,
    expect: str | None,
    form: str,
    fail_on: str,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    scheme: str,
    jobs: int,
) -> int:
    """Check names, pairs, pixels, splits and counts of DATASET.

    Exits with 0 if it is sound, 1 if there are findings, 2 if it could not be checked.

    \b
    Example:
      clothes-toolkit validate ./Clothes-V1 --expect clothes-v1
    """
    with progress_bar("looking at images") as on_progress:
        report = validate(
            open_dataset(dataset, scheme),
            expect=expectation_named(expect) if expect else None,
            only=only,
            skip=skip,
            fail_on=Severity(fail_on),
            jobs=jobs,
            on_progress=on_progress,
        )
    if form == "json":
        print_json(report.to_json())
    elif form == "sarif":
        print_json(to_sarif(report))
    else:
        _print_text(report)
    return 0 if report.ok else 1


def _print_text(report: Report) -> None:
    print_counts(report.root, report.scheme, report.scheme_chosen, report.counts)
    for (rule, severity), group in groupby(
        sorted(report.findings, key=lambda f: f.accepted is not None),
        key=lambda f: (f.rule, None if f.accepted else f.severity),
    ):
        findings = list(group)
        click.echo()
        if severity is None:
            click.secho(f"accepted {rule} ({len(findings)})", dim=True)
        else:
            click.secho(f"{severity.value} {rule} ({len(findings)})", fg=COLOR[severity], bold=True)
        for finding in findings[:SHOWN_PER_RULE]:
            _print_finding(finding)
        if len(findings) > SHOWN_PER_RULE:
            click.echo(f"  … and {len(findings) - SHOWN_PER_RULE} more (--format json lists all)")
    click.echo()
    repairable = sum(f.rule in FIXABLE and f.accepted is None for f in report.findings)
    if repairable:
        command = f"`clothes-toolkit fix {printable(report.root)}`"
        click.secho(f"{command} repairs what it can of {plural(repairable, 'finding')}", dim=True)
    _print_verdict(report)


def _print_finding(finding: Finding) -> None:
    click.echo(f"  {printable(finding.path)}  {printable(finding.message)}")
    note = finding.accepted or finding.hint
    if note:
        click.secho(f"      {printable(note)}", dim=True)


def _print_verdict(report: Report) -> None:
    errors = len(report.open_findings(Severity.ERROR))
    warnings = len(report.open_findings(Severity.WARNING))
    accepted = len(report.findings) - errors - warnings
    counted = f"{plural(errors, 'error')}, {plural(warnings, 'warning')}"
    if accepted:
        counted += f", {accepted} accepted"
    if report.ok:
        click.secho("sound", fg="green", bold=True, nl=False)
        click.echo(f" ({counted})")
    else:
        click.secho("not sound", fg="red", bold=True, nl=False)
        click.echo(f": {counted}")
