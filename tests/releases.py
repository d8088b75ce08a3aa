"""What tests of releases share: strokes, results, and loading as anybody does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clothes_toolkit.dataset import Dataset
from clothes_toolkit.release.manifest import release_checksum

COMMAND = [sys.executable, "-m", "clothes_toolkit"]


def add_strokes(root: Path) -> None:
    """Give every sketch of a dataset strokes, with letters that are no ASCII."""
    (root / "strokes").mkdir()
    for sketch in Dataset.open(root).sketches:
        stem = Path(sketch.path).stem
        told = {"schema": "clothes-toolkit/strokes/1", "sketch": stem, "canvas": [80, 80]}
        text = json.dumps({**told, "strokes": [], "note": "fertig – schön"}, ensure_ascii=False)
        (root / "strokes" / f"{stem}.json").write_text(text + "\n", encoding="utf-8")


def write_result(folder: Path, root: Path, acc: float = 40.0, **facts: Any) -> Path:
    """Write a run folder with the result of a baseline on a dataset."""
    counts = Dataset.open(root).counts().splits
    split = {name: {"photos": p, "sketches": s} for name, (p, s) in counts.items()}
    accuracy = {"acc@1": acc, "acc@5": 80.0, "acc@10": 100.0}
    run = {"seed": 0, "epochs": 2, "epoch_chosen": 2, **accuracy, "best_on_test": None}
    run |= {"train_seconds": 1.0, "views_per_second": 1.0, "batch_size": 4}
    result = {
        "schema": "clothes-toolkit/baseline/1",
        "method": "arnet-mstr",
        "backbone": "vit_tiny_patch16_224",
        "weights": "none",
        "recipe": "strong",
        "protocol": "fixed",
        "dataset": {"name": root.name, "sha256": release_checksum(Dataset.open(root)), **split},
        "n_queries": split["test"]["sketches"],
        "n_gallery": split["test"]["photos"],
        **accuracy,
        "acc@1_ci95": [12.3, 73.7],
        "acc@1_sd": None,
        "runs": [run],
        "environment": {"torch": "2", "timm": "1", "device": "cpu", "precision": "fp32"},
        **facts,
    }
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def loaded(
    source: str, config: str, revision: str | None, env: Mapping[str, str] | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Load a config in a process of its own, with `datasets` and nothing of ours; rows by split."""
    script = """
import hashlib, json, sys
from datasets import load_dataset
from PIL import Image
source, config, revision = json.loads(sys.argv[1])
def plain(value):
    if isinstance(value, Image.Image):
        upright = value.convert("RGB")
        return [upright.size, hashlib.sha256(upright.tobytes()).hexdigest()]
    return value
found = load_dataset(source, config, revision=revision)
rows = {s: [{k: plain(v) for k, v in row.items()} for row in part] for s, part in found.items()}
print(json.dumps(rows))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps([source, config, revision])],
        capture_output=True,
        text=True,
        env=dict(env or os.environ),
        cwd="/",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return rows


def call(
    *words: object, env: Mapping[str, str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        capture_output=True,
        text=True,
        env=dict(env),
        cwd=cwd,
        check=False,
    )
