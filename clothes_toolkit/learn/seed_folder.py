"""The files of one seed of a run: its history, what a resume needs, and what stays at the end."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clothes_toolkit.edits.files import write_file
from clothes_toolkit.learn.result import Run

if TYPE_CHECKING:
    from arnet.methods.base import Method
    from arnet.train import EpochStats, Trainer

RESULT, STATE, BEST, HISTORY = "result.json", "state.safetensors", "best.safetensors", "history.csv"


@dataclass
class Progress:
    """How far a seed has come; kept beside the trainer's tensors.

    Attributes:
        history: a row an epoch.
        batch_size: pairs a step, which may be smaller than was asked for where memory is short.
        best_epoch, best_accuracy: by the protocol, where it looks.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    batch_size: int = 0
    best_epoch: int = 0
    best_accuracy: float = -1.0

    def add(self, stats: EpochStats, looked_at: float | None, tested: float | None) -> bool:
        """Add an epoch; return whether it is the best so far where the protocol looked."""
        self.history.append(
            {
                "epoch": stats.epoch,
                "loss": stats.loss,
                **stats.terms,
                "lr": stats.lr,
                "seconds": stats.seconds,
                "views_per_second": stats.views_per_second,
                "acc@1": looked_at,
                "test_acc@1": tested,
            }
        )
        if looked_at is None or looked_at <= self.best_accuracy:
            return False
        self.best_epoch, self.best_accuracy = stats.epoch, looked_at
        return True


class SeedFolder:
    """A folder `seed-N` of a run; of several processes only the first one `writes`."""

    def __init__(self, path: Path, *, writes: bool) -> None:
        self.path, self.writes = path, writes
        if writes:
            path.mkdir(exist_ok=True)

    def finished(self) -> Run | None:
        """Return the seed's numbers, if it is complete."""
        path = self.path / RESULT
        return Run.from_json(read_json(path)) if path.exists() else None

    def progress(self) -> Progress:
        """Return how far the seed has come."""
        from arnet.checkpoint import load_tensors

        if not (self.path / STATE).exists():
            return Progress()
        return Progress(**load_tensors(self.path / STATE)[1])

    def restore(self, trainer: Trainer, progress: Progress) -> None:
        """Let a trainer go on from where the seed was left, if it was."""
        from arnet.checkpoint import load_tensors

        if progress.history:
            trainer.restore(load_tensors(self.path / STATE)[0], len(progress.history))

    def keep_best(self, method: Method) -> None:
        """Keep the weights that the protocol likes best so far."""
        from arnet.checkpoint import save_tensors

        if self.writes:
            save_tensors(self.path / BEST, method.state_dict(), {})

    def load_best(self, method: Method) -> None:
        """Load what `keep_best` kept."""
        from arnet.checkpoint import load_tensors

        method.load_state_dict(load_tensors(self.path / BEST)[0])

    def keep(self, trainer: Trainer, progress: Progress) -> None:
        """Keep all that a resume needs; the state last, since it is what a resume believes."""
        from arnet.checkpoint import save_tensors

        if self.writes:
            write_file(self.path / HISTORY, _csv(progress.history))
            save_tensors(self.path / STATE, trainer.state(), dataclasses.asdict(progress))

    def finish(self, method: Method, run: Run) -> None:
        """Write the network and its numbers, and remove what only a resume needs."""
        from arnet.checkpoint import save_method

        if self.writes:
            save_method(self.path, method)
            write_json(self.path / RESULT, run.to_json())
            for name in (STATE, BEST):
                (self.path / name).unlink(missing_ok=True)


def _csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document, whole or not at all."""
    write_file(path, (json.dumps(document, indent=2) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON document; raises `OSError` or `ValueError`."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document
