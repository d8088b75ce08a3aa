"""`clothes-toolkit undo`."""

from __future__ import annotations

from pathlib import Path

import click

from clothes_toolkit.cli.changing import change_options, may_change
from clothes_toolkit.cli.common import dataset_argument, open_dataset, plural
from clothes_toolkit.cli.lazy import debug_option
from clothes_toolkit.edits.change import last_change, undo
from clothes_toolkit.naming import printable


@click.command("undo")
@dataset_argument
@change_options
@debug_option
def command(dataset: Path, yes: bool, dry_run: bool) -> int:
    """Take back the last change of DATASET.

    What `dedup --apply` and `fix` changed is put back to the byte; called again, the change before
    is taken back. Nothing is taken back if a file was changed since.

    \b
    Example:
      clothes-toolkit undo ./Clothes-V1
    """
    root = open_dataset(dataset, "auto").root
    change = last_change(root)
    if change is None:
        click.echo("there is no change to take back", err=True)
        return 1
    click.secho(f"{change}", bold=True)
    for slot in change.slots:
        where = printable(slot.target or slot.place)
        back = f" → {printable(slot.source)}" if slot.source else "  out of the dataset"
        click.echo(f"  {where}{back}")
    if dry_run:
        return 0
    if not may_change(f"Take back {plural(len(change.slots), 'step')}?", yes):
        return 1
    undo(root)
    click.echo(f"took back change {change.number}", err=True)
    return 0
