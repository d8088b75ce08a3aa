"""What a trained network finds with drawings of other sizes and weights, framed and not.

The test sketches of chairv2 are drawn again from their strokes: small, anywhere on a large canvas;
and in hairlines. The checkpoint, trained on sketches that fill their canvas, ranks the same photos.

    CLOTHES_SHARED_DATA=... python benchmarks/sizes.py --checkpoint runs/mstr/seed-0 \\
        --out benchmarks/results/sizes.json
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from clothes_toolkit.dataset import Dataset
from clothes_toolkit.learn.evaluate import evaluate
from clothes_toolkit.strokes import Drawing, Stroke, read_drawing, render

CANVAS = 900
SMALL, THIN = 0.4, 1.0
"""Share of its size that a small drawing keeps; pixels of a hairline."""
Row = dict[str, Any]


def redrawn(drawing: Drawing, scale: float, width: float, chance: random.Random) -> Drawing:
    """Return a drawing on a canvas of `CANVAS`, at a share of its size, somewhere on it."""
    x, y = (chance.uniform(0, (1 - scale) * CANVAS) for _ in range(2))
    factor = scale * CANVAS / max(drawing.canvas)
    strokes = tuple(
        Stroke(tuple((factor * a + x, factor * b + y, p, t) for a, b, p, t in s.points), width)
        for s in drawing.strokes
    )
    return Drawing(drawing.sketch, (CANVAS, CANVAS), strokes)


def variant(chairs: Path, folder: Path, scale: float, width: float) -> Path:
    """Write a dataset whose test sketches are drawn again."""
    chance = random.Random(0)
    (folder / "testA").mkdir(parents=True)
    for sketch in sorted((chairs / "testA").glob("*.png")):
        drawing = read_drawing(chairs / "strokes" / f"{sketch.stem}.json")
        render(redrawn(drawing, scale, width, chance)).save(folder / "testA" / sketch.name)
    shutil.copytree(chairs / "testB", folder / "testB")
    shutil.copyfile(chairs / "clothes.toml", folder / "clothes.toml")
    return folder


def measure(chairs: Path, checkpoint: Path, place: Path) -> list[Row]:
    """Rank every kind of drawing, framed by its ink and not."""
    sets = {
        "as they are": chairs,
        "small": variant(chairs, place / "small", SMALL, 2.5),
        "hairlines": variant(chairs, place / "hairlines", 1.0, THIN),
    }
    rows = []
    for name, root in sets.items():
        for fits in ("false", "true"):
            found = evaluate(Dataset.open(root), checkpoint, settings={"fit_ink": fits}).to_json()
            rows.append({"sketches": name, **found})
    return rows


def main() -> None:
    """Measure, print, and write the results where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    arguments = parser.parse_args()
    chairs = Path(os.environ["CLOTHES_SHARED_DATA"]) / "chairv2"
    with tempfile.TemporaryDirectory() as place:
        rows = measure(chairs, arguments.checkpoint, Path(place))
    table = Table("sketches", "framed", "Acc@1", "Acc@5", "Acc@10")
    for row in rows:
        accuracies = (f"{row[f'acc@{q}']:.1f}" for q in (1, 5, 10))
        table.add_row(row["sketches"], row["settings"]["fit_ink"], *accuracies)
    Console().print(table)
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
