"""Views of images: random transforms of whole batches, where the model runs.

The names A0, A1 and A2 are those of the ARNet authors' code: A0 leaves the image as it is, A1 zooms
in, rotates and flips it, A2 crops, flips and recolors it. What enters from outside is white.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from arnet.errors import ArnetError, did_you_mean

Range = tuple[float, float]
ONE: Range = (1.0, 1.0)
LUMA = (0.299, 0.587, 0.114)
YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
BENDS = 5
"""Rows and columns of the coarse grid of displacements that `View.bend` smooths."""


@dataclass(frozen=True, slots=True)
class View:
    """A family of random transforms.

    Attributes:
        name: what the view is called in recipes and papers.
        rotation: largest rotation either way, degrees.
        flip: probability of a horizontal mirror image.
        zoom: smallest and largest magnification.
        shift: largest shift either way, as a share of the side.
        crop: smallest and largest share of the area that a crop keeps; it fills the whole image.
        stretch: smallest and largest ratio of a crop's width to its height.
        bend: deviation of smooth displacements, as a share of the side; each image draws how much
            of it.
        brightness, contrast, saturation: largest change of the factor either way.
        hue: largest turn either way, as a share of the circle.
        gray: probability of losing all color.
    """

    name: str
    rotation: float = 0.0
    flip: float = 0.0
    zoom: Range = ONE
    shift: float = 0.0
    crop: Range = ONE
    stretch: Range = ONE
    bend: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    gray: float = 0.0

    @property
    def moves(self) -> bool:
        """Whether pixels change their place."""
        still = self.zoom == self.crop == self.stretch == ONE
        return not still or any((self.rotation, self.flip, self.shift, self.bend))

    @property
    def recolors(self) -> bool:
        """Whether pixels change their color."""
        return any((self.brightness, self.contrast, self.saturation, self.hue, self.gray))


A0 = View("A0")
"""The anchor: the image as it is."""

A1 = View("A1", rotation=30.0, flip=0.8, zoom=(268 / 224, 268 / 224))
"""The released recipe's second view: resize to 268, rotate, flip, crop the middle 224."""

A2 = View(
    "A2",
    flip=0.5,
    crop=(0.08, 1.0),
    stretch=(3 / 4, 4 / 3),
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    hue=0.1,
)
"""The view that the authors tried and rejected: random crop, flip, color jitter."""

AFFINE = View("affine", rotation=10.0, zoom=(0.9, 1.1), shift=0.05)
"""A little of everything that leaves a drawing what it is."""

VIEWS = {view.name: view for view in (A0, A1, A2, AFFINE)}


def parse_views(text: str) -> tuple[View, View | None]:
    """Read the anchors' view and the second view, such as "A0+A1", or one view alone, "A0".

    Raises `ArnetError` with a suggestion for an unknown name.
    """
    names = text.split("+")
    for name in names:
        if name not in VIEWS:
            hint = did_you_mean(name, VIEWS) or f" Known: {', '.join(sorted(VIEWS))}."
            raise ArnetError(f"there is no view '{name}'.{hint}")
    if len(names) > 2:
        raise ArnetError(f"views are one or two, like A0+A1, not '{text}'")
    return VIEWS[names[0]], VIEWS[names[1]] if len(names) == 2 else None


class Drawn(NamedTuple):
    """What was drawn for N images; a part that a view does not need is `None`.

    Attributes:
        theta: float32, (N, 2, 3), as `affine_grid` takes them.
        field: float32, (N, 2, BENDS, BENDS), displacements in the units of `affine_grid`.
        color: float32, (N, 5): factors of brightness, contrast and saturation, turn of the hue in
            radians, and 1 where all color is lost.
    """

    theta: Tensor | None
    field: Tensor | None = None
    color: Tensor | None = None

    def of(self, chosen: Tensor) -> Drawn:
        """Return what was drawn for some of the images."""
        return Drawn(*(None if part is None else part[chosen] for part in self))

    def to(self, device: torch.device) -> Drawn:
        """Return the same on `device`."""
        return Drawn(*(None if part is None else part.to(device) for part in self))


def draw(view: View, count: int, generator: torch.Generator, mirror: Tensor | None = None) -> Drawn:
    """Draw `count` transforms of `view`.

    Args:
        view: the family.
        count: images.
        generator: what the draws follow from; a view that needs less draws less.
        mirror: bool, (count,), where the image is mirrored before all else.
    """
    theta = field = color = None
    if view.moves or mirror is not None:
        theta = _draw_theta(view, count, generator)
        if mirror is not None:
            theta = mirrored(theta, mirror)
    if view.bend:
        field = torch.randn((count, 2, BENDS, BENDS), generator=generator)
        field *= 2 * view.bend * torch.rand((count, 1, 1, 1), generator=generator)
    if view.recolors:
        color = _draw_color(view, count, generator)
    return Drawn(theta, field, color)


