"""Backbones: their tokens, their normalization, and which weights they take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from arnet.encoders import BackboneSpec, Encoder
from arnet.errors import ArnetError
from arnet.registry import create_method
from arnet.weights import load_backbone_weights, read_spec


def weights_of(name: str, folder: Path, **options: object) -> Path:
    """Write a backbone's own random weights, classifier included, as timm names them."""
    torch.manual_seed(3)
    path = folder / f"{name}.safetensors"
    save_file(timm.create_model(name, **options).state_dict(), path)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(
    ("name", "side", "grid", "dim"),
    [
        ("test_vit", None, (10, 10), 64),
        ("test_vit", 96, (6, 6), 64),
        ("test_efficientnet", None, (5, 5), 256),
        ("resnet10t", 96, (3, 3), 512),
        ("swin_tiny_patch4_window7_224", None, (7, 7), 768),
    ],
)
def test_features(name: str, side: int | None, grid: tuple[int, int], dim: int) -> None:
    encoder = Encoder(BackboneSpec(name, image_size=side)).eval()
    features = encoder(torch.rand(2, 3, *encoder.size))
    assert (encoder.grid, encoder.dim) == (grid, dim)
    assert features.cls.shape == (2, dim)
    assert features.patches.shape == (2, grid[0] * grid[1], dim)


def test_patches_are_in_raster_order() -> None:
    for name in ("test_efficientnet", "swin_tiny_patch4_window7_224"):
        encoder = Encoder(BackboneSpec(name)).eval()
        rows, columns = encoder.grid
        image = torch.zeros(1, 3, *encoder.size)
        changed = image.clone()
        height, width = encoder.size
        changed[:, :, : height // rows, -width // columns :] = 1
        with torch.inference_mode():
            difference = (encoder(changed).patches - encoder(image).patches).norm(dim=2)
        row, column = divmod(int(difference.argmax()), columns)
        assert row < rows / 2 < column


def test_inputs_are_normalized_with_the_backbones_own_mean_and_std() -> None:
    encoder = Encoder(BackboneSpec("test_efficientnet")).eval()
    config = encoder.backbone.pretrained_cfg
    images = torch.rand(1, 3, *encoder.size)
    mean, std = (torch.tensor(config[key]).view(3, 1, 1) for key in ("mean", "std"))
    with torch.inference_mode():
        plain = encoder.backbone.forward_features((images - mean) / std)
        assert torch.equal(encoder(images).patches, plain.flatten(2).mT)


def test_chunks_change_nothing() -> None:
    encoder = Encoder(BackboneSpec("test_vit")).eval()
    images = torch.rand(7, 3, *encoder.size)
    with torch.inference_mode():
        whole = encoder(images)
        encoder.chunk = 3
        for part, all_at_once in zip(encoder(images), whole, strict=True):
            assert (part - all_at_once).abs().max() < 1e-5


@pytest.mark.parametrize(
    "name",
    [
        "vit_tiny_patch16_224",
        "test_vit",
        "test_vit4",
        "deit_tiny_patch16_224",
        "swin_tiny_patch4_window7_224",
        "test_efficientnet",
    ],
)
def test_the_class_token_alone_is_the_same(name: str) -> None:
    torch.manual_seed(0)
    encoder = Encoder(BackboneSpec(name)).eval()
    encoder.chunk = 2
    images = torch.rand(3, 3, *encoder.size)
    whole, alone = encoder(images).cls, encoder(images, only_class_token=True).cls
    assert (whole - alone).abs().max() < 1e-5
    assert encoder(images).patches.shape[1] == encoder.grid[0] * encoder.grid[1]
    parameters = list(encoder.parameters())
    gradients = [torch.autograd.grad(cls.sum(), parameters) for cls in (whole, alone)]
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-4)


def test_plain_vision_transformers_leave_out_what_nobody_reads() -> None:
    assert Encoder(BackboneSpec("vit_tiny_patch16_224")).last_block is not None
    assert Encoder(BackboneSpec("swin_tiny_patch4_window7_224")).last_block is None


