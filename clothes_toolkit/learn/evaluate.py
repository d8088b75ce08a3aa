"""A checkpoint on a dataset's test split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from clothes_toolkit.dataset import Dataset
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.learn.bridge import load_images_for, network, one_line_errors, pairs_of
from clothes_toolkit.learn.result import Q_VALUES
from clothes_toolkit.learn.spec import settings_of_method


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a checkpoint does on test.

    Attributes:
        method, backbone: of the checkpoint. `settings`: those that are not its own.
        accuracy: Acc@q, percent, by q. `interval`: Wilson's, of Acc@1, percent.
    """

    method: str
    backbone: str
    settings: Mapping[str, str]
    n_queries: int
    n_gallery: int
    accuracy: dict[int, float]
    interval: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Return the document, schema `clothes-toolkit/evaluate/1`."""
        return {
            "schema": "clothes-toolkit/evaluate/1",
            "method": self.method,
            "backbone": self.backbone,
            "settings": dict(self.settings),
            "n_queries": self.n_queries,
            "n_gallery": self.n_gallery,
            **{f"acc@{q}": self.accuracy[q] for q in Q_VALUES},
            "acc@1_ci95": list(self.interval),
        }


def evaluate(
    dataset: Dataset,
    checkpoint: Path,
    *,
    preprocess: str | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
    device: str = "auto",
    on_image: Callable[[int, int], None] = lambda _done, _total: None,
) -> Evaluation:
    """Rank the test photos for every test sketch; each image is embedded once.

    Args:
        dataset: with pairs in test.
        checkpoint: see `arnet.checkpoint.load_checkpoint`.
        preprocess: "backbone" or "authors"; left out, the checkpoint's own.
        settings: of the method, in the place of the checkpoint's own, such as a fusion weight.
        device: "auto", "cpu" or "cuda".
        on_image: hears (images decoded, images in all).

    Raises `ToolkitError` where there is nothing to test, or the checkpoint will not do.
    """
    network("evaluating a checkpoint")
    from arnet.checkpoint import load_checkpoint
    from arnet.device import choose_device, prepare
    from arnet.evaluate import evaluate as rank
    from arnet.evaluate import wilson_interval
    from arnet.registry import changed_method

    if not any(pair.photo.split == "test" for pair in dataset.pairs):
        raise ToolkitError(
            f"{dataset.root}: there are no pairs in test; put sketches into testA and their photos "
            "into testB"
        )
    with one_line_errors():
        where = choose_device(device)
        method = load_checkpoint(checkpoint, preprocess)
        changes = settings_of_method(method.config["method"], settings)
        method = changed_method(method, **changes)
        pairs = pairs_of(dataset, "test")
        total = len(pairs.sketches) + len(pairs.photos)
        done = iter(range(1, total + 1))
        images = load_images_for(method, pairs, lambda: on_image(next(done), total))
        prepare(method, where)
        found = rank(method, images.to(where))
    accuracy = {q: found.accuracy(q) for q in Q_VALUES}
    return Evaluation(
        method.config["method"],
        method.config["backbone"]["name"],
        settings,
        found.n_queries,
        found.n_gallery,
        accuracy,
        wilson_interval(accuracy[1], found.n_queries),
    )
