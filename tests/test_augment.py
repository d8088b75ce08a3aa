"""Views of images, beside slow references: what moves, what recolors, what stays white."""

from __future__ import annotations

import colorsys
import math

import pytest
import torch
from torch import Tensor

from arnet.augment import (
    A0,
    A1,
    A2,
    AFFINE,
    VIEWS,
    Drawn,
    View,
    draw,
    mirrored,
    parse_views,
    to_unit,
    transform,
)
from arnet.errors import ArnetError


def picture(count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.randint(0, 256, (count, 3, 32, 32), generator=generator).to(torch.uint8)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def theta_of(view: View, count: int) -> Tensor:
    theta = draw(view, count, seeded()).theta
    assert theta is not None
    return theta


def test_the_anchor_view_changes_nothing() -> None:
    assert not A0.moves
    assert not A0.recolors
    assert draw(A0, 2, seeded()) == Drawn(None)
    assert torch.equal(transform(picture(), draw(A0, 2, seeded())), to_unit(picture()))


def test_a_sure_flip_mirrors() -> None:
    flipped = to_unit(picture()).flip(3)
    drawn = draw(View("flip", flip=1.0), 2, seeded())
    assert torch.allclose(transform(picture(), drawn), flipped, atol=1e-5)
    joint = draw(A0, 2, seeded(), torch.tensor([True, False]))
    assert torch.allclose(transform(picture(), joint)[0], flipped[0], atol=1e-5)
    assert torch.allclose(transform(picture(), joint)[1], to_unit(picture())[1], atol=1e-5)


def test_mirroring_comes_before_all_else() -> None:
    theta = theta_of(AFFINE, 8)
    both = mirrored(theta, torch.ones(8, dtype=torch.bool))
    images = picture(8)
    assert torch.allclose(
        transform(images, Drawn(both)), transform(images.flip(3), Drawn(theta)), atol=1e-4
    )


def test_what_enters_from_outside_is_white() -> None:
    black = torch.zeros((64, 3, 32, 32), dtype=torch.uint8)
    turned = View("turned", rotation=30, zoom=(0.5, 0.5), shift=0.2, bend=0.02)
    views = transform(black, draw(turned, 64, seeded()))
    assert views.amin() == 0
    assert views.amax() == 1
    corners = views[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.mean() > 0.9


def test_a1_flips_four_in_five_and_zooms_as_published() -> None:
    theta = theta_of(A1, 4000)
    determinant = torch.linalg.det(theta[:, :, :2])
    assert (determinant < 0).float().mean().item() == pytest.approx(0.8, abs=0.02)
    assert torch.allclose(determinant.abs(), torch.tensor((224 / 268) ** 2))
    angle = torch.rad2deg(torch.atan2(-theta[:, 0, 1], theta[:, 1, 1]))
    assert 29 < angle.abs().max() <= 30.001


def test_a2_crops_inside_the_image_and_recolors() -> None:
    theta = theta_of(A2, 4000)
    width, height = theta[:, 0, 0].abs(), theta[:, 1, 1]
    area = width * height
    assert 0.07 < area.min() < 0.1
    assert 0.95 < area.max() <= 1
    assert (width / height).min() > 0.74
    assert (width / height).max() < 1.34
    # A crop never reaches beyond the border, which lies at 1.
    assert (width + theta[:, 0, 2].abs()).max() <= 1 + 1e-6
    assert (height + theta[:, 1, 2].abs()).max() <= 1 + 1e-6
    color = draw(A2, 4000, seeded()).color
    assert color is not None
    assert color[:, :3].amin() >= 0.6
    assert color[:, :3].amax() <= 1.4
    assert color[:, 3].abs().max() <= 0.1 * 2 * math.pi


def recolored(pixel: tuple[float, float, float], **how: float) -> list[float]:
    values = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0, "gray": 0.0, **how}
    color = torch.tensor([list(values.values())])
    image = (torch.tensor(pixel).view(1, 3, 1, 1) * 255).round().to(torch.uint8)
    found: list[float] = transform(image, Drawn(None, None, color)).flatten().tolist()
    return found


def test_colors_change_as_they_should() -> None:
    pixel = (0.2, 0.4, 0.6)
    luma = 0.299 * 0.2 + 0.587 * 0.4 + 0.114 * 0.6
    assert recolored(pixel) == pytest.approx(pixel, abs=1e-3)
    assert recolored(pixel, brightness=1.2) == pytest.approx([0.24, 0.48, 0.72], abs=1e-3)
    assert recolored(pixel, brightness=2.0)[2] == pytest.approx(1.0, abs=1e-3)
    assert recolored(pixel, gray=1.0) == pytest.approx([luma] * 3, abs=1e-3)
    half = [luma + 0.5 * (value - luma) for value in pixel]
    assert recolored(pixel, saturation=0.5) == pytest.approx(half, abs=1e-3)
    # One pixel is its own mean, so that contrast acts as saturation does.
    assert recolored(pixel, contrast=0.5) == pytest.approx(half, abs=1e-3)
    turned = recolored(pixel, hue=math.radians(120))
    assert sum(turned) != pytest.approx(0)
    hue = [colorsys.rgb_to_hsv(*color)[0] for color in (pixel, turned)]
    assert abs((hue[1] - hue[0] + 0.5) % 1 - 0.5) == pytest.approx(1 / 3, abs=0.08)
    gray = (0.5, 0.5, 0.5)
    assert recolored(gray, hue=1.0) == pytest.approx(gray, abs=4e-3)


def test_bending_moves_a_little_and_smoothly() -> None:
    ramp = torch.linspace(0, 255, 64).round().to(torch.uint8).expand(1, 3, 64, 64)
    bent = transform(ramp, draw(View("bent", bend=0.03), 1, seeded()))
    change = (bent - to_unit(ramp))[..., 8:-8, 8:-8]
    assert 0.002 < change.abs().mean() < 0.1
    assert (change[..., 1:, :] - change[..., :-1, :]).abs().max() < 0.05


def test_what_is_drawn_for_an_image_does_not_depend_on_the_others() -> None:
    view = View("all", rotation=20, shift=0.1, bend=0.02, brightness=0.3, gray=0.5)
    drawn = draw(view, 6, seeded())
    images = picture(6)
    chosen = torch.tensor([4, 1])
    assert torch.equal(
        transform(images[chosen], drawn.of(chosen)), transform(images, drawn)[chosen]
    )


def test_views_are_named() -> None:
    assert parse_views("A0+A1") == (A0, A1)
    assert parse_views("A2") == (A2, None)
    assert set(VIEWS) >= {"A0", "A1", "A2", "affine"}
    with pytest.raises(ArnetError, match="Did you mean 'affine'"):
        parse_views("afine+A1")
    with pytest.raises(ArnetError, match="one or two"):
        parse_views("A0+A1+A2")
