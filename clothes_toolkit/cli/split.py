"""`clothes-toolkit split`."""

from __future__ import annotations

from pathlib import Path

import click

from clothes_toolkit.cli.common import (
    FOLDER,
    dataset_argument,
    jobs_option,
    look_at_images,
    plural,
    print_counts,
    scheme_option,
)
from clothes_toolkit.cli.lazy import debug_option
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.naming import printable
from clothes_toolkit.split import DEFAULT_FRACTION, draw_split, read_split, write_split


@click.command("split")
@dataset_argument
@click.option("--out", type=FOLDER, required=True, help="The new folder.")
@click.option("--test-photos", type=click.IntRange(min=1), help="How many test photos.")
@click.option(
    "--test-fraction",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help=f"Or their share of the photos; {DEFAULT_FRACTION} if nothing is said.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, another draw.")
@click.option(
    "--from",
    "go_on_from",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="split.json",
    help="Photos that it names keep their side; new ones are train photos, unless a size is asked "
    "for that they are needed for.",
)
@click.option("--link", is_flag=True, help="Hard links: an edit in one folder reaches the other.")
@scheme_option
@jobs_option
@debug_option
def command(
    dataset: Path,
    out: Path,
    test_photos: int | None,
    test_fraction: float | None,
    seed: int,
    go_on_from: Path | None,
    link: bool,
    scheme: str,
    jobs: int,
) -> int:
    """Split DATASET into train and test without a leak.

    By photo, with all sketches of it; photos that look the same stay on one side. Balanced by
    designer and by sketches a photo. DATASET stays as it is; the new folder has a split.json that
    repeats the split. Exits with 1 if the size could not be reached; the nearest is made then.

    \b
    Example:
      clothes-toolkit split ./Clothes-Pool --out ./Clothes-V1 --test-photos 120
    """
    if test_photos is not None and test_fraction is not None:
        raise click.UsageError("--test-photos and --test-fraction say the same; give one")
    found, images = look_at_images(dataset, scheme, jobs)
    result = draw_split(
        found,
        images,
        seed=seed,
        test_photos=test_photos,
        test_fraction=test_fraction,
        go_on_from=read_split(go_on_from) if go_on_from else None,
    )
    write_split(found, result.split, out, link=link)
    made = Dataset.open(out, found.scheme.value)
    print_counts(str(out), made.scheme.value, True, made.counts())
    _print_designers(made)
    for train, test in result.leaks:
        click.echo(
            f"warning: {printable(train)} in train looks like {printable(test)} in test; "
            "both keep their side",
            err=True,
        )
    if not result.exact:
        click.echo(
            f"warning: {plural(result.wanted, 'test photo')} cannot be had without a leak; "
            f"{len(result.split.test)} is the nearest",
            err=True,
        )
    return int(not result.exact or bool(result.leaks))


def _print_designers(dataset: Dataset) -> None:
    """Print how much of each designer's work is test work."""
    drawn = dataset.counts().designers
    test = dict.fromkeys(drawn, 0)
    for sketch in dataset.sketches:
        test[sketch.designer] += sketch.split == "test"
    shares = (f"{designer} {test[designer] / count:.0%}" for designer, count in drawn.items())
    if drawn:
        click.echo(f"  in test, of each designer's: {', '.join(shares)}")
