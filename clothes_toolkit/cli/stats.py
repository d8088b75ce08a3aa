"""`clothes-toolkit stats`."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
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
from clothes_toolkit.naming import printable
from clothes_toolkit.stats import Stats, histogram, stats
from clothes_toolkit.stats_page import to_html

SIZES_SHOWN, MATRIX_SHOWN = 5, 40
BARS = " ▁▂▃▄▅▆▇█"


@click.command("stats")
@dataset_argument
@format_option("text", "json", "html")
@scheme_option
@jobs_option
@debug_option
def command(dataset: Path, form: str, scheme: str, jobs: int) -> None:
    """Count what DATASET holds, by split and by designer.

    Who drew which photo, how much ink each designer uses, the sizes of the images.

    \b
    Example:
      clothes-toolkit stats ./Clothes-V1
    """
    with progress_bar("looking at images") as on_progress:
        opened = open_dataset(dataset, scheme)
        found = stats(opened, jobs, on_progress)
    if form == "json":
        print_json(found.to_json())
    elif form == "html":
        click.echo(to_html(opened, found), nl=False)
    else:
        _print_text(found)


def _print_text(found: Stats) -> None:
    print_counts(found.root, found.scheme, found.scheme_chosen, found.counts)
    if found.counts.designers:
        click.echo("\ndesigner  sketches  of the photos              ink, median and spread")
    for designer, sketches in found.counts.designers.items():
        share = found.coverage[designer]
        ink = found.ink.get(designer)
        told = f"{statistics.median(ink):6.2%}  {sparkline(ink)}" if ink else ""
        click.echo(f"{designer:8}  {sketches:8}  {share:6.1%} {_bar(share, 16)}  {told}")
    click.echo("\nsketches per photo")
    most = max(found.sketches_per_photo.values(), default=1)
    for count, photos in found.sketches_per_photo.items():
        click.echo(f"{count:8}  {plural(photos, 'photo'):>12}  {_bar(photos / most, 32)}")
    click.echo("\nsizes")
    for (width, height), images in list(found.sizes.items())[:SIZES_SHOWN]:
        click.echo(f"{width:>4}×{height:<4} {plural(images, 'image')}")
    if len(found.sizes) > SIZES_SHOWN:
        click.echo(f"  … and {len(found.sizes) - SIZES_SHOWN} other sizes")
    if found.counts.designers:
        _print_matrix(found)


def _print_matrix(found: Stats) -> None:
    """Print who drew which photo, where that fits a screen."""
    designers = list(found.counts.designers)
    if len(found.drawn_by) > MATRIX_SHOWN:
        click.echo("\nwho drew which photo: --format html shows it")
        return
    click.echo("\nwho drew which photo")
    width = max(map(len, found.drawn_by))
    click.echo(f"{'':{width}}  {' '.join(designers)}")
    for path, drawn_by in found.drawn_by.items():
        marks = "  ".join("■" if designer in drawn_by else "·" for designer in designers)
        click.echo(f"{printable(path):{width}}  {marks}")


def _bar(share: float, width: int) -> str:
    filled = round(share * width)
    return "█" * filled + "░" * (width - filled)


def sparkline(values: Sequence[float], columns: int = 16) -> str:
    """Return how values spread from 0 to the largest: a bar for each of so many equal ranges."""
    counts = histogram(values, columns, max(values))
    return "".join(BARS[-(-count * (len(BARS) - 1) // max(counts))] for count in counts)
