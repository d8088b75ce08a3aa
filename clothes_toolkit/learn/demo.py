"""The whole chain on a small procedural dataset: make, validate, train, measure, look."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clothes_toolkit.dataset import Dataset
from clothes_toolkit.edits.files import new_folder, write_file
from clothes_toolkit.learn.baseline import baseline
from clothes_toolkit.learn.bridge import load_images_for, network, one_line_errors, pairs_of
from clothes_toolkit.learn.result import BaselineResult
from clothes_toolkit.learn.session import Watcher
from clothes_toolkit.learn.spec import BaselineSpec, divide_settings
from clothes_toolkit.report import Report
from clothes_toolkit.sources.garments import make_garments
from clothes_toolkit.validate import validate

TRAIN_PHOTOS, TEST_PHOTOS = 160, 40
DATASET, RUN, PICTURE = "Clothes-Demo", "run", "top5.png"
ROWS_SHOWN = 8

SPEC = BaselineSpec(
    method="arnet-mstr",
    backbone="resnet10t",
    weights="none",
    epochs=12,
    batch_size=32,
    lr=1e-3,
    settings={"image_size": "96", "scales": "1,2,3"},
)
"""A small backbone from scratch: a few minutes on two cores, and no download."""


@dataclass(frozen=True, slots=True)
class Demo:
    """What a demonstration gave.

    Attributes:
        report: of the made dataset.
        trained: the baseline. `untrained`: Acc@q, percent, of the same network before training.
        dataset, run, picture: where they lie.
    """

    report: Report
    trained: BaselineResult
    untrained: dict[int, float]
    dataset: Path
    run: Path
    picture: Path


def demo(
    out: Path,
    *,
    jobs: int = 1,
    watcher: Watcher | None = None,
    on_stage: Callable[[str], None] = lambda _stage: None,
) -> Demo:
    """Make a small dataset and run the whole chain on it, in a new folder.

    Args:
        out: the new folder; it holds the dataset, the run and a picture at the end.
        jobs: processes to decode images in.
        watcher: hears how the training goes.
        on_stage: hears what begins.

    Raises `ToolkitError` where `out` exists or the network is not installed.
    """
    network("the demonstration")
    with new_folder(out) as folder:
        on_stage(f"drawing {TRAIN_PHOTOS + TEST_PHOTOS} garments")
        root = folder / DATASET
        make_garments(root, train_photos=TRAIN_PHOTOS, test_photos=TEST_PHOTOS)
        dataset = Dataset.open(root)
        on_stage("validating")
        report = validate(dataset, jobs=jobs)
        on_stage(f"training {SPEC.method} ({SPEC.backbone}, from scratch)")
        trained = baseline(dataset, SPEC, folder / RUN, watcher=watcher)
        on_stage("looking at what it retrieves")
        with one_line_errors():
            untrained = _measure_untrained(dataset)
            write_file(folder / PICTURE, _draw_retrieval(dataset, folder / RUN))
    return Demo(report, trained, untrained, out / DATASET, out / RUN, out / PICTURE)


def _measure_untrained(dataset: Dataset) -> dict[int, float]:
    import torch

    from arnet.evaluate import Q_VALUES, evaluate
    from arnet.registry import create_method

    torch.manual_seed(SPEC.seeds[0])
    options, _ = divide_settings(SPEC)
    method = create_method(SPEC.method, SPEC.backbone, "none", **options)
    found = evaluate(method, load_images_for(method, pairs_of(dataset, "test")))
    return {q: found.accuracy(q) for q in Q_VALUES}


def _draw_retrieval(dataset: Dataset, run: Path) -> bytes:
    """Return a PNG of the first test photos' sketches and what the run's network finds."""
    from arnet.checkpoint import load_method
    from arnet.evaluate import evaluate
    from arnet.figures import retrieval_sheet

    method = load_method(run / f"seed-{SPEC.seeds[0]}")
    images = load_images_for(method, pairs_of(dataset, "test"))
    found = evaluate(method, images)
    spread = max(1, len(images) // ROWS_SHOWN)
    sheet = retrieval_sheet(images, found, range(0, len(images), spread)[:ROWS_SHOWN])
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()
