"""`validate` and `dedup` beside cleanvision, imagededup, and plain decoding: time, memory, errors.

Three folders are looked at: real photos as they are; those photos with planted copies of every
kind, 20,000 images; and line drawings with planted copies. Everything runs one after the other, as
processes of their own, with the files in the system's cache and nothing in ours. Our seconds are
those of the whole command, the peers' those of their work without their imports.

    CLOTHES_SHARED_DATA=... python benchmarks/duplicates.py --peers .venv-peers/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice
from pathlib import Path
from random import Random
from typing import Any

from measuring import Measured, machine, measure
from PIL import Image
from rich.console import Console
from rich.table import Table

from clothes_toolkit.groups import Groups
from clothes_toolkit.inspection import usable_cores
from tests.planted import KINDS

OURS: tuple[str, ...] = (sys.executable, "-m", "clothes_toolkit")
COPIES = tuple(KINDS)
Links = list[tuple[str, str]]
Row = dict[str, Any]


def prepare_photos(photos: Path, folder: Path) -> Path:
    """Lay real photos out as a pool's."""
    _pool(folder)
    for photo in sorted(photos.glob("*.jpg")):
        shutil.copy(photo, folder / "B" / photo.name)
    return folder / "B"


def prepare_planted(photos: Path, folder: Path, images: int) -> Path:
    """Lay photos out with so many planted copies that there are `images`."""
    _pool(folder)
    originals = sorted(photos.glob("*.jpg"))
    for photo in originals:
        shutil.copy(photo, folder / "B" / photo.name)
    tasks = (
        (photo, folder / "B" / f"{photo.stem}.copy{number:02}.jpg", number)
        for number in count()
        for photo in originals
    )
    _plant_all(list(islice(tasks, images - len(originals))))
    return folder / "B"


def prepare_drawings(sketches: Path, folder: Path) -> Path:
    """Lay drawings out with one planted copy of each kind, each a photo of its own."""
    _pool(folder)
    tasks = []
    for sketch in sorted(sketches.glob("*.png")):
        stem = sketch.stem.replace("_", "-")
        shutil.copy(sketch, folder / "A" / f"{stem}_01.png")
        tasks += [
            (sketch, folder / "A" / f"{stem}.copy{number:02}_01.png", number)
            for number in range(len(COPIES))
        ]
    _plant_all(tasks)
    return folder / "A"


def _pool(folder: Path) -> None:
    for side in "AB":
        (folder / side).mkdir(parents=True)


def _plant_all(tasks: list[tuple[Path, Path, int]]) -> None:
    with ProcessPoolExecutor(usable_cores()) as pool:
        list(pool.map(_plant, tasks, chunksize=32))


def _plant(task: tuple[Path, Path, int]) -> None:
    source, target, number = task
    with Image.open(source) as image:
        picture = image.convert("RGB")
    change = KINDS[COPIES[number % len(COPIES)]]
    change(picture, Random(f"{source.stem} {number}")).save(target, quality=95)


def original(name: str) -> str:
    """Return the name of what a planted copy was made of."""
    return Path(_whole(name)).stem


def score(names: Iterable[str], links: Links) -> Row:
    """Compare links between images with what was planted.

    Recall is the share of planted copies that links join, through others or not, to what they were
    made of; precision the share of links between images of one original.
    """
    groups: Groups[str] = Groups(links)
    found = missed = 0
    for name in names:
        whole = _whole(name)
        if whole != name:
            joined = groups.find(name) == groups.find(whole)
            found, missed = found + joined, missed + (not joined)
    wrong = sum(original(one) != original(other) for one, other in links)
    return {
        "links": len(links),
        "wrong": wrong,
        "recall": round(found / (found + missed), 5) if found + missed else None,
        "precision": round(1 - wrong / len(links), 5) if links else None,
    }


def _whole(name: str) -> str:
    return re.sub(r"\.copy\d\d", "", name)


def links_of(output: str) -> Links:
    """Return the links that `dedup --format json` names, mirror images left out."""
    return [
        (Path(group["keep"]).name, Path(duplicate["path"]).name)
        for group in json.loads(output)["groups"]
        if not group["mirrored"]
        for duplicate in group["duplicates"]
    ]


