"""Thresholds of the search for lookalikes: swept on one half of the images, measured on the other.

Every image gets one planted near duplicate of each kind. Recall is the share of these that are
joined to what they were made of, precision the share of joined pairs that show one thing.

    CLOTHES_SHARED_DATA=... python benchmarks/lookalikes.py
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image
from rich.console import Console
from rich.table import Table

from clothes_toolkit.groups import Groups
from clothes_toolkit.images import open_image
from clothes_toolkit.inspection import usable_cores
from clothes_toolkit.likeness.lookalikes import DRAWINGS, PHOTOS, Look, find_lookalikes
from clothes_toolkit.likeness.miniature import (
    DRAWING_SIDE,
    drawing_miniature,
    photo_miniature,
    reduced,
)
from tests.planted import KINDS, halves

Row = dict[str, Any]
SWEEPS: dict[str, dict[str, Sequence[float]]] = {
    "photos": {
        "frequencies": (0.85, 0.9, 0.93, 0.96),
        "correlation": (0.98, 0.99, 0.993, 0.996, 0.998),
        "gain": (1.1, 1.2, 1.4),
        "offset": (3.0, 6.0, 12.0),
        "color": (0.6, 1.2, 2.4, 255.0),
    },
    "drawings": {
        "frequencies": (0.8, 0.85, 0.9, 0.95),
        "correlation": (0.93, 0.95, 0.965, 0.98, 0.99),
        "gain": (1.2, 1.5, 2.0),
        "offset": (6.0, 12.0, 24.0),
    },
}
"""Values of each threshold, the others as they are."""


@dataclass(frozen=True)
class Planted:
    """Miniatures of images and of their near duplicates.

    Attributes:
        miniatures: all of them.
        whose: which image each was made of.
        kinds: how each was made; "" for the image itself.
    """

    miniatures: list[bytes]
    whose: list[int]
    kinds: list[str]

    def score(self, look: Look) -> Row:
        """Search and compare with what was planted."""
        pairs = [pair for pair in find_lookalikes(self.miniatures, look) if not pair.mirrored]
        groups = Groups((pair.first, pair.second) for pair in pairs)
        wrong = sum(self.whose[pair.first] != self.whose[pair.second] for pair in pairs)
        first = {
            whose: n
            for n, (whose, kind) in enumerate(zip(self.whose, self.kinds, strict=True))
            if not kind
        }
        missed = Counter(
            kind
            for number, (whose, kind) in enumerate(zip(self.whose, self.kinds, strict=True))
            if kind and groups.find(number) != groups.find(first[whose])
        )
        images = len(first)
        return {
            "images": images,
            "recall": round(1 - missed.total() / (images * len(KINDS)), 5),
            "precision": round(1 - wrong / len(pairs), 5),
            "wrong": wrong,
            "recall_by_kind": {kind: round(1 - missed[kind] / images, 4) for kind in KINDS},
        }


def photo(picture: Image.Image) -> bytes:
    """Return the miniature of a photo."""
    return photo_miniature(picture)


def drawing(picture: Image.Image) -> bytes:
    """Return the miniature of a drawing."""
    return drawing_miniature(reduced(picture.convert("L"), DRAWING_SIDE))


def plant(paths: list[Path], miniature: Callable[[Image.Image], bytes]) -> Planted:
    """Make the near duplicates of images."""
    with ProcessPoolExecutor(usable_cores()) as pool:
        made = list(pool.map(_made_of, paths, [miniature] * len(paths), chunksize=16))
    return Planted(
        [mini for minis in made for mini in minis],
        [number for number in range(len(paths)) for _ in range(1 + len(KINDS))],
        ["", *KINDS] * len(paths),
    )


def _made_of(path: Path, miniature: Callable[[Image.Image], bytes]) -> list[bytes]:
    picture = open_image(path)
    random = Random(path.name)
    return [miniature(picture), *(miniature(change(picture, random)) for change in KINDS.values())]


def sweep(planted: Planted, look: Look, values: dict[str, Sequence[float]]) -> list[Row]:
    """Score each value of each threshold, the others as they are."""
    return [
        {"threshold": name, "value": value, "chosen": value == getattr(look, name)}
        | planted.score(_with(look, name, value))
        for name, several in values.items()
        for value in several
    ]


def _with(look: Look, name: str, value: float) -> Look:
    return Look(**(dataclasses.asdict(look) | {name: value}))


def show(what: str, swept: list[Row], measured: dict[str, Row]) -> None:
    """Print both tables of one side."""
    table = Table("threshold", "value", "recall", "precision", title=f"{what}, calibration")
    for row in swept:
        style = "bold" if row["chosen"] else ""
        numbers = f"{row['recall']:.4f}", f"{row['precision']:.4f}"
        table.add_row(row["threshold"], f"{row['value']:g}", *numbers, style=style)
    Console().print(table)
    table = Table("held out", "images", "recall", "precision", *KINDS, title=what)
    for folder, row in measured.items():
        kinds = (f"{row['recall_by_kind'][kind]:.3f}" for kind in KINDS)
        numbers = f"{row['recall']:.4f}", f"{row['precision']:.4f}"
        table.add_row(folder, str(row["images"]), *numbers, *kinds)
    Console().print(table)


def main() -> None:
    """Sweep, measure, print, and write the results where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    asked = parser.parse_args()
    data = Path(os.environ["CLOTHES_SHARED_DATA"])
    folders = {
        "photos": (photo, PHOTOS, ("clothing-photos", "chairv2/trainB")),
        "drawings": (drawing, DRAWINGS, ("chairv2/trainA", "clothes-v1-figures/trainA")),
    }
    results: dict[str, Any] = {}
    for what, (miniature, look, names) in folders.items():
        parts = {name: halves((data / name).glob("*.[jp][pn]g")) for name in names}
        calibration = plant([path for half, _ in parts.values() for path in half], miniature)
        swept = sweep(calibration, look, SWEEPS[what])
        measured = {name: plant(half, miniature).score(look) for name, (_, half) in parts.items()}
        results[what] = {"calibration": swept, "held_out": measured}
        show(what, swept, measured)
    if asked.out:
        asked.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
