"""The floor: every image of a folder decoded with Pillow, and nothing else."""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from PIL import Image

from clothes_toolkit.inspection import usable_cores


def decode(path: Path) -> int:
    """Decode a file and return how many pixels it has."""
    with Image.open(path) as image:
        image.load()
        return image.width * image.height


def main() -> None:
    """Decode the folder that is named and print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all-cores", action="store_true")
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    paths = sorted(asked.folder.iterdir())
    start = time.perf_counter()
    if asked.all_cores:
        with ProcessPoolExecutor(usable_cores()) as pool:
            pixels = sum(pool.map(decode, paths, chunksize=32))
    else:
        pixels = sum(map(decode, paths))
    print(json.dumps({"seconds": time.perf_counter() - start, "pixels": pixels}))


if __name__ == "__main__":
    main()
