"""The rows of the table of results on chairv2's test: trained, measured, ranked again.

Each run is one call of `clothes-toolkit baseline`, at an epoch fixed beforehand. What stopped goes
on, and what is complete is not trained again, so that a long list can be made in parts.

    CLOTHES_SHARED_DATA=... python benchmarks/baselines.py --runs FOLDER [--only NAME]...
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clothes_toolkit.dataset import Dataset
from clothes_toolkit.learn.evaluate import evaluate

RESULTS = Path(__file__).parent / "results"
VIT, MOBILENET = "vit_tiny_patch16_224", "mobilenetv2_100"


@dataclass(frozen=True)
class Row:
    """A run of the table.

    Attributes:
        backbone: with the weights that lie beside the data.
        arguments: of `baseline`, beside those.
        seeds: of the run.
        again: settings with which the trained networks rank once more.
    """

    backbone: str
    arguments: Sequence[str]
    seeds: Sequence[int] = (0,)
    again: Sequence[dict[str, str]] = ()


ROWS = {
    "mstr": Row(
        VIT,
        ["--model", "arnet-mstr"],
        (0, 1, 2),
        ({"fusion_weight": "0"}, {"fusion_weight": "1"}),
    ),
    "mstr-2-epochs": Row(VIT, ["--model", "arnet-mstr", "--epochs", "2"], (0, 1, 2)),
    "basic": Row(VIT, ["--model", "arnet-basic"]),
    "fuse": Row(
        VIT,
        ["--model", "arnet-mstr", "--set", "form=fuse", "--set", "scales=1,2,7",
         "--set", "fusion_weight=0.1"],
        (0,),
        ({"fusion_weight": "0"},),
    ),
    "mobilenet": Row(MOBILENET, ["--model", "arnet-mstr"]),
}  # fmt: skip
WEIGHTS = {VIT: f"{VIT}.safetensors", MOBILENET: f"{MOBILENET}_tf_ptq.safetensors"}


def train(name: str, row: Row, runs: Path, data: Path) -> Path:
    """Train a row's run, or go on with it; returns its folder."""
    out = runs / name
    command = [
        sys.executable, "-m", "clothes_toolkit", "baseline", str(data / "chairv2"),
        "--backbone", row.backbone, "--weights", str(data / "weights" / WEIGHTS[row.backbone]),
        "--seeds", ",".join(map(str, row.seeds)), "--out", str(out), *row.arguments,
    ]  # fmt: skip
    if out.exists() or out.with_name(f"{out.name}.partial").exists():
        command.append("--resume")
    subprocess.run(command, check=True)
    return out


def ranked_again(name: str, row: Row, runs: Path, data: Path) -> list[dict[str, Any]]:
    """Rank with a row's networks under other settings."""
    chairs = Dataset.open(data / "chairv2")
    return [
        {
            "run": f"runs/{name}",
            "seeds": {
                str(seed): evaluate(
                    chairs, runs / name / f"seed-{seed}", settings=settings
                ).to_json()
                for seed in row.seeds
            },
        }
        for settings in row.again
    ]


def main() -> None:
    """Make the rows that were asked for, and keep their JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=Path, required=True, help="where the run folders lie")
    parser.add_argument("--only", action="append", choices=ROWS, help="may be repeated")
    arguments = parser.parse_args()
    data = Path(os.environ["CLOTHES_SHARED_DATA"])
    file = RESULTS / "evaluations.json"
    (RESULTS / "baselines").mkdir(exist_ok=True)
    for name in arguments.only or ROWS:
        row = ROWS[name]
        out = train(name, row, arguments.runs, data)
        shutil.copyfile(out / "result.json", RESULTS / "baselines" / f"chairv2-{name}.json")
        known = json.loads(file.read_text(encoding="utf-8"))
        others = [one for one in known if one["run"] != f"runs/{name}"]
        again = ranked_again(name, row, arguments.runs, data)
        file.write_text(json.dumps([*others, *again], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
