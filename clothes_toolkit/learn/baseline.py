"""A dataset in, a run folder out: train a method, measure it on test, keep all it depends on."""

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
from clothes_toolkit.edits import new_folder, partial_folder, write_file
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.learn.bridge import (
    hold_out,
    network,
    one_line_errors,
    open_picture,
    pairs_of,
    require_train_and_test,
)
from clothes_toolkit.learn.result import BaselineResult, Run
from clothes_toolkit.learn.spec import (
    PROTOCOLS,
    BaselineSpec,
    divide_settings,
    fitting,
    recipe_of,
    weights_of,
)
from clothes_toolkit.release.manifest import release_checksum

if TYPE_CHECKING:
    import torch

    from arnet.data import PairImages
    from arnet.evaluate import Retrieval
    from arnet.methods.base import Method
    from arnet.train import EpochStats, Trainer

RESULT, SPEC, STATE, HISTORY = "result.json", "spec.json", "state.safetensors", "history.csv"


class Watcher:
    """Hears how a baseline goes; this one keeps silent."""

    def decoding(self, done: int, total: int) -> None:
        """So many images of all are decoded."""

    def step(self, seed: int, epoch: int, epochs: int, done: int, total: int) -> None:
        """So many steps of an epoch are done."""

    def epoch(self, seed: int, epochs: int, stats: EpochStats, accuracy: float | None) -> None:
        """An epoch is over; `accuracy` is Acc@1 where the protocol looked at it."""


def baseline(
    dataset: Dataset,
    spec: BaselineSpec,
    out: Path,
    *,
    resume: bool = False,
    watcher: Watcher | None = None,
) -> BaselineResult:
    """Train and evaluate a method on a dataset and write the run folder `out`.

    The folder is built as `out.partial` and renamed at the end; with `resume` a run that was
    stopped goes on after its last epoch, and one that is complete is only read.

    Raises `ToolkitError` where the dataset, the spec, the machine or the folder will not do, or the
    training fails; what was trained until then stays in `out.partial`.
    """
    network("training a baseline")
    require_train_and_test(dataset)
    if resume and (out / RESULT).exists():
        return _read_result(out)
    if not resume and partial_folder(out).exists():
        raise ToolkitError(
            f"{partial_folder(out)}: a run that was not finished; go on with --resume, or remove it"
        )
    with one_line_errors(), new_folder(out, keep_partial=True) as folder:
        try:
            result = _Session(dataset, spec, folder, watcher or Watcher()).run()
        except BaseException:
            # A run that never trained leaves nothing worth resuming.
            if not any(folder.glob(f"seed-*/{STATE}")) and not any(folder.glob(f"seed-*/{RESULT}")):
                _remove(folder)
            raise
        (folder / SPEC).unlink()
    return result


class _Session:
    """One call of `baseline`: what all its seeds share."""

    def __init__(
        self, dataset: Dataset, spec: BaselineSpec, folder: Path, watcher: Watcher
    ) -> None:
        from arnet.device import choose_device, choose_precision

        if spec.protocol not in PROTOCOLS:
            raise ToolkitError(f"protocol must be {', '.join(PROTOCOLS)}, not '{spec.protocol}'")
        self.dataset, self.spec, self.folder, self.watcher = dataset, spec, folder, watcher
        self.device: torch.device = choose_device(spec.device)
        self.precision = choose_precision(spec.precision, self.device)
        self.options, recipe_settings = divide_settings(spec)
        self.recipe = recipe_of(spec, recipe_settings, len(pairs_of(dataset, "train").sketches))
        self.checksum = release_checksum(dataset)
        self._agree_on_spec()

    def run(self) -> BaselineResult:
        """Train every seed, and write `result.json`."""
        from arnet.evaluate import wilson_interval

        method = self._create(self.spec.seeds[0])
        train, test = self._load(method)
        runs = []
        for seed in self.spec.seeds:
            method = method or self._create(seed)
            runs.append(self._run_seed(seed, method, train, test))
            method = None  # type: ignore[assignment]
        mean = sum(run.accuracy[1] for run in runs) / len(runs)
        result = BaselineResult(
            self._facts(len(test), len(test.photos)),
            runs,
            wilson_interval(mean, len(test)),
            self._environment(),
        )
        _write_json(self.folder / RESULT, result.to_json())
        return result

    def _create(self, seed: int) -> Method:
        import torch

        from arnet.checkpoint import load_method
        from arnet.registry import create_method

        torch.manual_seed(seed)
        if self.spec.init:
            method = load_method(Path(self.spec.init))
            if method.config["method"] != self.spec.method:
                raise ToolkitError(
                    f"{self.spec.init}: a checkpoint of {method.config['method']}, "
                    f"not of {self.spec.method}"
                )
            return method
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
            return Run.from_json(_read_json(folder / RESULT))
        held_out = None
        if self.spec.protocol == "validation":
            train, held_out = hold_out(train, seed)
            held_out = held_out.to(self.device)
        recipe = fitting(self.recipe, len(train), explicit=self.spec.batch_size is not None)
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
            tensors, _ = load_tensors(folder / "best.safetensors")
            method.load_state_dict(tensors)
        run = self._measure(seed, method, test, progress)
        save_method(folder, method)
        _write_json(folder / RESULT, run.to_json())
        for name in (STATE, "best.safetensors"):
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
                    save_tensors(folder / "best.safetensors", trainer.method.state_dict(), {})
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
        config = _read_json(self.folder / f"seed-{self.spec.seeds[0]}" / "config.json")
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

    def _agree_on_spec(self) -> None:
        """Write what this run is, or see that it is what a stopped run was."""
        told = {**dataclasses.asdict(self.spec), "dataset": self.checksum}
        told = json.loads(json.dumps(told))
        path = self.folder / SPEC
        if not path.exists():
            _write_json(path, told)
            return
        before = _read_json(path)
        for key, value in told.items():
            if before.get(key) != value:
                raise ToolkitError(
                    f"{self.folder}: this run was started with {key} {before.get(key)}, not "
                    f"{value}; resume it as it was, or remove it"
                )


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


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    write_file(path, (json.dumps(document, indent=2) + "\n").encode())


def _read_json(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _read_result(out: Path) -> BaselineResult:
    try:
        return BaselineResult.from_json(_read_json(out / RESULT))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolkitError(f"{out / RESULT}: not a baseline's result ({error})") from error


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


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
