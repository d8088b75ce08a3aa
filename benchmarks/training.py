"""Seconds of one training epoch and of one evaluation, ours beside a plain fp32 loop.

Both train ARNet with ViT-Tiny on chairv2 with batches of 16 pairs and four views a pair, one after
the other in this process, and the table gives ratios. `--pairs` takes the first N pairs of the
epoch for a quick look; all of them are trained on if it is left out.

    CLOTHES_SHARED_DATA=... python benchmarks/training.py --out benchmarks/results/training-cpu.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import plain_loop
import torch
from rich.console import Console
from rich.table import Table

from arnet import PUBLISHED, Pairs, Trainer, create_method, evaluate, load_pairs
from arnet.data import PairImages
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.learn.bridge import open_picture, pairs_of

BACKBONE = "vit_tiny_patch16_224"
METHODS = ("arnet-basic", "arnet-mstr")
Row = dict[str, Any]


def files_of(pairs: Pairs) -> list[tuple[Path, Path]]:
    """Return each sketch's file with its photo's."""
    return [
        (sketch, pairs.photos[photo])
        for sketch, photo in zip(pairs.sketches, pairs.photo_of, strict=True)
    ]


def train_ours(method: str, weights: Path, images: PairImages, precision: str) -> float:
    """Train one epoch of the published recipe and return its seconds."""
    network = create_method(method, BACKBONE, weights)
    return Trainer(network, images, PUBLISHED, precision=precision).train_epoch().seconds


def evaluate_ours(method: str, weights: Path, images: PairImages) -> float:
    """Evaluate once and return the seconds."""
    trainer = Trainer(create_method(method, BACKBONE, weights), images, PUBLISHED)
    start = time.perf_counter()
    evaluate(trainer.method, images)
    return time.perf_counter() - start


def measure(data: Path, count: int | None) -> list[Row]:
    """Measure every method, peer first, one after the other."""
    weights = data / "weights" / f"{BACKBONE}.safetensors"
    dataset = Dataset.open(data / "chairv2")
    train, test = (pairs_of(dataset, split) for split in ("train", "test"))
    if count:
        train = Pairs(train.sketches[:count], train.photos, train.photo_of[:count])
    start = time.perf_counter()
    images, test_images = (load_pairs(pairs, (224, 224), open_picture) for pairs in (train, test))
    decoding = time.perf_counter() - start
    rows = []
    for method in METHODS:
        mstr = method == "arnet-mstr"
        seconds = {
            "peer fp32": plain_loop.train_epoch(files_of(train), BACKBONE, weights, mstr),
            "ours fp32": train_ours(method, weights, images, "fp32"),
            "ours bf16": train_ours(method, weights, images, "bf16"),
        }
        rows += _rows(f"epoch, {method}", seconds, 4 * len(images))
        seconds = {
            "peer fp32": plain_loop.evaluate(files_of(test), BACKBONE, weights, mstr),
            "ours fp32": evaluate_ours(method, weights, test_images),
        }
        rows += _rows(f"evaluation, {method}", seconds, len(test.sketches) + len(test.photos))
    rows.append({"what": "decoding, once a run", "who": "ours", "seconds": decoding})
    return rows


def _rows(what: str, seconds: dict[str, float], images: int) -> list[Row]:
    peer = seconds["peer fp32"]
    return [
        {
            "what": what,
            "who": who,
            "seconds": round(taken, 2),
            "images_per_second": round(images / taken, 1),
            "ratio": round(taken / peer, 3),
        }
        for who, taken in seconds.items()
    ]


def show(rows: list[Row]) -> None:
    """Print a table."""
    table = Table("what", "who", "seconds", "images/s", "of the peer's time")
    for row in rows:
        rate, ratio = row.get("images_per_second", ""), row.get("ratio", "")
        table.add_row(row["what"], row["who"], f"{row['seconds']:.1f}", str(rate), str(ratio))
    Console().print(table)


def main() -> None:
    """Measure, print, and write the results where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pairs", type=int, help="train on the first N pairs only")
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    rows = measure(Path(os.environ["CLOTHES_SHARED_DATA"]), arguments.pairs)
    show(rows)
    if arguments.out:
        machine = {
            "processor": _processor(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "pairs": arguments.pairs or "all",
        }
        arguments.out.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")


def _processor() -> str:
    flags = (
        Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    )
    known = [flag for flag in ("avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return " ".join([platform.machine(), *known])


if __name__ == "__main__":
    main()
