"""One baseline being trained: every seed, its epochs, its checkpoints, its numbers."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clothes_toolkit.dataset import Dataset
from clothes_toolkit.edits.files import write_file
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.learn.bridge import hold_out, open_picture, pairs_of
from clothes_toolkit.learn.result import BaselineResult, Run
from clothes_toolkit.learn.spec import (
    PROTOCOLS,
    BaselineSpec,
    asks_for_batch,
    divide_settings,
    fitting,
    recipe_of,
    weights_of,
)

if TYPE_CHECKING:
    import torch

    from arnet.data import PairImages
    from arnet.evaluate import Retrieval
    from arnet.methods.base import Method
    from arnet.train import EpochStats, Trainer

RESULT, STATE, BEST, HISTORY = "result.json", "state.safetensors", "best.safetensors", "history.csv"


class Watcher:
    """Hears how a baseline goes; this one keeps silent."""

    def fetching(self, backbone: str) -> None:
        """The backbone's weights are being fetched from the Hub."""

    def decoding(self, done: int, total: int) -> None:
        """So many images of all are decoded."""

    def step(self, seed: int, epoch: int, epochs: int, done: int, total: int) -> None:
        """So many steps of an epoch are done."""

    def epoch(self, seed: int, epochs: int, stats: EpochStats, accuracy: float | None) -> None:
        """An epoch is over; `accuracy` is Acc@1 where the protocol looked at it."""