class Contest:
    """All contenders on one folder."""

    def __init__(self, peers: Path, images: Path, repeats: int) -> None:
        self.peers, self.images, self.repeats = peers, images, repeats
        self.names = [path.name for path in sorted(images.iterdir())]

    def rows(self) -> list[Row]:
        """Measure everybody, one after the other."""
        for path in self.images.iterdir():
            path.read_bytes()
        here = Path(__file__).parent
        contenders: Mapping[str, Callable[[], Row]] = {
            "Pillow, decoding only, all cores": lambda: self._other(
                sys.executable, here / "decoding.py", "--all-cores"
            ),
            "Pillow, decoding only, one core": lambda: self._other(
                sys.executable, here / "decoding.py"
            ),
            "validate, cold": self._validate,
            "dedup, warm": self._dedup,
            "imagededup": lambda: self._other(self.peers, here / "peers.py", "imagededup"),
            "cleanvision": lambda: self._other(self.peers, here / "peers.py", "cleanvision"),
        }
        return [{"who": who, "images": len(self.names)} | run() for who, run in contenders.items()]

    def _validate(self) -> Row:
        def once() -> Measured:
            shutil.rmtree(self.images.parent / ".clothes", ignore_errors=True)
            return measure(
                [*OURS, "validate", str(self.images.parent), "--format", "json"], ok=(0, 1)
            )

        return self._row([once() for _ in range(self.repeats)])

    def _dedup(self) -> Row:
        command = [*OURS, "dedup", str(self.images.parent), "--format", "json"]
        runs = [measure(command, ok=(0, 1)) for _ in range(self.repeats)]
        return self._row(runs) | score(self.names, links_of(runs[-1].output))

    def _other(self, python: str | Path, script: Path, *words: str) -> Row:
        runs = [measure([python, script, *words, self.images]) for _ in range(self.repeats)]
        told = [json.loads(run.output.strip().splitlines()[-1]) for run in runs]
        row = self._row(runs) | {"seconds": round(statistics.median(t["seconds"] for t in told), 2)}
        return row | (score(self.names, told[-1]["links"]) if "links" in told[-1] else {})

    @staticmethod
    def _row(runs: list[Measured]) -> Row:
        return {
            "seconds": round(statistics.median(run.seconds for run in runs), 2),
            "mebibytes": round(max(run.mebibytes for run in runs)),
        }


def show(what: str, rows: list[Row]) -> None:
    """Print the table of one folder."""
    floor = rows[0]["seconds"]
    table = Table(
        "who", "s", "of decoding", "MiB", "links", "wrong", "recall", "precision", title=what
    )
    for row in rows:
        numbers = (row.get(key) for key in ("links", "wrong", "recall", "precision"))
        table.add_row(
            row["who"],
            f"{row['seconds']:.2f}",
            f"{row['seconds'] / floor:.2f}",
            str(row["mebibytes"]),
            *("" if number is None else str(number) for number in numbers),
        )
    Console().print(table)


def main() -> None:
    """Prepare, measure, print, and write the results where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--peers", type=Path, required=True, help="the peers' Python")
    parser.add_argument("--images", type=int, default=20_000, help="how many with planted copies")
    parser.add_argument("--work", type=Path, help="a folder to prepare in, and to find things in")
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    asked = parser.parse_args()
    data = Path(os.environ["CLOTHES_SHARED_DATA"])
    with tempfile.TemporaryDirectory() as temporary:
        work = asked.work or Path(temporary)
        folders: dict[str, tuple[Callable[[Path], Path], str, int]] = {
            "real photos": (lambda to: prepare_photos(data / "clothing-photos", to), "B", 3),
            "photos and planted copies": (
                lambda to: prepare_planted(data / "clothing-photos", to, asked.images),
                "B",
                1,
            ),
            "drawings and planted copies": (
                lambda to: prepare_drawings(data / "chairv2" / "testA", to),
                "A",
                3,
            ),
        }
        results = {}
        for what, (prepare, side, repeats) in folders.items():
            folder = work / what.replace(" ", "-")
            images = folder / side if folder.exists() else prepare(folder)
            results[what] = Contest(asked.peers, images, repeats).rows()
            show(what, results[what])
    if asked.out:
        document = {"machine": machine(), "folders": results}
        asked.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