def test_live_batch_norm_sees_the_whole_batch() -> None:
    encoder = Encoder(BackboneSpec("test_efficientnet"))
    encoder.chunk = 2
    encoder.train()
    encoder(torch.rand(6, 3, *encoder.size))
    norm = next(m for m in encoder.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert norm.num_batches_tracked == 1


def test_weights_load_into_every_parameter(tmp_path: Path) -> None:
    for name in ("test_vit", "test_efficientnet", "test_convnext"):
        path = weights_of(name, tmp_path)
        load_backbone_weights(Encoder(read_spec(name, path, 96)), path)
        if name != "test_vit":
            continue
        encoder = Encoder(read_spec(name, path))
        load_backbone_weights(encoder, path)
        torch.manual_seed(3)
        original: Any = timm.create_model(name).eval()
        images = torch.rand(2, 3, *encoder.size)
        with torch.inference_mode():
            expected = original.forward_features((images - encoder.mean) / encoder.std)
            assert torch.equal(encoder.eval()(images).cls, expected[:, 0])


def test_positions_are_stretched_to_another_size_of_image(tmp_path: Path) -> None:
    # The first channel says left (0) or right (1), the second top or bottom; the class has 7.
    ramp = torch.linspace(0, 1, 10)
    places = torch.stack([ramp.repeat(10), ramp.repeat_interleave(10)], dim=1)
    state = timm.create_model("test_vit").state_dict()
    state["pos_embed"] = torch.zeros(1, 101, 64)
    state["pos_embed"][0, 0], state["pos_embed"][0, 1:, :2] = 7, places
    path = tmp_path / "weights.safetensors"
    save_file(state, path)
    for side, cells in ((96, 6), (160, 10), (256, 16)):
        encoder = Encoder(read_spec("test_vit", path, side))
        load_backbone_weights(encoder, path)
        found = encoder.backbone.pos_embed.detach()[0]
        assert torch.equal(found[0], torch.full((64,), 7.0))
        # The centers of the new cells, in units of the old ones' first to last center.
        there = (((torch.arange(cells) + 0.5) * 10 / cells - 0.5) / 9).clamp(0, 1)
        assert torch.allclose(found[1:, 0].view(cells, cells)[cells // 2], there, atol=0.03)
        assert torch.allclose(found[1:, 1].view(cells, cells)[:, 0], there, atol=0.03)
    state["pos_embed"] = torch.zeros(1, 100, 64)
    save_file(state, path)
    with pytest.raises(ArnetError, match="'pos_embed' is"):
        load_backbone_weights(Encoder(read_spec("test_vit", path, 96)), path)


@pytest.mark.parametrize(
    ("of", "to", "message"),
    [
        ("test_vit", "test_efficientnet", "tensors are missing"),
        ("vit_tiny_patch16_224", "vit_small_patch16_224", "instead of"),
    ],
)
def test_weights_of_another_backbone_are_refused(
    of: str, to: str, message: str, tmp_path: Path
) -> None:
    path = weights_of(of, tmp_path)
    with pytest.raises(ArnetError, match=message) as caught:
        load_backbone_weights(Encoder(BackboneSpec(to)), path)
    assert f"not weights of {to}" in str(caught.value)


def test_weights_with_more_than_the_backbone_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(timm.create_model("test_vit").state_dict() | {"blocks.99.x": torch.zeros(1)}, path)
    with pytest.raises(ArnetError, match="1 tensors have no place in it"):
        load_backbone_weights(Encoder(BackboneSpec("test_vit")), path)


def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"\x80\x04\x95 a pickle")
    with pytest.raises(ArnetError, match="cannot be read as safetensors"):
        load_backbone_weights(Encoder(BackboneSpec("test_vit")), path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"tim": {}}', "did you mean 'timm'"),
        ('{"mean": [0.5]}', "not a description"),
        ("{", "not a description"),
        ("[]", "not a description"),
    ],
)
def test_a_wrong_sidecar_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "w.json").write_text(text)
    with pytest.raises(ArnetError, match=f"(?i){message}"):
        read_spec("test_vit", tmp_path / "w.safetensors")


def test_options_that_a_backbone_does_not_take_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.json").write_text('{"timm": {"no_such_option": 1}}')
    with pytest.raises(ArnetError, match="does not take these options"):
        Encoder(read_spec("test_vit", tmp_path / "w.safetensors"))


def folded(folder: Path) -> Path:
    """Write weights whose batch norm is folded away at an epsilon of 0.001."""
    path = weights_of("test_efficientnet", folder, bn_eps=1e-3)
    state = timm.create_model("test_efficientnet").state_dict()
    for key, tensor in state.items():
        if key.endswith("running_var"):
            tensor.fill_(1 - 1e-3)
    save_file(state, path)
    return path


def test_folded_batch_norm_needs_its_sidecar(tmp_path: Path) -> None:
    path = folded(tmp_path)
    with pytest.raises(ArnetError, match=r"folded.*test_efficientnet\.json.*0\.001"):
        load_backbone_weights(Encoder(read_spec("test_efficientnet", path)), path)


@pytest.mark.parametrize(
    "sidecar",
    [
        {"freeze_bn": True},
        {"timm": {"bn_eps": 1e-3}},
        {"timm": {"bn_eps": 1e-5}, "freeze_bn": True},
    ],
)
def test_a_sidecar_that_does_not_fit_the_folding_is_refused(
    sidecar: dict[str, object], tmp_path: Path
) -> None:
    path = folded(tmp_path)
    path.with_suffix(".json").write_text(json.dumps(sidecar))
    with pytest.raises(ArnetError, match="folded"):
        load_backbone_weights(Encoder(read_spec("test_efficientnet", path)), path)


def test_a_frozen_batch_norm_learns_nothing_and_is_saved(tmp_path: Path) -> None:
    path = folded(tmp_path)
    sidecar = {"timm": {"bn_eps": 1e-3}, "mean": [0.5] * 3, "std": [0.5] * 3, "freeze_bn": True}
    path.with_suffix(".json").write_text(json.dumps(sidecar))
    method = create_method("arnet-basic", "test_efficientnet", path)
    assert not any("bn" in name for name, _ in method.named_parameters())
    assert any("bn1.running_var" in name for name in method.state_dict())
    assert method.config["backbone"]["freeze_bn"]
    assert method.config["backbone"]["mean"] == (0.5, 0.5, 0.5)