class Session:
    """One call of `baseline`: what all its seeds share."""

    def __init__(
        self, dataset: Dataset, checksum: str, spec: BaselineSpec, folder: Path, watcher: Watcher
    ) -> None:
        from arnet.device import choose_device, choose_precision

        if spec.protocol not in PROTOCOLS:
            raise ToolkitError(f"protocol must be {', '.join(PROTOCOLS)}, not '{spec.protocol}'")
        self.dataset, self.spec, self.folder, self.watcher = dataset, spec, folder, watcher
        self.device: torch.device = choose_device(spec.device)
        self.precision = choose_precision(spec.precision, self.device)
        self.options, recipe_settings = divide_settings(spec)
        self.recipe = recipe_of(spec, recipe_settings)
        self.checksum = checksum

    def run(self) -> BaselineResult:
        """Train every seed, and write `result.json`."""
        from arnet.evaluate import wilson_interval

        method = self._create(self.spec.seeds[0])
        train, test = self._load(method)
        runs: list[Run] = []
        for seed in self.spec.seeds:
            if runs:
                method = self._create(seed)
            runs.append(self._run_seed(seed, method, train, test))
        mean = sum(run.accuracy[1] for run in runs) / len(runs)
        result = BaselineResult(
            self._facts(len(test), len(test.photos)),
            runs,
            wilson_interval(mean, len(test)),
            self._environment(),
        )
        write_json(self.folder / RESULT, result.to_json())
        return result

    def _create(self, seed: int) -> Method:
        import torch

        from arnet.checkpoint import load_method
        from arnet.registry import create_method, method_info

        torch.manual_seed(seed)
        if self.spec.init:
            method = load_method(Path(self.spec.init))
            found = (method.config["method"], method.config["backbone"]["name"])
            asked = (self.spec.method, self.spec.backbone or found[1])
            if found != asked:
                raise ToolkitError(
                    f"{self.spec.init}: a checkpoint of {' on '.join(found)}, "
                    f"not of {' on '.join(asked)}"
                )
            return method
        if self.spec.weights == "hub":
            self.watcher.fetching(self.spec.backbone or method_info(self.spec.method).backbone)
        return create_method(
            self.spec.method, self.spec.backbone, weights_of(self.spec.weights), **self.options
        )

    def _load(self, method: Method) -> tuple[PairImages, PairImages]:
        from arnet.data import load_pairs

        train, test = (pairs_of(self.dataset, split) for split in ("train", "test"))
        total = sum(len(pairs.sketches) + len(pairs.photos) for pairs in (train, test))
        done = iter(range(1, total + 1))

        def on_image() -> None:
            self.watcher.decoding(next(done), total)

        images = [load_pairs(p, method.size, open_picture, on_image) for p in (train, test)]
        return images[0], images[1].to(self.device)

    def _run_seed(self, seed: int, method: Method, train: PairImages, test: PairImages) -> Run:
        from arnet.checkpoint import load_tensors, save_method
        from arnet.train import Trainer

        folder = self.folder / f"seed-{seed}"
        folder.mkdir(exist_ok=True)
        if (folder / RESULT).exists():
            return Run.from_json(read_json(folder / RESULT))
        held_out = None
        if self.spec.protocol == "validation":
            train, held_out = hold_out(train, seed)
            held_out = held_out.to(self.device)
        recipe = fitting(self.recipe, len(train), explicit=asks_for_batch(self.spec))
        trainer = Trainer(
            method, train, recipe, seed=seed, device=self.device, precision=self.precision
        )
        looked_at = {"fixed": None, "validation": held_out, "best-on-test": test}
        progress = _Progress()
        if (folder / STATE).exists():
            state, told = load_tensors(folder / STATE)
            progress = _Progress(**told)
            trainer.restore(state, len(progress.history))
        self._train(trainer, progress, looked_at[self.spec.protocol], folder)
        if progress.best_epoch:
            tensors, _ = load_tensors(folder / BEST)
            method.load_state_dict(tensors)
        run = self._measure(seed, method, test, progress)
        save_method(folder, method)
        write_json(folder / RESULT, run.to_json())
        for name in (STATE, BEST):
            (folder / name).unlink(missing_ok=True)
        return run

    def _train(
        self, trainer: Trainer, progress: _Progress, looked_at: PairImages | None, folder: Path
    ) -> None:
        from arnet.checkpoint import save_tensors
        from arnet.evaluate import evaluate

        seed, epochs = trainer.seed, self.recipe.epochs
        while trainer.epoch < epochs:
            epoch = trainer.epoch + 1
            stats = trainer.train_epoch(
                lambda done, total, now=epoch: self.watcher.step(seed, now, epochs, done, total)  # type: ignore[misc]
            )
            accuracy = None
            if looked_at is not None:
                accuracy = evaluate(trainer.method, looked_at).accuracy(1)
                if accuracy > progress.best_accuracy:
                    progress.best_epoch, progress.best_accuracy = epoch, accuracy
                    save_tensors(folder / BEST, trainer.method.state_dict(), {})
            progress.history.append(_row(stats, accuracy))
            write_file(folder / HISTORY, _csv(progress.history))
            save_tensors(folder / STATE, trainer.state(), dataclasses.asdict(progress))
            self.watcher.epoch(seed, epochs, stats, accuracy)

    def _measure(self, seed: int, method: Method, test: PairImages, progress: _Progress) -> Run:
        from arnet.evaluate import Q_VALUES, evaluate

        found: Retrieval = evaluate(method, test)
        seconds = sum(row["seconds"] for row in progress.history)
        views = sum(row["seconds"] * row["views_per_second"] for row in progress.history)
        best = (progress.best_epoch, progress.best_accuracy)
        return Run(
            seed,
            len(progress.history),
            progress.best_epoch or len(progress.history),
            {q: found.accuracy(q) for q in Q_VALUES},
            best if self.spec.protocol == "best-on-test" else None,
            seconds,
            views / seconds,
        )

    def _facts(self, n_queries: int, n_gallery: int) -> dict[str, Any]:
        counts = self.dataset.counts().splits
        config = read_json(self.folder / f"seed-{self.spec.seeds[0]}" / "config.json")
        weights = self.spec.weights
        return {
            "method": config["method"],
            "backbone": config["backbone"]["name"],
            "weights": weights if weights in ("hub", "none") else Path(weights).name,
            "recipe": self.recipe.name,
            "protocol": self.spec.protocol,
            "settings": dict(self.spec.settings),
            "init": self.spec.init,
            "dataset": {
                "name": self.dataset.root.resolve().name,
                "sha256": self.checksum,
                **{
                    split: {"photos": photos, "sketches": sketches}
                    for split, (photos, sketches) in counts.items()
                },
            },
            "n_queries": n_queries,
            "n_gallery": n_gallery,
        }

    def _environment(self) -> dict[str, Any]:
        import torch

        name = torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu"
        return {
            "torch": torch.__version__,
            "timm": version("timm"),
            "device": name,
            "precision": self.precision,
            "threads": torch.get_num_threads(),
            "commit": _commit(),
        }


@dataclass
class _Progress:
    """How far a seed has come; kept beside the trainer's tensors."""

    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    best_accuracy: float = -1.0


def _row(stats: EpochStats, accuracy: float | None) -> dict[str, Any]:
    return {
        "epoch": stats.epoch,
        "loss": stats.loss,
        **stats.terms,
        "lr": stats.lr,
        "seconds": stats.seconds,
        "views_per_second": stats.views_per_second,
        "acc@1": accuracy,
    }


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


def _commit() -> str | None:
    """Return the toolkit's commit where it runs from a checkout of its own."""
    here = Path(__file__)
    answers = []
    # An installed copy may lie inside somebody else's repository, which does not track it.
    for question in (["ls-files", "--error-unmatch", here.name], ["rev-parse", "HEAD"]):
        try:
            found = subprocess.run(  # noqa: S603
                ["git", *question],  # noqa: S607
                cwd=here.parent,
                capture_output=True,
                text=True,
                check=True,
                timeout=10,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        answers.append(found.stdout.strip())
    return answers[-1]
