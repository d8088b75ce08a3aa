"""What each part of the strong recipe is worth, on train photos held out of the training.

A third of chairv2's 300 train photos is held out once, by a seed that never changes; every variant
trains on the rest and is measured on it at its last epoch. Test is never opened. Each result is
appended to `--log` as it ends, and a variant that stands there for a seed is not trained again, so
that a search can be stopped and gone on with.

    CLOTHES_SHARED_DATA=... python benchmarks/recipe.py [--only NAME]... [--epochs 5]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from arnet import Trainer, create_method, evaluate
from arnet.device import choose_device, choose_precision
from arnet.options import option_names, with_options
from arnet.recipes import STRONG, Recipe
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.learn.bridge import fits_ink, load_images_for, pairs_of

BACKBONE = "vit_tiny_patch16_224"
HELD_OUT_SEED, HELD_OUT = 1234, 100
LOG = Path(__file__).parent / "results" / "recipe.jsonl"
Row = dict[str, Any]

VARIANTS: dict[str, tuple[str, Mapping[str, object]]] = {
    "strong": ("arnet-mstr", {}),
    "control: tokens are trained, not ranked by": ("arnet-mstr", {"fusion_weight": 0.0}),
    "no tokens (arnet-basic)": ("arnet-basic", {}),
    "published token recycling": ("arnet-mstr", {"form": "fuse", "fusion_weight": 0.1,
                                                 "scales": (1, 2, 7)}),
    "match temperature 0.025": ("arnet-mstr", {"match_temperature": 0.025}),
    "match temperature 0.05": ("arnet-mstr", {"match_temperature": 0.05}),
    "tokens without a place": ("arnet-mstr", {"match_place": 0.0}),
    "place counts twice as much": ("arnet-mstr", {"match_place": 0.4}),
    "tokens of width 192": ("arnet-mstr", {"match_width": 192}),
    "match temperature 0.00625": ("arnet-mstr", {"match_temperature": 0.00625}),
    "tokens of two scales": ("arnet-mstr", {"scales": (1, 2)}),
    "tokens alone": ("arnet-mstr", {"fusion_weight": 1.0}),
    "two encoders": ("arnet-mstr", {"shared_encoder": False}),
    "moving average": ("arnet-mstr", {"ema": 0.98}),
    "blank patches thinned": ("arnet-mstr", {"thin_blank": True}),
    "no joint flip": ("arnet-mstr", {"joint_flip": 0.0}),
    "clean anchors": ("arnet-mstr", {"views": "A0"}),
    "with intra term": ("arnet-mstr", {"views": "affine+A1", "intra_weight": 1.0}),
    "with inter term": ("arnet-mstr", {"inter_weight": 1.0}),
    "all positives": ("arnet-mstr", {"all_positives": True}),
    "learned temperature": ("arnet-mstr", {"learn_temperature": True}),
    "layer decay 0.8": ("arnet-mstr", {"layer_decay": 0.8}),
    "drop path 0.1": ("arnet-mstr", {"drop_path": 0.1}),
    "lr 2e-4": ("arnet-mstr", {"lr": 2e-4}),
    "batch 96": ("arnet-mstr", {"batch_size": 96}),
    "pictures as they lie": ("arnet-mstr", {"fit_ink": "false"}),
    "288 px": ("arnet-mstr", {"image_size": 288}),
}  # fmt: skip


def measure(name: str, seed: int, epochs: int, data: Path) -> Row:
    """Train one variant and measure it on the photos held out."""
    method_name, changes = VARIANTS[name]
    of_recipe = {k: v for k, v in changes.items() if k in option_names(Recipe)}
    of_method = {**STRONG.method, **{k: v for k, v in changes.items() if k not in of_recipe}}
    recipe = with_options(STRONG, {**of_recipe, "epochs": epochs})
    torch.manual_seed(seed)
    dataset = Dataset.open(data / "chairv2")
    weights = data / "weights" / f"{BACKBONE}.safetensors"
    pairs = pairs_of(dataset, "train")
    of_method["fit_ink"] = fits_ink(recipe, pairs)
    method = create_method(method_name, BACKBONE, weights, **of_method)  # type: ignore[arg-type]
    device = choose_device("auto")
    precision = choose_precision("auto", device)
    images = load_images_for(method, pairs)
    train, held_out = images.hold_out(HELD_OUT, HELD_OUT_SEED)
    trainer = Trainer(method, train, recipe, seed=seed, device=device, precision=precision)
    start = time.perf_counter()
    for _ in range(recipe.epochs):
        stats = trainer.train_epoch()
    seconds = time.perf_counter() - start
    found = evaluate(trainer.trained, held_out.to(device))
    return {
        "variant": name,
        "method": method_name,
        "settings": dict(changes),
        "seed": seed,
        "epochs": recipe.epochs,
        "queries": found.n_queries,
        "gallery": found.n_gallery,
        **{f"acc@{q}": round(found.accuracy(q), 2) for q in (1, 5, 10)},
        "mrr": round(100 * (1 / found.ranks).mean().item(), 2),
        "loss": round(stats.loss, 4),
        "seconds": round(seconds, 1),
        "precision": precision,
        "threads": torch.get_num_threads(),
    }


def main() -> None:
    """Measure every variant that the log does not have."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=VARIANTS, help="may be repeated")
    parser.add_argument("--seeds", type=int, default=1, help="seeds 0 to N-1")
    parser.add_argument("--epochs", type=int, default=STRONG.epochs)
    parser.add_argument("--log", type=Path, default=LOG)
    arguments = parser.parse_args()
    data = Path(os.environ["CLOTHES_SHARED_DATA"])
    lines = arguments.log.read_text().splitlines() if arguments.log.exists() else []
    known = {(row["variant"], row["seed"], row["epochs"]) for row in map(json.loads, lines)}
    for seed in range(arguments.seeds):
        for name in arguments.only or VARIANTS:
            if (name, seed, arguments.epochs) in known:
                continue
            row = measure(name, seed, arguments.epochs, data)
            with arguments.log.open("a") as log:
                log.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
