"""All pairs of 64-bit hashes at most 8 bits apart: ours beside FAISS, 10³ to 10⁶ hashes.

Uniform hashes are random bits. Clustered ones crowd as those of line drawings do: real drawings'
hashes, each bit flipped with a chance of 15 percent. In both, a tenth of the hashes are planted
neighbors at every distance up to 8, and recall is stated by distance up to 7 and at 8. Each search
is a process of its own; seconds are those of the search, memory that of the process.

    CLOTHES_SHARED_DATA=... python benchmarks/hash_search.py --peers .venv-peers/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import machine, measure
from rich.console import Console
from rich.table import Table

from clothes_toolkit.images import inspect
from clothes_toolkit.likeness.keys import MIDDLE, Hashes, coefficients, hashes
from clothes_toolkit.likeness.miniature import SIDE
from clothes_toolkit.likeness.search import HashIndex
from clothes_toolkit.naming import Side

RADIUS = 8
FLIPPED = 0.15
FLAT_ENDS = 100_000
"""Hashes up to which comparing all with all is waited for."""
Row = dict[str, Any]


def drawings_hashes(sketches: Path) -> Hashes:
    """Return the hashes of real line drawings."""
    minis = [inspect(path, Side.SKETCH).miniature for path in sorted(sketches.glob("*.png"))]
    squares = np.frombuffer(b"".join(minis), np.uint8).reshape(-1, SIDE, SIDE)
    return hashes(coefficients(squares.astype(np.float32), MIDDLE))


def draw_hashes(count: int, centers: Hashes | None, seed: int) -> tuple[Hashes, Hashes]:
    """Return hashes of which the last tenth are planted, and what those were made of.

    The n-th planted one differs from what it was made of in 1 + n % 8 bits.
    """
    random = np.random.default_rng(seed)
    planted = count // 10
    free = count - planted
    if centers is None:
        found = random.integers(0, 1 << 64, free, np.uint64)
    else:
        found = centers[random.integers(0, len(centers), free)]
        for bit in range(64):
            found ^= (random.random(free) < FLIPPED).astype(np.uint64) << np.uint64(bit)
    sources = random.integers(0, free, planted)
    copies = found[sources]
    for number in range(planted):
        for bit in random.choice(64, 1 + number % RADIUS, replace=False):
            copies[number] ^= np.uint64(1) << np.uint64(bit)
    return np.concatenate([found, copies]), sources.astype(np.uint64)


def search_ours(file: Path) -> Row:
    """Search, and tell the seconds, how many pairs there are and which planted ones were found."""
    codes = np.load(file)
    sources = np.load(file.with_suffix(".sources.npy")).astype(np.int64)
    free = len(codes) - len(sources)
    found = np.zeros(len(sources), bool)
    pairs = 0
    start = time.perf_counter()
    for first, second in HashIndex(codes).pairs(RADIUS):
        pairs += len(first)
        here = second >= free
        first, second = first[here], second[here] - free
        found[second[sources[second] == first]] = True
    seconds = time.perf_counter() - start
    apart = 1 + np.arange(len(sources)) % RADIUS
    return {
        "seconds": seconds,
        "pairs": pairs,
        "recall_to_7": float(found[apart < RADIUS].mean()),
        "recall_at_8": float(found[apart == RADIUS].mean()),
    }


def contest(peers: Path, file: Path, count: int) -> list[Row]:
    """Measure everybody on one set of hashes."""
    here = Path(__file__).parent
    commands: dict[str, list[str | Path]] = {
        "ours": [sys.executable, __file__, "--search", file],
        "FAISS multi-hash": [peers, here / "peers.py", "faiss-hash", file],
        "FAISS flat": [peers, here / "peers.py", "faiss-flat", file],
    }
    if count > FLAT_ENDS:
        del commands["FAISS flat"]
    rows = []
    for who, command in commands.items():
        run = measure(command)
        told = json.loads(run.output.strip().splitlines()[-1])
        rows.append(
            {"who": who, "hashes": count, "mebibytes": round(run.mebibytes)}
            | {key: round(value, 4) for key, value in told.items()}
        )
    return rows


def show(what: str, rows: list[Row]) -> None:
    """Print the table of one kind of hashes."""
    table = Table("hashes", "who", "s", "MiB", "pairs", "recall ≤ 7", "recall at 8", title=what)
    for row in rows:
        recall = (f"{row[key]:.4f}" if key in row else "" for key in ("recall_to_7", "recall_at_8"))
        table.add_row(
            f"{row['hashes']:,}", row["who"], f"{row['seconds']:.2f}", str(row["mebibytes"]),
            f"{row['pairs']:,}", *recall,
        )  # fmt: skip
    Console().print(table)


def main() -> None:
    """Draw hashes, search, print, and write the results where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--peers", type=Path, help="the peers' Python")
    parser.add_argument("--largest", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    parser.add_argument("--search", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.search:
        print(json.dumps(search_ours(asked.search)))
        return
    centers = drawings_hashes(Path(os.environ["CLOTHES_SHARED_DATA"]) / "chairv2" / "trainA")
    results: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for what, crowd in (("uniform", None), ("clustered", centers)):
            results[what] = []
            for count in (10**power for power in range(3, 8) if 10**power <= asked.largest):
                file = Path(folder) / f"{what}-{count}.npy"
                codes, sources = draw_hashes(count, crowd, seed=count)
                np.save(file, codes)
                np.save(file.with_suffix(".sources.npy"), sources)
                results[what] += contest(asked.peers, file, count)
            show(what, results[what])
    if asked.out:
        asked.out.write_text(json.dumps({"machine": machine(), "hashes": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
