"""One baseline being trained: every seed, its epochs, its checkpoints, its numbers."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clothes_toolkit.dataset import Dataset
from clothes_toolkit.edits.files import write_file
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.learn.bridge import fits_ink, hold_out, load_images_for, pairs_of
from clothes_toolkit.learn.model_card import CARD, model_card
from clothes_toolkit.learn.result import BaselineResult, Run
from clothes_toolkit.learn.seed_folder import RESULT, Progress, SeedFolder, write_json
from clothes_toolkit.learn.spec import (
    OF_BACKBONE,
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
    from arnet.methods.base import Method
    from arnet.recipes import Recipe
    from arnet.train import EpochStats, Trainer


class Watcher:
    """Hears how a baseline goes; this one keeps silent."""

    def fetching(self, backbone: str) -> None:
        """The backbone's weights are being fetched from the Hub."""

    def decoding(self, done: int, total: int) -> None:
        """So many images of all are decoded."""

    def step(self, seed: int, epoch: int, epochs: int, done: int, total: int) -> None:
        """So many steps of an epoch are done."""

    def epoch(
        self,
        seed: int,
        epochs: int,
        stats: EpochStats,
        accuracy: float | None,
        tested: float | None,
    ) -> None:
        """An epoch is over.

        `accuracy` is Acc@1 where the protocol looked at it, `tested` that on test where a curve was
        asked for.
        """

    def smaller_batch(self, asked: int, fits: int) -> None:
        """A batch did not fit into memory; the seed starts again with a smaller one."""

    def finished(self, seed: int, run: Run) -> None:
        """A seed is complete."""


