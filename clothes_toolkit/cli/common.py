"""What the commands share: the dataset argument, its options, output, progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from clothes_toolkit.dataset import Counts, Dataset
from clothes_toolkit.edits.change import recover
from clothes_toolkit.images import ImageFacts
from clothes_toolkit.inspection import inspect_images, usable_cores
from clothes_toolkit.naming import printable

Function = TypeVar("Function", bound=Callable[..., Any])

FOLDER = click.Path(path_type=Path)

dataset_argument = click.argument("dataset", type=FOLDER)
scheme_option = click.option(
    "--scheme",
    type=click.Choice(["auto", "clothes", "open"]),
    default="auto",
    show_default=True,
    help="How files are named; auto looks.",
)
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where it runs.",
)
jobs_option = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=usable_cores,
    show_default="all cores",
    help="Processes to decode images in.",
)


def open_dataset(root: Path, scheme: str) -> Dataset:
    """Open a dataset, after finishing a change of it that a crash left halfway."""
    if root.is_dir():
        for line in recover(root):
            click.echo(printable(line), err=True)
    return Dataset.open(root, scheme)


def look_at_images(root: Path, scheme: str, jobs: int) -> tuple[Dataset, dict[str, ImageFacts]]:
    """Open a dataset and look at all its images, with a bar."""
    with progress_bar("looking at images") as on_progress:
        dataset = open_dataset(root, scheme)
        return dataset, inspect_images(dataset, jobs, on_progress)


def format_option(*formats: str) -> Callable[[Function], Function]:
    """Add --format with the first of `formats` as its default."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="Form of the output.",
    )


def settings_option(told: str) -> Callable[[Function], Function]:
    """Add --set KEY=VALUE, which may be repeated."""
    return click.option(
        "--set", "settings", multiple=True, callback=_settings, metavar="KEY=VALUE", help=told
    )


def _settings(
    _ctx: click.Context, _param: click.Parameter, pairs: tuple[str, ...]
) -> dict[str, str]:
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"'{pair}' is not KEY=VALUE")
        settings[key] = value
    return settings


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document and nothing else."""
    click.echo(json.dumps(document, indent=2))


def print_noted(what: str, note: str, *, to_stderr: bool = False) -> None:
    """Print a line of a list and, dimmed, what is to be said of it."""
    click.echo(f"  {printable(what)}", nl=False, err=to_stderr)
    click.secho(f"  {printable(note)}", dim=True, err=to_stderr)


def plural(count: int, noun: str) -> str:
    """Return a count with its noun; a sketch becomes sketches."""
    ending = "" if count == 1 else "es" if noun.endswith("h") else "s"
    return f"{count} {noun}{ending}"


def print_counts(root: str, scheme: str, chosen: bool, counts: Counts) -> None:
    """Print what a dataset holds, in a line and one more a split."""
    how = "" if chosen else ", guessed"
    click.secho(f"{printable(root)}", bold=True, nl=False)
    click.echo(f"  (scheme {scheme}{how})")
    click.echo(
        f"  {plural(counts.photos, 'photo')}, {plural(counts.sketches, 'sketch')}, "
        f"{plural(counts.pairs, 'pair')}, {plural(len(counts.designers), 'designer')}"
    )
    for split, (photos, sketches) in counts.splits.items():
        click.echo(f"  {split:5}  {plural(photos, 'photo')}, {plural(sketches, 'sketch')}")


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Give a callback (done, total) that draws a bar on a terminal and does nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
