"""`clothes-toolkit import`."""

from __future__ import annotations

from pathlib import Path

import click

from clothes_toolkit.cli.common import FOLDER, plural, print_counts, print_noted, progress_bar
from clothes_toolkit.cli.lazy import debug_option
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.sources.imports import KINDS, import_dataset

SHOWN = 20


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--out", type=FOLDER, required=True, help="The new folder.")
@click.option(
    "--from",
    "kind",
    type=click.Choice(["auto", *KINDS]),
    default="auto",
    show_default=True,
    help="The shape of SOURCE; auto looks.",
)
@debug_option
def command(source: Path, out: Path, kind: str) -> int:
    """Turn SOURCE, a folder or zip file of another shape, into a dataset.

    qmul: photo/ with a NAME_Coordinate file, or trainA … testB with sketches STEM_1.png.
    sketchy: photo/ and sketch/ by category. flat: one folder with STEM.jpg and STEM_1.png.
    SOURCE stays as it is. Exits with 1 if items were left out.

    \b
    Example:
      clothes-toolkit import ./ShoeV2.zip --out ./ShoeV2
    """
    with progress_bar("writing images") as on_progress:
        found = import_dataset(source, out, kind, on_progress)
    made = Dataset.open(out)
    print_counts(str(out), made.scheme.value, made.chosen, made.counts())
    if found.left_out:
        click.secho(f"\nleft out ({len(found.left_out)})", bold=True)
    for item in found.left_out[:SHOWN]:
        print_noted(item.path, item.reason)
    if len(found.left_out) > SHOWN:
        click.echo(f"  … and {plural(len(found.left_out) - SHOWN, 'other')}")
    return int(bool(found.left_out))
