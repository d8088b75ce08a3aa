"""Thinning out blank patches: exactly what running the kept ones alone would give."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from arnet.device import prepare
from arnet.encoders import BackboneSpec, Encoder
from arnet.errors import ArnetError
from arnet.ink import ink_of, thinned_cells


def drawing(seed: int, lines: int) -> Tensor:
    """White paper with some random horizontal lines."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.ones(3, 160, 160)
    for row in torch.randint(0, 160, (lines,), generator=generator):
        start = int(torch.randint(0, 120, (1,), generator=generator))
        image[:, row, start : start + 40] = 0.1
    return image


def test_ink_is_the_darkest_pixel_of_a_cell() -> None:
    images = torch.ones(1, 3, 32, 32)
    images[0, 1, 9, 20] = 0.25
    ink = ink_of(images, (4, 4))[0]
    assert ink[4 + 2] == 0.75
    assert ink.sum() == 0.75
    kept = thinned_cells(images, (4, 4))[0].nonzero().flatten().tolist()
    assert kept == [0, 2, 6, 8, 10]


def alone(encoder: Encoder, image: Tensor) -> tuple[Tensor, Tensor]:
    """Run a backbone's blocks on the kept patches of one image, without any mask."""
    backbone: Any = encoder.backbone
    kept = thinned_cells(image[None], encoder.grid)[0]
    tokens = backbone.patch_embed((image[None] - encoder.mean) / encoder.std)
    tokens = tokens.flatten(1, 2) if tokens.dim() == 4 else tokens
    position = backbone.pos_embed
    tokens = (tokens + position[:, 1:])[:, kept]
    tokens = torch.cat([backbone.cls_token + position[:, :1], tokens], dim=1)
    for block in backbone.blocks:
        tokens = block(tokens)
    tokens = backbone.norm(tokens)
    patches = torch.zeros(len(kept), tokens.shape[2])
    patches[kept] = tokens[0, 1:]
    return tokens[0, 0], patches


@pytest.mark.parametrize("chunk", [0, 3])
def test_thinning_is_running_the_kept_patches_alone(chunk: int) -> None:
    torch.manual_seed(0)
    encoder = Encoder(BackboneSpec("test_vit", thin_blank=True)).eval()
    prepare(encoder, torch.device("cpu"))
    encoder.chunk = chunk
    images = torch.stack([drawing(seed, lines) for seed, lines in enumerate((9, 0, 3, 1, 30))])
    with torch.inference_mode():
        found, cls_alone = encoder(images), encoder(images, only_class_token=True).cls
        for image, cls, patches, token in zip(images, *found, cls_alone, strict=True):
            slow_cls, slow_patches = alone(encoder, image)
            assert torch.allclose(cls, slow_cls, atol=1e-5)
            assert torch.allclose(token, slow_cls, atol=1e-5)
            assert torch.allclose(patches, slow_patches, atol=1e-5)


def test_a_full_picture_is_not_thinned() -> None:
    torch.manual_seed(0)
    plain = Encoder(BackboneSpec("test_vit")).eval()
    thin = Encoder(BackboneSpec("test_vit", thin_blank=True)).eval()
    thin.load_state_dict(plain.state_dict())
    images = torch.rand(2, 3, 160, 160) * 0.9
    with torch.inference_mode():
        for a, b in zip(plain(images), thin(images), strict=True):
            assert torch.allclose(a, b, atol=1e-5)


def test_other_backbones_look_at_all() -> None:
    assert not Encoder(BackboneSpec("test_resnet", thin_blank=True)).thins
    assert not Encoder(BackboneSpec("pvt_v2_b0", thin_blank=True)).thins
    encoder = Encoder(BackboneSpec("test_vit", thin_blank=True))
    with pytest.raises(ArnetError, match="thin_blank=false"):
        encoder.checkpoint_blocks()
