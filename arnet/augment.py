"""Views of images: geometric transforms of whole batches, where the model runs.

The names A0 and A1 are those of the ARNet authors' code: A0 leaves the image as it is, A1 zooms in,
rotates and flips it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class View:
    """A family of random similarity transforms.

    Attributes:
        name: what the view is called in recipes and papers.
        rotation: largest rotation either way, degrees.
        flip: probability of a horizontal mirror image.
        zoom: smallest and largest magnification.
        shift: largest shift either way, as a share of the side.
    """

    name: str
    rotation: float = 0.0
    flip: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0

    @property
    def is_identity(self) -> bool:
        """Whether every draw leaves the image as it is."""
        return not (self.rotation or self.flip or self.shift) and self.zoom == (1.0, 1.0)


A0 = View("A0")
"""The anchor: the image as it is."""

A1 = View("A1", rotation=30.0, flip=0.8, zoom=(268 / 224, 268 / 224))
"""The released recipe's second view: resize to 268, rotate, flip, crop the middle 224."""


def draw(view: View, count: int, generator: torch.Generator) -> Tensor:
    """Draw `count` transforms of `view`: float32 (count, 2, 3), as `affine_grid` takes them."""
    angle, zoom, mirror, dx, dy = torch.rand((5, count), generator=generator)
    angle = (2 * angle - 1) * math.radians(view.rotation)
    scale = 1 / (view.zoom[0] + zoom * (view.zoom[1] - view.zoom[0]))
    sign = torch.where(mirror < view.flip, -1.0, 1.0)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    # Shares of the side become the -1..1 coordinates of affine_grid.
    dx, dy = (2 * (2 * d - 1) * view.shift for d in (dx, dy))
    return torch.stack([sign * cos, -sin, dx, sign * sin, cos, dy], dim=1).view(count, 2, 3)


def mirrored(theta: Tensor, mirror: Tensor) -> Tensor:
    """Mirror horizontally, before `theta`, where `mirror` (bool, (B,)) says so."""
    sign = torch.where(mirror, -1.0, 1.0).to(theta)
    return torch.cat([theta[:, :1] * sign.view(-1, 1, 1), theta[:, 1:]], dim=1)


def to_unit(images: Tensor) -> Tensor:
    """Turn uint8 pixels into float32 in [0, 1]."""
    return images.float().div_(255)


def transform(images: Tensor, theta: Tensor) -> Tensor:
    """Apply one transform an image; what enters from outside is white.

    Args:
        images: uint8, (B, 3, H, W).
        theta: (B, 2, 3), see `draw`.

    Returns:
        float32 in [0, 1], (B, 3, H, W).
    """
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    # Sampling the negative makes the zeros beyond the border white.
    ink = F.grid_sample(1 - to_unit(images), grid, align_corners=False)
    return (1 - ink).clamp_(0, 1)
