"""`clothes-toolkit fix`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from clothes_toolkit.cli.changing import change_options, make_change, may_change, print_plan
from clothes_toolkit.cli.common import (
    dataset_argument,
    format_option,
    jobs_option,
    look_at_images,
    plural,
    print_json,
    print_noted,
    scheme_option,
)
from clothes_toolkit.cli.lazy import debug_option
from clothes_toolkit.fix import FIXABLE, Repair, find_repairs, fixable_findings, plan_of


@click.command("fix")
@dataset_argument
@click.option(
    "--rule",
    "rules",
    multiple=True,
    type=click.Choice(list(FIXABLE)),
    help="Repair the findings of this rule; may be repeated. All if left out.",
)
@change_options
@format_option("text", "json")
@scheme_option
@jobs_option
@debug_option
def command(
    dataset: Path,
    rules: tuple[str, ...],
    yes: bool,
    dry_run: bool,
    form: str,
    scheme: str,
    jobs: int,
) -> int:
    """Repair what can safely be repaired in DATASET.

    Names, sides, formats, transparency and trailing bytes; pixels stay as they are seen. Asks rule
    by rule. Originals go to quarantine under .clothes/, and `undo` takes everything back.

    Exits with 1 if something was left that could have been repaired.

    \b
    Example:
      clothes-toolkit fix ./Clothes-V1 --rule name-case --dry-run
    """
    found, images = look_at_images(dataset, scheme, jobs)
    findings = fixable_findings(found, images, rules or FIXABLE)
    repairs = find_repairs(found, images, findings)
    if form == "text":
        _print_text(repairs)
    chosen = repairs
    applied = False
    if plan_of(repairs).steps and not dry_run:
        if not yes and form == "text":
            refused = _refused(repairs)
            kept = {path: names for path, rules_ in findings.items() if (names := rules_ - refused)}
            chosen = find_repairs(found, images, kept)
            applied = bool(plan_of(chosen).steps)
        else:
            applied = may_change(f"Repair {plural(len(repairs), 'file')}?", yes)
        if applied:
            make_change(found.root, plan_of(chosen))
    if form == "json":
        print_json(
            {
                "schema": "clothes-toolkit/fix/1",
                "root": str(found.root),
                "applied": applied,
                "repairs": [repair.to_json() for repair in repairs],
            }
        )
    done = {repair.path for repair in chosen if repair.step and (applied or dry_run)}
    return int(any(repair.path not in done for repair in repairs) or chosen != repairs)


def _refused(repairs: list[Repair]) -> set[str]:
    """Ask rule by rule and return those that are not to be repaired."""
    counts = Counter(rule for repair in repairs if repair.step for rule in repair.rules)
    return {
        rule
        for rule in FIXABLE
        if counts[rule]
        and not may_change(f"{rule}: {FIXABLE[rule]} ({plural(counts[rule], 'file')})?", False)
    }


def _print_text(repairs: list[Repair]) -> None:
    plan = plan_of(repairs)
    if not repairs:
        click.echo("nothing to repair")
    if plan.steps:
        click.secho("plan", bold=True)
        print_plan(plan, to_stderr=False)
    left = [repair for repair in repairs if repair.step is None]
    if left:
        click.secho("left as they are", bold=True)
    for repair in left:
        print_noted(repair.path, f"{', '.join(repair.rules)}: {repair.obstacle}")