class Session:
    """One call of `baseline`: what all its seeds share."""

    def __init__(
        self, dataset: Dataset, checksum: str, spec: BaselineSpec, folder: Path, watcher: Watcher
    ) -> None:
        from arnet.device import choose_device, choose_precision
        from arnet.distributed import rank

        if spec.protocol not in PROTOCOLS:
            raise ToolkitError(f"protocol must be {', '.join(PROTOCOLS)}, not '{spec.protocol}'")
        self.dataset, self.spec, self.folder, self.watcher = dataset, spec, folder, watcher
        self.device: torch.device = choose_device(spec.device)
        self.precision = choose_precision(spec.precision, self.device)
        self.settings, recipe_settings = divide_settings(spec)
        self.recipe = recipe_of(spec, recipe_settings)
        self.checksum, self.writes = checksum, rank() == 0

    def run(self) -> BaselineResult:
        """Train every seed, and write `result.json`."""
        method = self._create(self.spec.seeds[0])
        config = method.config
        train, test = self._load(method)
        runs = [
            self._run_seed(seed, method if not place else None, train, test)
            for place, seed in enumerate(self.spec.seeds)
        ]
        result = self._result(config, runs, test)
        if self.writes:
            write_json(self.folder / RESULT, result.to_json())
            for seed, run in zip(self.spec.seeds, runs, strict=True):
                card = model_card(result, run, config)
                write_file(self.folder / f"seed-{seed}" / CARD, card.encode())
        return result

    def _create(self, seed: int) -> Method:
        import torch

        from arnet.options import option_names
        from arnet.registry import create_method, method_info

        torch.manual_seed(seed)
        if self.spec.init:
            return self._start_from(Path(self.spec.init))
        if self.spec.weights == "hub":
            self.watcher.fetching(self.spec.backbone or method_info(self.spec.method).backbone)
        known = {*option_names(method_info(self.spec.method).options), *OF_BACKBONE}
        settings: dict[str, Any] = {k: v for k, v in self.recipe.method.items() if k in known}
        if self.recipe.grad_checkpointing:
            settings.pop("thin_blank", None)
        settings |= self.settings
        settings["fit_ink"] = self._fits_ink()
        return create_method(
            self.spec.method, self.spec.backbone, weights_of(self.spec.weights), **settings
        )

    def _start_from(self, checkpoint: Path) -> Method:
        from arnet.checkpoint import load_checkpoint
        from arnet.registry import changed_method

        method = load_checkpoint(checkpoint)
        found = (method.config["method"], method.config["backbone"]["name"])
        asked = (self.spec.method, self.spec.backbone or found[1])
        if found != asked:
            raise ToolkitError(
                f"{checkpoint}: a checkpoint of {' on '.join(found)}, not of {' on '.join(asked)}"
            )
        fits = self._fits_ink() if "fit_ink" in self.spec.settings else None
        return changed_method(method, fit_ink=fits, **self.settings)

    def _fits_ink(self) -> bool:
        return fits_ink(self.recipe, pairs_of(self.dataset, "train"))

    def _load(self, method: Method) -> tuple[PairImages, PairImages]:
        train, test = (pairs_of(self.dataset, split) for split in ("train", "test"))
        total = sum(len(pairs.sketches) + len(pairs.photos) for pairs in (train, test))
        done = iter(range(1, total + 1))

        def on_image() -> None:
            self.watcher.decoding(next(done), total)

        images = [load_images_for(method, pairs, on_image) for pairs in (train, test)]
        return images[0], images[1].to(self.device)

    def _run_seed(
        self, seed: int, method: Method | None, train: PairImages, test: PairImages
    ) -> Run:
        from arnet.distributed import wait_for_all
        from arnet.errors import BatchTooLargeError

        files = SeedFolder(self.folder / f"seed-{seed}", writes=self.writes)
        if run := files.finished():
            return run
        held_out = None
        if self.spec.protocol == "validation":
            train, held_out = hold_out(train, seed)
            held_out = held_out.to(self.device)
        progress = files.progress()
        recipe = fitting(self.recipe, len(train), explicit=asks_for_batch(self.spec))
        if progress.batch_size:
            recipe = replace(recipe, batch_size=progress.batch_size)
        while True:
            trainer = self._trainer(seed, method, train, recipe)
            files.restore(trainer, progress)
            try:
                self._train(trainer, progress, {"validation": held_out, "test": test}, files)
                break
            except BatchTooLargeError as error:
                if asks_for_batch(self.spec) or not error.fits:
                    raise
                self.watcher.smaller_batch(error.size, error.fits)
                # The network that did not fit has to go before the next one is made.
                del trainer
                method, progress = None, Progress()
                recipe = replace(recipe, batch_size=error.fits)
        # No process may still read what the first one now replaces.
        wait_for_all()
        if progress.best_epoch:
            files.load_best(trainer.trained)
        run = self._measure(seed, trainer, test, progress)
        wait_for_all()
        files.finish(trainer.trained, run)
        self.watcher.finished(seed, run)
        return run

    def _trainer(
        self, seed: int, method: Method | None, train: PairImages, recipe: Recipe
    ) -> Trainer:
        from arnet.train import Trainer

        return Trainer(
            method or self._create(seed),
            train,
            recipe,
            seed=seed,
            device=self.device,
            precision=self.precision,
        )

    def _train(
        self,
        trainer: Trainer,
        progress: Progress,
        images: Mapping[str, PairImages | None],
        files: SeedFolder,
    ) -> None:
        seed, epochs = trainer.seed, trainer.recipe.epochs
        progress.batch_size = trainer.recipe.batch_size
        while trainer.epoch < epochs:
            epoch = trainer.epoch + 1
            stats = trainer.train_epoch(
                lambda done, total, now=epoch: self.watcher.step(seed, now, epochs, done, total)  # type: ignore[misc]
            )
            looked_at, tested = self._look(trainer.trained, epoch, images)
            if progress.add(stats, looked_at, tested):
                files.keep_best(trainer.trained)
            files.keep(trainer, progress)
            self.watcher.epoch(seed, epochs, stats, looked_at, tested)

    def _look(
        self, method: Method, epoch: int, images: Mapping[str, PairImages | None]
    ) -> tuple[float | None, float | None]:
        """Return Acc@1 by which the protocol chooses, and that on test for the curve."""
        from arnet.evaluate import evaluate

        wants_curve = self.spec.test_every and epoch % self.spec.test_every == 0
        tested = looked_at = None
        if images["test"] is not None and (wants_curve or self.spec.protocol == "best-on-test"):
            tested = evaluate(method, images["test"]).accuracy(1)
        if self.spec.protocol == "best-on-test":
            looked_at = tested
        elif images["validation"] is not None:
            looked_at = evaluate(method, images["validation"]).accuracy(1)
        return looked_at, tested

    def _measure(self, seed: int, trainer: Trainer, test: PairImages, progress: Progress) -> Run:
        from arnet.evaluate import Q_VALUES, evaluate

        found = evaluate(trainer.trained, test)
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
            progress.batch_size,
        )

    def _result(
        self, config: Mapping[str, Any], runs: list[Run], test: PairImages
    ) -> BaselineResult:
        from arnet.evaluate import wilson_interval

        mean = sum(run.accuracy[1] for run in runs) / len(runs)
        return BaselineResult(
            self._facts(config, len(test), len(test.photos)),
            runs,
            wilson_interval(mean, len(test)),
            self._environment(),
        )

    def _facts(self, config: Mapping[str, Any], n_queries: int, n_gallery: int) -> dict[str, Any]:
        counts = self.dataset.counts().splits
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

        from arnet.distributed import world_size

        name = torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu"
        return {
            "torch": torch.__version__,
            "timm": version("timm"),
            "device": name,
            "precision": self.precision,
            "threads": torch.get_num_threads(),
            "processes": world_size(),
            "commit": _commit(),
        }


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
