"""Experiment trackers, for who wants one: a watcher that passes every epoch on."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.learn.session import Watcher

if TYPE_CHECKING:
    from arnet.train import EpochStats
    from clothes_toolkit.learn.result import Run

TRACKERS = ("tensorboard", "trackio", "wandb")


class Tracker(Protocol):
    """Where numbers go."""

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Take numbers of one epoch."""

    def close(self) -> None:
        """Take no more."""


class TensorBoardTracker:
    """Event files of one seed, for `tensorboard --logdir`."""

    def __init__(self, folder: Path) -> None:
        writer = _import("torch.utils.tensorboard", "tensorboard").SummaryWriter
        self._writer = writer(str(folder))

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Write scalars."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close the file."""
        self._writer.close()


class RunTracker:
    """A run of trackio or wandb, which share these three calls."""

    def __init__(self, package: str, project: str, name: str, config: Mapping[str, Any]) -> None:
        self._module = _import(package, package)
        self._module.init(project=project, name=name, config=dict(config))

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Pass numbers on."""
        self._module.log(dict(numbers), step=step)

    def close(self) -> None:
        """End the run."""
        self._module.finish()


class TrackingWatcher(Watcher):
    """Passes what it hears to another watcher, and every epoch's numbers to a tracker too.

    Args:
        inner: the other watcher.
        tracker: one of `TRACKERS`.
        out: the run folder; TensorBoard's files go to `tensorboard/` beside it.
        config: what the run is asked to be.

    Raises `ToolkitError` where the tracker is not installed.
    """

    def __init__(self, inner: Watcher, tracker: str, out: Path, config: Mapping[str, Any]) -> None:
        self._inner, self._kind, self._out, self._config = inner, tracker, out, config
        self._open: dict[int, Tracker] = {}
        package = "torch.utils.tensorboard" if tracker == "tensorboard" else tracker
        _import(package, tracker)

    def fetching(self, backbone: str) -> None:
        """Pass it on."""
        self._inner.fetching(backbone)

    def decoding(self, done: int, total: int) -> None:
        """Pass it on."""
        self._inner.decoding(done, total)

    def step(self, seed: int, epoch: int, epochs: int, done: int, total: int) -> None:
        """Pass it on."""
        self._inner.step(seed, epoch, epochs, done, total)

    def smaller_batch(self, asked: int, fits: int) -> None:
        """Pass it on."""
        self._inner.smaller_batch(asked, fits)

    def epoch(
        self,
        seed: int,
        epochs: int,
        stats: EpochStats,
        accuracy: float | None,
        tested: float | None,
    ) -> None:
        """Track the epoch, and pass it on."""
        numbers = {"loss": stats.loss, **stats.terms, "lr": stats.lr}
        looked = {"acc@1": accuracy, "test_acc@1": tested}
        numbers |= {name: value for name, value in looked.items() if value is not None}
        self._tracker(seed).log(numbers, stats.epoch)
        self._inner.epoch(seed, epochs, stats, accuracy, tested)

    def finished(self, seed: int, run: Run) -> None:
        """Track the final numbers, and pass it on."""
        tracker = self._tracker(seed)
        tracker.log({f"final acc@{q}": value for q, value in run.accuracy.items()}, run.epochs)
        tracker.close()
        del self._open[seed]
        self._inner.finished(seed, run)

    def _tracker(self, seed: int) -> Tracker:
        if seed not in self._open:
            name = f"{self._out.name}-seed-{seed}"
            self._open[seed] = (
                TensorBoardTracker(self._out.parent / "tensorboard" / name)
                if self._kind == "tensorboard"
                else RunTracker(self._kind, "clothes-toolkit", name, self._config)
            )
        return self._open[seed]


def _import(package: str, distribution: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise ToolkitError(
            f"--tracker {distribution}: it is not installed; pip install {distribution}"
        ) from error
