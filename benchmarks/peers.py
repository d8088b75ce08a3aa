"""The peers, each as its own documentation says to use it; run in their environment.

Prints one JSON object: the seconds of the work itself, imports left out, and what was found.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

Found = dict[str, Any]


def run_imagededup(folder: Path) -> Found:
    """Find duplicates by pHash with imagededup's own threshold, 10 bits."""
    from imagededup.methods import PHash

    start = time.perf_counter()
    found = PHash(verbose=False).find_duplicates(image_dir=str(folder))
    seconds = time.perf_counter() - start
    pairs = sorted(
        {tuple(sorted((one, other))) for one, others in found.items() for other in others}
    )
    return {"seconds": seconds, "links": pairs}


def run_cleanvision(folder: Path) -> Found:
    """Look for all issues that cleanvision knows, near and exact duplicates among them."""
    from cleanvision import Imagelab

    start = time.perf_counter()
    lab = Imagelab(data_path=str(folder), verbose=False)
    lab.find_issues(verbose=False)
    seconds = time.perf_counter() - start
    sets = [*lab.info["near_duplicates"]["sets"], *lab.info["exact_duplicates"]["sets"]]
    names = [sorted(Path(path).name for path in one) for one in sets]
    links = [(one[0], other) for one in names for other in one[1:]]
    return {"seconds": seconds, "links": links}


def run_faiss_flat(file: Path, radius: int) -> Found:
    """Compare all hashes with all in FAISS's binary index."""
    import faiss
    import numpy as np

    codes = np.load(file).view(np.uint8).reshape(-1, 8)
    start = time.perf_counter()
    index = faiss.IndexBinaryFlat(64)
    index.add(codes)
    # FAISS's radius is exclusive.
    limits, _, found = index.range_search(codes, radius + 1)
    return _pairs(start, np.repeat(np.arange(len(codes)), np.diff(limits.astype(np.int64))), found)


def run_faiss_hash(file: Path, radius: int) -> Found:
    """Look in FAISS's multi-hash index: 4 tables of 16 bits, one bit flipped."""
    import faiss
    import numpy as np

    codes = np.load(file).view(np.uint8).reshape(-1, 8)
    start = time.perf_counter()
    index = faiss.IndexBinaryMultiHash(64, 4, 16)
    index.nflip = 1
    index.add(codes)
    limits, _, found = index.range_search(codes, radius + 1)
    return _pairs(start, np.repeat(np.arange(len(codes)), np.diff(limits.astype(np.int64))), found)


def _pairs(start: float, first: Any, second: Any) -> Found:
    """Tell how many pairs were found, each once."""
    ordered = first < second
    return {"seconds": time.perf_counter() - start, "pairs": int(ordered.sum())}


def main() -> None:
    """Run one peer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=["imagededup", "cleanvision", "faiss-flat", "faiss-hash"])
    parser.add_argument("input", type=Path)
    parser.add_argument("--radius", type=int, default=8)
    asked = parser.parse_args()
    if asked.peer == "imagededup":
        found = run_imagededup(asked.input)
    elif asked.peer == "cleanvision":
        found = run_cleanvision(asked.input)
    else:
        run = run_faiss_flat if asked.peer == "faiss-flat" else run_faiss_hash
        found = run(asked.input, asked.radius)
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main()
