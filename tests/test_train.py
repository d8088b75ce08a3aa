"""The trainer: what it repeats, what it refuses, what its schedule does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from arnet.checkpoint import load_tensors, save_tensors
from arnet.data import Loader, PairImages, Pairs, load_images, load_pairs, open_rgb
from arnet.device import choose_device, choose_precision
from arnet.encoders import Encoder
from arnet.errors import ArnetError, TrainingDivergedError
from arnet.evaluate import evaluate
from arnet.optimizers import lr_share
from arnet.options import with_options
from arnet.recipes import PUBLISHED, STRONG, Recipe, get_recipe
from arnet.registry import create_method
from arnet.train import Trainer, count_batches
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.learn.bridge import open_picture, pairs_of

SHORT = dataclasses.replace(STRONG, epochs=3, batch_size=6, lr=1e-3, views="affine+A1")


@pytest.fixture(scope="module")
def images(garments: Path) -> PairImages:
    return load_pairs(pairs_of(Dataset.open(garments), "train"), (64, 64))


def trainer(
    images: PairImages, seed: int = 0, recipe: Recipe = SHORT, backbone: str = "test_vit"
) -> Trainer:
    torch.manual_seed(seed)
    method = create_method("arnet-mstr", backbone, image_size=64, scales=(1, 2))
    return Trainer(method, images, recipe, seed=seed)


def weights(trained: Trainer) -> list[Tensor]:
    return [tensor.clone() for tensor in trained.method.state_dict().values()]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_one_seed_gives_the_same_bits_and_another_does_not(images: PairImages) -> None:
    runs = [trainer(images, seed) for seed in (0, 0, 1)]
    losses = [run.train_epoch().loss for run in runs]
    assert losses[0] == losses[1] != losses[2]
    assert same(weights(runs[0]), weights(runs[1]))


@pytest.mark.parametrize("recipe", [SHORT, dataclasses.replace(PUBLISHED, batch_size=6)])
@pytest.mark.parametrize("backbone", ["test_vit", "test_resnet"])
def test_a_restored_trainer_goes_on_bit_for_bit(
    backbone: str, recipe: Recipe, images: PairImages, tmp_path: Path
) -> None:
    whole = trainer(images, 0, recipe, backbone)
    for _ in range(3):
        whole.train_epoch()
    stopped = trainer(images, 0, recipe, backbone)
    stopped.train_epoch()
    save_tensors(tmp_path / "state.safetensors", stopped.state(), {"epoch": 1})
    resumed = trainer(images, 0, recipe, backbone)
    state, told = load_tensors(tmp_path / "state.safetensors")
    resumed.restore(state, told["epoch"])
    for _ in range(2):
        resumed.train_epoch()
    assert same(weights(whole), weights(resumed))


@pytest.mark.parametrize("recipe", [STRONG, PUBLISHED])
def test_training_lowers_the_loss(recipe: Recipe, images: PairImages) -> None:
    quick = dataclasses.replace(recipe, epochs=4, batch_size=8, lr=1e-3)
    run = trainer(images, recipe=quick)
    losses = [run.train_epoch().loss for _ in range(4)]
    assert losses[-1] < losses[0]


def test_a_trained_network_beats_chance(images: PairImages) -> None:
    torch.manual_seed(0)
    method = create_method("arnet-mstr", "test_resnet", image_size=64, scales=(1, 2))
    run = Trainer(method, images, dataclasses.replace(SHORT, epochs=25, batch_size=8))
    for _ in range(25):
        run.train_epoch()
    found = evaluate(run.method, images)
    assert found.accuracy(1) > 3 * 100 / found.n_gallery


def test_statistics_of_an_epoch(images: PairImages) -> None:
    steps: list[tuple[int, int]] = []
    stats = trainer(images).train_epoch(lambda done, total: steps.append((done, total)))
    batches = -(-len(images) // SHORT.batch_size)
    assert steps == [(n, batches) for n in range(1, batches + 1)]
    assert stats.epoch == 1
    assert set(stats.terms) == {"multi", "intra", "inter", "recycling"}
    assert stats.loss == pytest.approx(sum(stats.terms.values()), rel=1e-4)
    assert stats.views_per_second == pytest.approx(4 * len(images) / stats.seconds)


def test_bf16_trains(images: PairImages) -> None:
    torch.manual_seed(0)
    method = create_method("arnet-mstr", "test_vit", image_size=64, scales=(1, 2, 4))
    low = Trainer(method, images, SHORT, precision="bf16").train_epoch()
    full = trainer(images).train_epoch()
    assert low.loss == pytest.approx(full.loss, rel=0.02)


def test_small_depthwise_convolutions_stay_in_fp32_on_a_cpu(images: PairImages) -> None:
    method = create_method("arnet-basic", "test_efficientnet", image_size=64)
    Trainer(method, images, SHORT, precision="bf16")
    (encoder, _) = (m for m in method.modules() if isinstance(m, Encoder))
    with torch.autocast("cpu", torch.bfloat16):
        assert encoder(torch.rand(1, 3, 64, 64), only_class_token=True).cls.dtype == torch.float32


def test_a_batch_larger_than_the_set_is_refused(images: PairImages) -> None:
    with pytest.raises(ArnetError, match=r"larger than the \d+ training pairs; use --batch-size"):
        trainer(images, recipe=dataclasses.replace(SHORT, batch_size=1000))


@given(st.integers(2, 2000), st.integers(2, 200))
def test_every_pair_is_contrasted_with_another(pairs: int, size: int) -> None:
    sizes = [len(batch) for batch in torch.arange(pairs).tensor_split(count_batches(pairs, size))]
    assert min(sizes) >= 2
    assert max(sizes) <= (size if pairs % 2 == 0 or size > 2 else 3)
    assert max(sizes) - min(sizes) <= 1


def test_a_diverged_loss_stops_with_what_to_change(images: PairImages) -> None:
    run = trainer(images, recipe=dataclasses.replace(SHORT, lr=1e38))
    with pytest.raises(TrainingDivergedError, match="lower --lr"):
        [run.train_epoch() for _ in range(3)]


@given(st.integers(1, 400), st.floats(0, 0.5))
def test_the_schedule_rises_then_falls_and_stays_in_bounds(total: int, warmup: float) -> None:
    recipe = dataclasses.replace(STRONG, warmup=warmup)
    shares = [lr_share(recipe, step, total) for step in range(1, total + 1)]
    peak = max(1, round(warmup * total))
    assert all(0 < share <= 1 for share in shares)
    assert shares[:peak] == sorted(shares[:peak])
    assert shares[peak - 1 :] == sorted(shares[peak - 1 :], reverse=True)
    assert {lr_share(PUBLISHED, step, total) for step in range(1, total + 1)} == {1.0}


def test_a_photo_without_sketches_stays_in_the_gallery(garments: Path) -> None:
    pairs = pairs_of(Dataset.open(garments), "test")
    extra = Pairs(pairs.sketches, (*pairs.photos, pairs.photos[0]), pairs.photo_of)
    assert len(load_pairs(extra, (32, 32)).photos) == len(pairs.photos) + 1


@pytest.mark.parametrize(
    ("photo_of", "message"), [((0,), "1 entries for 2 sketches"), ((0, 5), "not in the list")]
)
def test_pairs_that_do_not_fit_are_refused(photo_of: tuple[int, ...], message: str) -> None:
    with pytest.raises(ArnetError, match=message):
        Pairs((Path("a"), Path("b")), (Path("c"),), photo_of)
    with pytest.raises(ArnetError, match="no pairs"):
        Pairs((), (Path("c"),), ())


@pytest.mark.parametrize("opener", [open_rgb, open_picture])
@pytest.mark.parametrize("kind", ["L.png", "P.png", "LA.png", "RGBA.png", "I;16.png", "CMYK.jpg"])
def test_every_mode_shows_the_same_picture(kind: str, opener: Loader, tmp_path: Path) -> None:
    mode, _, extension = kind.partition(".")
    ramp = np.tile(np.linspace(0, 255, 64).round().astype(np.uint8), (64, 1))
    grey = Image.fromarray(ramp)
    if mode == "I;16":
        picture = Image.fromarray(ramp.astype(np.uint16) * 257)
    elif mode.endswith("A"):
        picture = Image.merge(mode, [grey] * (len(mode) - 1) + [Image.new("L", (64, 64), 255)])
    else:
        picture = (grey.convert("RGB") if mode == "CMYK" else grey).convert(mode)
    picture.save(tmp_path / f"x.{extension}")
    found = np.asarray(opener(tmp_path / f"x.{extension}")).astype(int)
    assert found.shape == (64, 64, 3)
    assert np.abs(found - ramp[..., None]).max() <= 4


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"x")
    with pytest.raises(ArnetError, match=r"broken\.png: cannot be read"):
        load_images([tmp_path / "broken.png"], (8, 8))


def test_settings_are_read_from_text() -> None:
    changed = with_options(STRONG, {"epochs": "7", "lr": "1e-3", "schedule": "constant"})
    assert (changed.epochs, changed.lr, changed.schedule) == (7, 1e-3, "constant")
    for settings in ({"epochs": "many"}, {"epochs": "0"}, {"schedule": "linear"}, {"anchor": "x"}):
        with pytest.raises(ArnetError):
            with_options(STRONG, settings)
    with pytest.raises(ArnetError, match="Did you mean 'strong'"):
        get_recipe("stong")


def test_devices_and_precisions() -> None:
    cpu = choose_device("cpu")
    assert choose_precision("fp32", cpu) == "fp32"
    assert choose_precision("auto", cpu) in ("fp32", "bf16")
    for choose in (lambda: choose_device("tpu"), lambda: choose_precision("fp8", cpu)):
        with pytest.raises(ArnetError, match="must be"):
            choose()
    if not torch.cuda.is_available():
        with pytest.raises(ArnetError, match="no CUDA device"):
            choose_device("cuda")
        assert choose_device("auto") == cpu
