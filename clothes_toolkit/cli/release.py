"""`clothes-toolkit release`."""

from __future__ import annotations

from pathlib import Path

import click

from clothes_toolkit.cli.changing import may_change
from clothes_toolkit.cli.releasing import (
    carry_out,
    examine_dataset,
    print_release_plan,
    release_options,
)
from clothes_toolkit.naming import printable
from clothes_toolkit.release.places import Place
from clothes_toolkit.release.ritual import Item, Ritual
from clothes_toolkit.release.version import Version


@click.command("release")
@release_options
def command(
    dataset: Path,
    place: Place,
    version: Version,
    baselines: Path | None,
    yes: bool,
    dry_run: bool,
    scheme: str,
    jobs: int,
) -> int:
    """Go through all that a release of DATASET needs, as a checklist, and publish it.

    The steps: validate, duplicates, split, baselines, card and plan, publish. Exits with 1 if one
    fails; then nothing is published.

    \b
    Example:
      clothes-toolkit release ./Clothes-V1 --repo-id ORG/Clothes-V1 --version 1.0.0 --baselines runs
    """
    ritual = Ritual(examine_dataset(dataset, scheme, version, jobs), place, version, baselines)
    passed = [_print_item(item) for item in ritual.items()]
    plan = ritual.plan
    # What was learned of the images is of no more use, and large.
    del ritual
    if plan is None or not all(passed):
        click.secho("not released", fg="red", bold=True, nl=False)
        click.echo(": see what is marked")
        return 1
    click.echo()
    print_release_plan(plan, place)
    if dry_run:
        return 0
    if not plan.is_done and not may_change(f"Publish {version.tag}?", yes):
        return 1
    carry_out(plan, place)
    return 0


def _print_item(item: Item) -> bool:
    """Print a step and return whether it passed."""
    mark, color = ("✓", "green") if item.ok else ("✗", "red")
    click.secho(mark, fg=color, nl=False)
    click.echo(f" {item.name:13}  {printable(item.note)}")
    return item.ok
