"""`clothes-toolkit stats`."""

from __future__ import annotations

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
from clothes_toolkit.stats import Stats, stats

SIZES_SHOWN = 5


@click.command("stats")
@dataset_argument
@format_option("text", "json")
@scheme_option
@jobs_option
@debug_option
def command(dataset: Path, form: str, scheme: str, jobs: int) -> None:
    """Count what DATASET holds, by split and by designer.

    \b
    Example:
      clothes-toolkit stats ./Clothes-V1
    """
    with progress_bar("looking at images") as on_progress:
        found = stats(open_dataset(dataset, scheme), jobs, on_progress)
    if form == "json":
        print_json(found.to_json())
    else:
        _print_text(found)


def _print_text(found: Stats) -> None:
    print_counts(found.root, found.scheme, found.scheme_chosen, found.counts)
    if found.counts.designers:
        click.echo("\ndesigner  sketches  of the photos")
    for designer, sketches in found.counts.designers.items():
        click.echo(f"{designer:8}  {sketches:8}  {found.coverage[designer]:13.1%}")
    click.echo("\nsketches per photo")
    for count, photos in found.sketches_per_photo.items():
        click.echo(f"{count:8}  {plural(photos, 'photo')}")
    click.echo("\nsizes")
    for (width, height), images in list(found.sizes.items())[:SIZES_SHOWN]:
        click.echo(f"{width:>4}×{height:<4} {plural(images, 'image')}")
    if len(found.sizes) > SIZES_SHOWN:
        click.echo(f"  … and {len(found.sizes) - SIZES_SHOWN} other sizes")
