"""How much the place and size of a drawing tell about its photo, as it lies and framed.

For chairv2, the figures of Clothes-V1's paper, and the demo's garments: what decides whether the
strong recipe frames pictures.

    CLOTHES_SHARED_DATA=... python benchmarks/layout.py --out benchmarks/results/layout.json
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

from arnet.layout import ranks_by_edges
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.learn.bridge import open_picture, pairs_of
from clothes_toolkit.learn.demo import TEST_PHOTOS, TRAIN_PHOTOS
from clothes_toolkit.sources.garments import make_garments


def measure(root: Path) -> dict[str, object]:
    """Rank the train photos of a dataset by the edges of what they show."""
    pairs = pairs_of(Dataset.open(root), "train")
    as_is, framed = ranks_by_edges(pairs, open_picture)
    return {
        "dataset": root.name,
        "photos": len(pairs.photos),
        "as_is": as_is,
        "framed": framed,
    }


def main() -> None:
    """Measure, print, and write the results where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    arguments = parser.parse_args()
    data = Path(os.environ["CLOTHES_SHARED_DATA"])
    with tempfile.TemporaryDirectory() as folder:
        demo = Path(folder) / "Clothes-Demo"
        make_garments(demo, train_photos=TRAIN_PHOTOS, test_photos=TEST_PHOTOS)
        rows = [measure(root) for root in (data / "chairv2", data / "clothes-v1-figures", demo)]
    print(json.dumps(rows, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
