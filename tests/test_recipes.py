"""What a recipe can ask for: averages, decays by layer, memory saved, batches that fit."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from arnet.checkpoint import load_tensors, save_tensors
from arnet.data import PairImages, load_pairs
from arnet.device import is_out_of_memory
from arnet.errors import ArnetError, BatchTooLargeError
from arnet.methods.base import Batch, Gather, Loss, Method, own_rows
from arnet.optimizers import layers_from_top, make_optimizer
from arnet.options import with_options
from arnet.recipes import PUBLISHED, STRONG, Recipe
from arnet.registry import create_method
from arnet.train import Trainer
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.learn.baseline import baseline
from clothes_toolkit.learn.bridge import pairs_of
from clothes_toolkit.learn.session import Watcher
from clothes_toolkit.learn.spec import BaselineSpec

SHORT = dataclasses.replace(STRONG, epochs=2, batch_size=8, lr=1e-3, views="affine+A1")


@pytest.fixture(scope="module")
def images(garments: Path) -> PairImages:
    return load_pairs(pairs_of(Dataset.open(garments), "train"), (64, 64))


def build(name: str = "arnet-basic", backbone: str = "test_vit", **options: Any) -> Method:
    torch.manual_seed(0)
    return create_method(name, backbone, image_size=64, **options)


def test_an_average_is_the_slow_average(images: PairImages) -> None:
    trainer = Trainer(build(), images, dataclasses.replace(SHORT, ema=0.5))
    slow = [p.detach().clone() for p in trainer.method.parameters()]
    step = 0

    def follow(*_: int) -> None:
        """Hear of each step after its update."""
        nonlocal step
        step += 1
        # Warm-up: the average forgets faster at first, and starts after the first step.
        decay = min(0.5, 1 - step ** -(2 / 3)) if step > 1 else 0.0
        for mine, parameter in zip(slow, trainer.method.parameters(), strict=True):
            mine.mul_(decay).add_(parameter.detach(), alpha=1 - decay)

    trainer.train_epoch(follow)
    assert trainer.trained is not trainer.method
    for mine, averaged in zip(slow, trainer.trained.parameters(), strict=True):
        assert torch.allclose(mine, averaged, atol=1e-6)


def test_an_average_is_restored(images: PairImages, tmp_path: Path) -> None:
    recipe = dataclasses.replace(SHORT, ema=0.9)
    whole, stopped, resumed = (Trainer(build(), images, recipe) for _ in range(3))
    for _ in range(2):
        whole.train_epoch()
    stopped.train_epoch()
    save_tensors(tmp_path / "state.safetensors", stopped.state(), {})
    resumed.restore(load_tensors(tmp_path / "state.safetensors")[0], 1)
    resumed.train_epoch()
    for a, b in zip(whole.trained.parameters(), resumed.trained.parameters(), strict=True):
        assert torch.equal(a, b)
    assert Trainer(build(), images, SHORT).trained is not None


@pytest.mark.parametrize("backbone", ["test_vit", "test_resnet", "test_convnext"])
def test_lower_layers_learn_slower(backbone: str) -> None:
    method = build("arnet-mstr", backbone, scales=(1, 2))
    depth = layers_from_top(method)
    of_encoders = {n for n, _ in method.named_parameters() if ".encoder.backbone." in n}
    assert set(depth) >= of_encoders
    assert min(depth.values()) == 1
    recipe = dataclasses.replace(SHORT, layer_decay=0.5)
    scale = {
        id(parameter): group["lr_scale"]
        for group in make_optimizer(method, recipe).param_groups
        for parameter in group["params"]
    }
    named = dict(method.named_parameters())
    assert len(scale) == len(named)
    for name, parameter in named.items():
        assert scale[id(parameter)] == 0.5 ** depth.get(name, 0)
    heads = [n for n in named if ".head." in n or ".mstr." in n]
    assert {scale[id(named[n])] for n in heads} == {1.0}
    assert max(depth.values()) > 2


def test_the_published_optimizer_decays_everything() -> None:
    (group,) = make_optimizer(build(), PUBLISHED).param_groups
    assert (group["weight_decay"], group["lr_scale"]) == (1e-4, 1.0)
    groups = make_optimizer(build(), STRONG).param_groups
    assert {(g["weight_decay"], g["params"][0].dim() > 1) for g in groups} == {
        (STRONG.weight_decay, True),
        (0.0, False),
    }


def test_a_larger_eps_keeps_rounding_from_moving_a_weight() -> None:
    moved = []
    for eps in (1e-8, 1e-6):
        method = build()
        recipe = dataclasses.replace(STRONG, weight_decay=0.0, eps=eps)
        optimizer = make_optimizer(method, recipe)
        weight = method.get_parameter("sketch_branch.head.weight")
        before = weight.detach().clone()
        weight.grad = torch.full_like(weight, 1e-8)
        optimizer.step()
        moved.append((weight.detach() - before).abs().max().item() / recipe.lr)
    assert moved[0] == pytest.approx(0.5, rel=0.01)
    assert moved[1] == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("backbone", ["test_vit", "test_convnext"])
def test_checkpointed_blocks_give_the_same_gradients(backbone: str, images: PairImages) -> None:
    losses = []
    for saving in (False, True):
        recipe = dataclasses.replace(SHORT, grad_checkpointing=saving)
        losses.append(Trainer(build(backbone=backbone), images, recipe).train_epoch().loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_backbone_without_blocks_says_so(images: PairImages) -> None:
    recipe = dataclasses.replace(SHORT, grad_checkpointing=True)
    with pytest.raises(ArnetError, match="vgg11 cannot do without"):
        Trainer(build(backbone="vgg11"), images, recipe)


@pytest.mark.slow
def test_a_compiled_backbone_trains_the_same(images: PairImages) -> None:
    losses = []
    for compiled in (False, True):
        recipe = dataclasses.replace(SHORT, compile=compiled)
        losses.append(Trainer(build(), images, recipe).train_epoch().loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_one_view_alone_has_no_intra_term(images: PairImages) -> None:
    recipe = dataclasses.replace(SHORT, views="A1")
    stats = Trainer(build(), images, recipe).train_epoch()
    assert set(stats.terms) == {"multi", "inter"}
    assert stats.views_per_second == pytest.approx(2 * len(images) / stats.seconds)


@pytest.mark.parametrize("views", ["A0+A1", "A0+A2", "A1+A2", "A2+A1", "A2", "affine+A2"])
def test_any_pairing_of_views_trains(views: str, images: PairImages) -> None:
    recipe = dataclasses.replace(SHORT, views=views, epochs=1)
    assert Trainer(build(), images, recipe).train_epoch().loss > 0


def test_a_term_of_weight_zero_is_left_out(images: PairImages) -> None:
    method = build("arnet-mstr", scales=(1, 2), intra_weight=0.0, recycling_weight=0.0)
    stats = Trainer(method, images, dataclasses.replace(SHORT, views="A0+A1")).train_epoch()
    assert set(stats.terms) == {"multi", "inter"}
    # Second views, which only the intra term looks at, are not even made.
    assert stats.views_per_second == pytest.approx(2 * len(images) / stats.seconds)
    with pytest.raises(ArnetError, match="multi_weight must be above 0"):
        build(multi_weight=0.0)


def test_temperature_and_fusion_can_be_learned(images: PairImages) -> None:
    method = build("arnet-mstr", scales=(1, 2), learn_temperature=True, learn_fusion=True)
    before = {n: p.detach().clone() for n, p in method.named_parameters() if p.dim() == 0}
    assert len(before) == 3
    Trainer(method, images, SHORT).train_epoch()
    for name, value in before.items():
        assert method.get_parameter(name) != value, name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"views": "A0+A7"}, "no view 'A7'"),
        ({"ema": "1.5"}, "ema must be between 0 and 1"),
        ({"layer_decay": "-1"}, "layer_decay must be between 0 and 1"),
        ({"eps": "0"}, "eps must be above 0"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ArnetError, match=message):
        with_options(STRONG, settings)


class Greedy(Method):
    """A network that takes more memory than there is for batches over `limit`."""

    limit = 5

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 4)
        self.size = (64, 64)
        self.config = {"method": "greedy", "backbone": {}, "options": {}}

    def training_loss(self, batch: Batch, _gather: Gather = own_rows) -> Loss:
        if len(batch.sketch) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        total = self.embed_sketch(batch.sketch).square().mean()
        return Loss(total, {"multi": total})

    def embed_sketch(self, images: Tensor) -> Tensor:
        embedded: Tensor = self.layer(images.mean(dim=(2, 3)))
        return embedded

    embed_photo = embed_sketch


def test_a_batch_that_does_not_fit_says_which_would(images: PairImages) -> None:
    with pytest.raises(BatchTooLargeError, match="use --batch-size 4, which does") as caught:
        Trainer(Greedy(), images, dataclasses.replace(SHORT, batch_size=16)).train_epoch()
    assert (caught.value.size, caught.value.fits) == (16, 4)


def test_a_network_that_never_fits_says_so(images: PairImages) -> None:
    method = Greedy()
    method.limit = 1
    with pytest.raises(BatchTooLargeError, match="take a smaller backbone"):
        Trainer(method, images, SHORT).train_epoch()


class Told(Watcher):
    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def smaller_batch(self, asked: int, fits: int) -> None:
        self.sizes.append((asked, fits))


def limited(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    from arnet.methods.arnet import ARNet

    whole = ARNet.training_loss

    def training_loss(self: ARNet, batch: Batch, gather: Gather = own_rows) -> Loss:
        if len(batch.sketch) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return whole(self, batch, gather)

    monkeypatch.setattr(ARNet, "training_loss", training_loss)


def test_auto_halves_the_batch_until_it_fits(
    garments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, told = Dataset.open(garments), Told()
    spec = BaselineSpec(
        "arnet-basic", "test_vit", "none", epochs=2, lr=1e-3, device="cpu", precision="fp32",
        settings={"image_size": "64"},
    )  # fmt: skip
    plain = baseline(dataset, dataclasses.replace(spec, batch_size=8), tmp_path / "plain")
    limited(monkeypatch, 9)
    result = baseline(dataset, spec, tmp_path / "run", watcher=told)
    ((asked, fits),) = told.sizes
    assert asked > 9
    assert (
        result.runs[0].batch_size
        == fits
        == next(n for n in (asked // 2, asked // 4, asked // 8) if n <= 9)
    )
    written = json.loads((tmp_path / "run" / "result.json").read_text())
    assert written["runs"][0]["batch_size"] == fits
    if fits == 8:
        assert result.runs[0].accuracy == plain.runs[0].accuracy
    with pytest.raises(ToolkitError, match=r"a batch of \d+ pairs does not fit.*--batch-size"):
        baseline(dataset, dataclasses.replace(spec, batch_size=16), tmp_path / "asked")


LITTLE_MEMORY = """
import resource, sys, torch
from arnet.device import is_out_of_memory
torch.zeros(10) @ torch.zeros(10)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**28,) * 2)
try:
    torch.zeros(2**32)
except (RuntimeError, MemoryError) as error:
    sys.exit(0 if is_out_of_memory(error) else f"not recognized: {error}")
sys.exit("no error")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_real_lack_of_memory_is_recognized() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", LITTLE_MEMORY], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes do not match"))


def test_recipes_are_values() -> None:
    assert isinstance(PUBLISHED, Recipe)
    assert (PUBLISHED.views, PUBLISHED.ema, PUBLISHED.layer_decay) == ("A0+A1", 0.0, 1.0)
