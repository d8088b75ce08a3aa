"""Publishing and loading back: chairv2, and a release of 100,000 pairs; loading beside a glob.

`PYTHONPATH=. python benchmarks/release.py --out benchmarks/results/release.json`
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measuring import Measured, machine, measure
from PIL import Image

from tests.hub import running_hub
from tests.trees import tree

COMMAND = [sys.executable, "-m", "clothes_toolkit"]
PHOTOS, SKETCHES, SIDE = 20_000, 5, 24
"""A fifth of the photos is test; every photo has as many sketches."""
TEST_SHARE = 5


def make_large(root: Path) -> None:
    """Write 100,000 pairs of tiny images, no two of which are alike."""
    for split in ("train", "test"):
        for side in "AB":
            (root / f"{split}{side}").mkdir(parents=True)
    dice = random.Random(0)
    for number in range(PHOTOS):
        split = "test" if number % TEST_SHARE == 0 else "train"
        stem = f"{number:05}"
        noise = Image.frombytes("RGB", (SIDE, SIDE), dice.randbytes(3 * SIDE * SIDE))
        noise.save(root / f"{split}B" / f"{stem}.png")
        for designer in range(1, SKETCHES + 1):
            bits = Image.frombytes("1", (SIDE, SIDE), dice.randbytes(SIDE * SIDE // 8))
            bits.convert("L").save(root / f"{split}A" / f"{stem}_0{designer}.png")


GLOB = """
import glob, json, os, sys, time
from PIL import Image
root, most = sys.argv[1], int(sys.argv[2])
begin = time.perf_counter()
pairs = []
for split in ("train", "test"):
    for photo in sorted(glob.glob(f"{root}/{split}B/*.png"))[:most]:
        stem = os.path.basename(photo)[:-4]
        pairs += [(s, photo) for s in glob.glob(f"{root}/{split}A/{stem}_*.png")]
ready = time.perf_counter()
for sketch, photo in pairs:
    Image.open(sketch).convert("RGB"), Image.open(photo).convert("RGB")
end = time.perf_counter()
print(json.dumps({"rows": len(pairs), "ready": ready - begin, "pass": end - ready}))
"""
"""The way of the authors' code: a photo's sketches are globbed, images opened row by row."""

LOAD = """
import json, sys, time
begin = time.perf_counter()
from datasets import load_dataset
found = load_dataset(sys.argv[1])
ready = time.perf_counter()
rows = 0
for part in found.values():
    for row in part:
        row["sketch"].convert("RGB"), row["photo"].convert("RGB")
        rows += 1
end = time.perf_counter()
print(json.dumps({"rows": rows, "ready": ready - begin, "pass": end - ready}))
"""


MOST_GLOBBED = 500
"""Photos of a split whose sketches are globbed: every glob looks at the whole folder."""


def loading(root: Path, release: Path) -> dict[str, Any]:
    """Return rows a second of both ways to go through the pairs once."""
    told: dict[str, Any] = {}
    for name, script, source in (
        ("glob", GLOB, root),
        ("first load", LOAD, release),
        ("load again", LOAD, release),
    ):
        done = measure([sys.executable, "-c", script, source, str(MOST_GLOBBED)])
        found = json.loads(done.output)
        told[name] = {
            "rows": found["rows"],
            "ready_s": round(found["ready"], 2),
            "rows_per_s": round(found["rows"] / found["pass"]),
            "mib": round(done.mebibytes),
        }
    for name in ("first load", "load again"):
        told[name]["ratio"] = round(told[name]["rows_per_s"] / told["glob"]["rows_per_s"], 2)
    return told


def publishing(root: Path, work: Path, hub: Mapping[str, str]) -> dict[str, Any]:
    """Return what publishing to a folder, to the Hub, and coming back from each takes."""
    os.environ.update(hub)
    releases = work / "releases"
    version = ["--version", "1.0.0"]
    repo = f"org/{root.name}"
    steps = {
        "validate": ["validate", root],
        "publish to a folder": ["publish", root, "--to", releases, *version, "--yes"],
        "publish to the Hub": ["publish", root, "--repo-id", repo, *version, "--yes"],
        "download from the folder": ["download", releases, *version, "--out", work / "Back"],
        "download from the Hub": ["download", repo, *version, "--out", work / "Again"],
    }
    told: dict[str, Any] = {}
    for name, words in steps.items():
        # A first look each time: nothing is known of the images, as in a fresh copy.
        shutil.rmtree(root / ".clothes", ignore_errors=True)
        told[name] = _row(measure([*COMMAND, *map(str, words)]))
    for back in ("Back", "Again"):
        if tree(work / back) != tree(root):
            raise RuntimeError("what came back is something else")
        shutil.rmtree(work / back)
    told["stored, MB"] = round(
        sum(path.stat().st_size for path in releases.rglob("*.parquet")) / 1e6, 1
    )
    return told


def _row(done: Measured) -> dict[str, float]:
    return {"s": round(done.seconds, 1), "mib": round(done.mebibytes)}


def main() -> None:
    """Measure, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    shared = Path(os.environ["CLOTHES_SHARED_DATA"])
    told: dict[str, Any] = {"machine": machine()}
    for name in ("chairv2", "large"):
        with (
            tempfile.TemporaryDirectory() as folder,
            running_hub(Path(folder) / "hub") as hub,
        ):
            work = Path(folder)
            root = work / name
            if name == "chairv2":
                shutil.copytree(shared / name, root)
            else:
                make_large(root)
            env = hub.env(work / "home") | {"XDG_CACHE_HOME": str(work / "cache")}
            told[name] = publishing(root, work, env)
            told[name]["loading"] = loading(root, work / "releases" / "v1.0.0")
    text = json.dumps(told, indent=1) + "\n"
    if asked.out:
        asked.out.write_text(text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
