"""`clothes-toolkit evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from clothes_toolkit.cli.common import (
    FOLDER,
    dataset_argument,
    device_option,
    format_option,
    open_dataset,
    print_json,
    progress_bar,
    scheme_option,
    settings_option,
)
from clothes_toolkit.cli.lazy import debug_option
from clothes_toolkit.learn.evaluate import evaluate
from clothes_toolkit.learn.result import Q_VALUES


@click.command("evaluate")
@dataset_argument
@click.option(
    "--checkpoint",
    type=FOLDER,
    required=True,
    metavar="DIR|FILE",
    help="A run or a seed of it, or a .pth file of ARNet's authors.",
)
@click.option(
    "--preprocess",
    type=click.Choice(["backbone", "authors"]),
    help="Inputs normalized as the backbone asks, or not at all; the checkpoint's own if left out.",
)
@settings_option("Another setting of the method that fits the same weights; may be repeated.")
@device_option
@format_option("text", "json")
@scheme_option
@debug_option
def command(
    dataset: Path,
    checkpoint: Path,
    preprocess: str | None,
    settings: dict[str, str],
    device: str,
    form: str,
    scheme: str,
) -> None:
    """Measure a checkpoint on the test split of DATASET.

    Loading a checkpoint never runs what is in it: files that hold more than tensors and numbers are
    refused.

    \b
    Example:
      clothes-toolkit evaluate ./Clothes-V1 --checkpoint runs/arnet-mstr
      clothes-toolkit evaluate ./Clothes-V1 --checkpoint runs/mstr/seed-0 --set fusion_weight=0
    """
    with progress_bar("decoding") as on_image:
        found = evaluate(
            open_dataset(dataset, scheme),
            checkpoint,
            preprocess=preprocess,
            settings=settings,
            device=device,
            on_image=on_image,
        )
    if form == "json":
        print_json(found.to_json())
        return
    click.secho(f"{found.method}, {found.backbone}", bold=True)
    for q in Q_VALUES:
        click.echo(f"  Acc@{q:<3} {found.accuracy[q]:6.2f}")
    low, high = found.interval
    click.echo(
        f"{found.n_queries} queries, {found.n_gallery} photos; "
        f"95 % interval of Acc@1: {low:.1f} to {high:.1f}"
    )
