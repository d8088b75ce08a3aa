"""What one GPU does: training steps beside a plain loop, accuracy and minutes of both recipes.

Three purposes, each a stage that is skipped if its result lies in `--out` already, each within its
own time:

    step      ViT-B/16, 16 pairs a step: ours, and a plain fp32 loop with DataLoader workers,
              side by side; images/s, ratio, share of the bf16 peak that a matrix product reaches.
    strong    ViT-Tiny on chairv2 with the strong recipe, three seeds, MSTR and its control.
    published ViT-Tiny on chairv2 with the published recipe, as many epochs as fit.

    CLOTHES_SHARED_DATA=... python benchmarks/gpu.py --out DIR [--minutes 9]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plain_loop
import torch
from safetensors.torch import save_file

from arnet import PUBLISHED, PairImages, Trainer, create_method, evaluate
from arnet.recipes import STRONG, Recipe
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.learn.bridge import fits_ink, load_images_for, pairs_of

BASE, TINY = "vit_base_patch16_224", "vit_tiny_patch16_224"
CLOTHES_PAIRS, CLOTHES_EPOCHS = 925, 500
VIEWS = 4
FORWARD_AND_BACKWARD = 3
GFLOP = 2 * 17.58
"""Of one image through ViT-B/16 at 224 pixels, forward; multiplications and additions count."""
Row = dict[str, Any]


def seconds_of(step: Callable[[], object], least: float = 8.0) -> float:
    """Return seconds a call, over at least `least` seconds, after five calls to warm up."""
    for _ in range(5):
        step()
    torch.cuda.synchronize()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < least:
        step()
        count += 1
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / count


def bf16_peak() -> float:
    """Return TFLOP/s of a large bf16 matrix product on this card."""
    side = 8192
    a, b = (torch.randn(side, side, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return 2 * side**3 / seconds_of(lambda: a @ b, 3.0) / 1e12


def our_step(images: PairImages, batch: int, compiled: bool, mstr: bool) -> float:
    """Return seconds of one of our training steps with `batch` pairs, four views each."""
    import dataclasses

    repeats = -(-batch * 8 // len(images))
    many = PairImages(
        images.sketches.repeat(repeats, 1, 1, 1), images.photos, images.photo_of.repeat(repeats)
    )
    method = create_method("arnet-mstr" if mstr else "arnet-basic", BASE)
    recipe = dataclasses.replace(PUBLISHED, batch_size=batch, compile=compiled)
    trainer = Trainer(method, many, recipe, device=torch.device("cuda"), precision="bf16")
    for _ in range(2):
        trainer.train_epoch()
    torch.cuda.synchronize()
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < 8:
        trainer.train_epoch()
        steps += trainer.batches_per_epoch
    return (time.perf_counter() - start) / steps


def plain_step(data: Path, batch: int, folder: Path) -> float:
    """Return seconds of one step of the plain loop, its DataLoader workers included."""
    weights = folder / "base.safetensors"
    if not weights.exists():
        import timm

        save_file(timm.create_model(BASE).state_dict(), weights)
    pairs = pairs_of(Dataset.open(data / "chairv2"), "train")
    files = [
        (sketch, pairs.photos[photo])
        for sketch, photo in zip(pairs.sketches, pairs.photo_of, strict=True)
    ][: batch * 30]
    plain_loop.train_epoch(files[: batch * 4], BASE, weights, mstr=False, device="cuda")
    seconds = plain_loop.train_epoch(files, BASE, weights, mstr=False, device="cuda")
    return seconds / (len(files) / batch)


def measure_steps(data: Path, folder: Path) -> Row:
    """Measure steps of 16 pairs, ours and theirs, and larger ones of ours."""
    probe = create_method("arnet-basic", BASE)
    images = load_images_for(probe, pairs_of(Dataset.open(data / "chairv2"), "train"))
    peak = bf16_peak()
    rows = {"peer, plain fp32 loop, 16 pairs": (plain_step(data, 16, folder), 16)}
    for batch, compiled, mstr in (
        (16, False, False), (16, True, False), (16, True, True), (64, True, False),
        (128, True, False),
    ):  # fmt: skip
        name = f"ours, bf16{', compiled' * compiled}{', MSTR' * mstr}, {batch} pairs"
        rows[name] = (our_step(images, batch, compiled, mstr), batch)
        torch.cuda.empty_cache()
    peer = next(iter(rows.values()))
    per_second = {name: VIEWS * batch / seconds for name, (seconds, batch) in rows.items()}
    base = VIEWS * peer[1] / peer[0]
    best = max(rate for name, rate in per_second.items() if name.startswith("ours"))
    return {
        "peak_tflops": peak,
        "rows": [
            {
                "who": name,
                "images_per_second": round(rate, 1),
                "ratio": round(rate / base, 2),
                "share_of_peak": round(rate * GFLOP * FORWARD_AND_BACKWARD / 1e3 / peak, 3),
            }
            for name, rate in per_second.items()
        ],
        "clothes_minutes": CLOTHES_EPOCHS * CLOTHES_PAIRS * VIEWS / best / 60,
    }


def train(data: Path, recipe: Recipe, seed: int, until: float, **options: object) -> Row:
    """Train ViT-Tiny on chairv2 until the recipe or the time ends; measure test once."""
    torch.manual_seed(seed)
    chairs = Dataset.open(data / "chairv2")
    weights = data / "weights" / f"{TINY}.safetensors"
    pairs = [pairs_of(chairs, split) for split in ("train", "test")]
    settings = {**recipe.method, "fit_ink": fits_ink(recipe, pairs[0]), **options}
    method = create_method("arnet-mstr", TINY, weights, **settings)  # type: ignore[arg-type]
    train_images, test = (load_images_for(method, some) for some in pairs)
    device = torch.device("cuda")
    trainer = Trainer(method, train_images, recipe, seed=seed, device=device, precision="bf16")
    start = time.perf_counter()
    while trainer.epoch < recipe.epochs and time.perf_counter() < until:
        trainer.train_epoch()
    seconds = time.perf_counter() - start
    found = evaluate(trainer.trained, test.to(device))
    return {
        "recipe": recipe.name,
        "seed": seed,
        "options": options,
        "epochs": trainer.epoch,
        "minutes": round(seconds / 60, 2),
        **{f"acc@{q}": found.accuracy(q) for q in (1, 5, 10)},
    }


def stages(data: Path, out: Path, until: float) -> dict[str, Callable[[], object]]:
    """Return every stage by the name of the file that it writes."""
    found: dict[str, Callable[[], object]] = {"step": lambda: measure_steps(data, out)}
    for seed in range(3):
        for weight in (STRONG.method.get("fusion_weight", 0.1), 0.0):

            def one(seed: int = seed, weight: object = weight) -> Row:
                return train(data, STRONG, seed, until, fusion_weight=weight)

            found[f"strong-{seed}-fusion-{weight}"] = one
    found["published"] = lambda: train(data, PUBLISHED, 0, until)
    return found


def main() -> None:
    """Run every stage that has no result yet, and write each as it ends."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--minutes", type=float, default=9.0, help="time for all of it")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    until = time.perf_counter() + 60 * arguments.minutes
    data = Path(os.environ["CLOTHES_SHARED_DATA"])
    for name, stage in stages(data, arguments.out, until).items():
        path = arguments.out / f"gpu-{name}.json"
        if path.exists() or time.perf_counter() > until:
            continue
        result = {"device": torch.cuda.get_device_name(), "result": stage()}
        path.write_text(json.dumps(result, indent=1) + "\n")
        print(name, json.dumps(result["result"]), flush=True)


if __name__ == "__main__":
    main()
