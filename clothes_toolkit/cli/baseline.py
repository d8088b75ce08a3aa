"""`clothes-toolkit baseline`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clothes_toolkit.cli.common import (
    FOLDER,
    device_option,
    open_dataset,
    scheme_option,
    settings_option,
)
from clothes_toolkit.cli.lazy import debug_option
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.learn.baseline import baseline
from clothes_toolkit.learn.result import Q_VALUES, BaselineResult
from clothes_toolkit.learn.session import Watcher
from clothes_toolkit.learn.spec import PROTOCOLS, BaselineSpec
from clothes_toolkit.learn.trackers import TRACKERS, TrackingWatcher
from clothes_toolkit.naming import printable

if TYPE_CHECKING:
    from rich.progress import Progress

    from arnet.train import EpochStats


def _seeds(_ctx: click.Context, _param: click.Parameter, text: str) -> tuple[int, ...]:
    try:
        seeds = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"'{text}' is not a list of whole numbers like 0,1,2") from None
    if len(set(seeds)) < len(seeds):
        raise click.BadParameter("a seed is named twice")
    return seeds


def _batch_size(_ctx: click.Context, _param: click.Parameter, text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 2:
        raise click.BadParameter(f"'{text}' is neither auto nor a whole number from 2")
    return int(text)


@click.command("baseline")
@click.argument("dataset", type=FOLDER, default=Path("Clothes-V1"), required=False)
@click.option(
    "--model", "method", required=True, metavar="NAME", help="See clothes-toolkit models."
)
@click.option("--backbone", metavar="TIMM", help="A timm name; the method's own if left out.")
@click.option(
    "--weights",
    metavar="hub|none|FILE",
    default="hub",
    show_default=True,
    help="Where the backbone's weights come from.",
)
@click.option(
    "--recipe",
    type=click.Choice(["strong", "published"]),
    default="strong",
    show_default=True,
    help="How it is trained.",
)
@click.option(
    "--init",
    metavar="CHECKPOINT",
    help="Start from a trained seed, or a .pth file of ARNet's authors.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="The recipe's if left out.")
@click.option(
    "--batch-size",
    callback=_batch_size,
    default="auto",
    show_default=True,
    metavar="N|auto",
    help="Pairs a step; auto is the recipe's, halved until it fits into memory.",
)
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), help="The recipe's if left out.")
@click.option(
    "--seeds",
    callback=_seeds,
    default="0",
    show_default=True,
    metavar="0,1,2",
    help="One run each.",
)
@click.option(
    "--protocol",
    type=click.Choice(PROTOCOLS),
    default="fixed",
    show_default=True,
    help="Which epoch is tested: the last, the best on held-out train photos, the best on test.",
)
@device_option
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    default="auto",
    show_default=True,
    help="Of the training; evaluation is always in fp32.",
)
@click.option(
    "--test-every",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="K",
    help="Note Acc@1 on test every K epochs, for a curve; chooses nothing. 0 is never.",
)
@click.option(
    "--tracker", type=click.Choice(TRACKERS), help="Send every epoch's numbers there, too."
)
@click.option("--out", type=FOLDER, help="The run folder; a new one under ./runs if left out.")
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped; needs --out.")
@settings_option("A setting of the method or the recipe; may be repeated.")
@scheme_option
@debug_option
def command(
    dataset: Path,
    method: str,
    backbone: str | None,
    weights: str,
    recipe: str,
    init: str | None,
    epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    seeds: tuple[int, ...],
    protocol: str,
    device: str,
    precision: str,
    test_every: int,
    tracker: str | None,
    out: Path | None,
    resume: bool,
    settings: dict[str, str],
    scheme: str,
) -> None:
    """Train a method on DATASET and measure it.

    Trains on the train split and measures on the test split. DATASET is ./Clothes-V1 if left out.
    The run folder holds result.json and, for every seed, the
    weights, a model card and the history of the training. With several GPUs start it by torchrun
    or accelerate launch.

    \b
    Example:
      clothes-toolkit baseline ./Clothes-V1 --model arnet-mstr --out runs/arnet-mstr
    """
    if resume and out is None:
        raise click.UsageError("--resume needs --out: the folder of the run to go on with")
    spec = BaselineSpec(
        method, backbone, weights, recipe, init, epochs, batch_size, lr, seeds, protocol, device,
        precision, test_every, settings,
    )  # fmt: skip
    out = out or _new_name(dataset, spec)
    with watcher_for_terminal() if is_first_process() else silence() as watcher:
        if tracker and is_first_process():
            watcher = TrackingWatcher(watcher, tracker, out, asdict(spec))
        try:
            result = baseline(
                open_dataset(dataset, scheme), spec, out, resume=resume, watcher=watcher
            )
        except KeyboardInterrupt:
            raise ToolkitError(
                f"interrupted; go on with the same command, --resume and --out {out}"
            ) from None
    if is_first_process():
        print_result(result)
        click.echo(f"\n{printable(str(out))}")


def is_first_process() -> bool:
    """Whether this process speaks, of those that `torchrun` or `accelerate launch` started."""
    return os.environ.get("RANK", "0") == "0"


def _new_name(dataset: Path, spec: BaselineSpec) -> Path:
    moment = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{dataset.resolve().name}-{spec.method}-{moment}"


def print_result(
    result: BaselineResult, beside: Mapping[str, Mapping[int, float]] | None = None
) -> None:
    """Print a baseline's numbers beside others, Acc@q by q, and beside chance."""
    facts = result.facts
    n_queries, n_gallery = facts["n_queries"], facts["n_gallery"]
    click.secho(
        f"\n{facts['method']}, {facts['backbone']}, recipe {facts['recipe']}, "
        f"protocol {facts['protocol']}",
        bold=True,
    )
    _print_row("", [f"Acc@{q}" for q in Q_VALUES])
    for run in result.runs:
        name = f"seed {run.seed}, epoch {run.epoch_chosen}"
        _print_row(name, [f"{run.accuracy[q]:.2f}" for q in Q_VALUES])
    if result.deviation is not None:
        _print_row("mean", [f"{result.accuracy(q):.2f}" for q in Q_VALUES])
    for name, accuracy in (beside or {}).items():
        _print_row(name, [f"{accuracy[q]:.2f}" for q in Q_VALUES])
    _print_row("chance", [f"{100 * min(1, q / n_gallery):.2f}" for q in Q_VALUES])
    low, high = result.interval
    spread = "" if result.deviation is None else f", sd over seeds {result.deviation:.2f}"
    click.echo(
        f"{n_queries} queries, {n_gallery} photos; "
        f"95 % interval of Acc@1: {low:.1f} to {high:.1f}{spread}"
    )