def _draw_theta(view: View, count: int, generator: torch.Generator) -> Tensor:
    angle, zoom, mirror, dx, dy = torch.rand((5, count), generator=generator)
    angle = (2 * angle - 1) * math.radians(view.rotation)
    scale = 1 / (view.zoom[0] + zoom * (view.zoom[1] - view.zoom[0]))
    sign = torch.where(mirror < view.flip, -1.0, 1.0)
    # Shares of the side become the -1..1 coordinates of affine_grid.
    dx, dy = (2 * (2 * d - 1) * view.shift for d in (dx, dy))
    width = height = torch.ones(count)
    if view.crop != ONE or view.stretch != ONE:
        area, ratio, left, top = torch.rand((4, count), generator=generator)
        area = view.crop[0] + area * (view.crop[1] - view.crop[0])
        low, high = (math.log(edge) for edge in view.stretch)
        root = ((low + ratio * (high - low)) / 2).exp()
        width, height = (area.sqrt() * root).clamp(max=1), (area.sqrt() / root).clamp(max=1)
        dx, dy = dx + (2 * left - 1) * (1 - width), dy + (2 * top - 1) * (1 - height)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    rows = [sign * width * cos, -width * sin, dx, sign * height * sin, height * cos, dy]
    return torch.stack(rows, dim=1).view(count, 2, 3)


def _draw_color(view: View, count: int, generator: torch.Generator) -> Tensor:
    *factors, hue, gray = torch.rand((5, count), generator=generator)
    spread = (view.brightness, view.contrast, view.saturation)
    factors = [1 + (2 * f - 1) * s for f, s in zip(factors, spread, strict=True)]
    turn = (2 * hue - 1) * view.hue * 2 * math.pi
    return torch.stack([*factors, turn, (gray < view.gray).float()], dim=1)


def mirrored(theta: Tensor, mirror: Tensor) -> Tensor:
    """Mirror horizontally, before `theta`, where `mirror` (bool, (B,)) says so."""
    sign = torch.where(mirror, -1.0, 1.0).to(theta)
    return torch.cat([theta[:, :1] * sign.view(-1, 1, 1), theta[:, 1:]], dim=1)


def to_unit(images: Tensor) -> Tensor:
    """Turn uint8 pixels into float32 in [0, 1]."""
    return images.float().div_(255)


def transform(images: Tensor, drawn: Drawn) -> Tensor:
    """Apply one transform an image; what enters from outside is white.

    Args:
        images: uint8, (B, 3, H, W).
        drawn: for these B images, on their device, see `draw`.

    Returns:
        float32 in [0, 1], (B, 3, H, W).
    """
    pixels = to_unit(images)
    if drawn.theta is not None:
        pixels = _move(pixels, drawn.theta, drawn.field)
    return pixels if drawn.color is None else _recolor(pixels, drawn.color)


def _move(pixels: Tensor, theta: Tensor, field: Tensor | None) -> Tensor:
    grid = F.affine_grid(theta, list(pixels.shape), align_corners=False)
    if field is not None:
        smooth = F.interpolate(field, pixels.shape[2:], mode="bicubic", align_corners=True)
        grid = grid + smooth.permute(0, 2, 3, 1)
    # Sampling the negative makes the zeros beyond the border white.
    ink = F.grid_sample(1 - pixels, grid, align_corners=False)
    return (1 - ink).clamp_(0, 1)


def _recolor(pixels: Tensor, color: Tensor) -> Tensor:
    """Change brightness, contrast, saturation and hue, in this order, then drop lost colors."""
    brightness, contrast, saturation, turn, gray = (part.view(-1, 1, 1, 1) for part in color.T)
    pixels = (pixels * brightness).clamp(0, 1)
    middle = _luma(pixels).mean(dim=(2, 3), keepdim=True)
    pixels = torch.lerp(middle.expand_as(pixels), pixels, contrast).clamp(0, 1)
    pixels = torch.lerp(_luma(pixels).expand_as(pixels), pixels, saturation * (1 - gray))
    turned = torch.einsum("bcd,bdhw->bchw", _hue_turns(turn.flatten()), pixels)
    return turned.clamp(0, 1)


def _luma(pixels: Tensor) -> Tensor:
    return (pixels * pixels.new_tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def _hue_turns(turn: Tensor) -> Tensor:
    """Return the matrices (B, 3, 3) that turn colors around the gray axis of YIQ."""
    to_yiq = turn.new_tensor(YIQ)
    cos, sin, zero = turn.cos(), turn.sin(), torch.zeros_like(turn)
    rows = [zero + 1, zero, zero, zero, cos, -sin, zero, sin, cos]
    rotation = torch.stack(rows, dim=1).view(-1, 3, 3)
    turns: Tensor = torch.linalg.inv(to_yiq) @ rotation @ to_yiq
    return turns