def _print_row(name: str, cells: list[str]) -> None:
    click.echo(f"  {name:22}" + "".join(f"{cell:>9}" for cell in cells))


def silence() -> nullcontext[Watcher]:
    """Give a watcher that says nothing."""
    return nullcontext(Watcher())


@contextmanager
def watcher_for_terminal() -> Iterator[Watcher]:
    """Give a watcher that draws bars on a terminal, and prints a line an epoch to stderr."""
    if not sys.stderr.isatty():
        yield LineWatcher()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield BarWatcher(bars)


class LineWatcher(Watcher):
    """Prints a line an epoch."""

    def fetching(self, backbone: str) -> None:
        """Print what is waited for."""
        click.echo(f"fetching the weights of {backbone} from the Hub …", err=True)

    def smaller_batch(self, asked: int, fits: int) -> None:
        """Print what is done about it."""
        click.echo(
            f"{asked} pairs a step do not fit into memory; starting again with {fits}", err=True
        )

    def epoch(
        self,
        seed: int,
        epochs: int,
        stats: EpochStats,
        accuracy: float | None,
        tested: float | None,
    ) -> None:
        """Print how the epoch went."""
        seen = "" if accuracy is None else f", Acc@1 {accuracy:.2f}"
        curve = "" if tested is None or tested == accuracy else f", on test {tested:.2f}"
        click.echo(
            f"seed {seed}, epoch {stats.epoch}/{epochs}: loss {stats.loss:.3f}{seen}{curve}, "
            f"{stats.seconds:.0f} s, {stats.views_per_second:.0f} views/s",
            err=True,
        )


class BarWatcher(LineWatcher):
    """Draws what is being done, above it a line an epoch."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, int] = {}

    def decoding(self, done: int, total: int) -> None:
        """Show how far the decoding is."""
        self._show("decoding", done, total)

    def step(self, seed: int, epoch: int, epochs: int, done: int, total: int) -> None:
        """Show how far the seed's training is."""
        self._show(f"training, seed {seed}", (epoch - 1) * total + done, epochs * total)

    def _show(self, name: str, done: int, total: int) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total)
        self._bars.update(self._tasks[name], completed=done, total=total)  # type: ignore[arg-type]
