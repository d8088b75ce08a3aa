"""Where an image holds ink, cell by cell of a grid."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

Grid = tuple[int, int]

BLANK = 0.06
"""Ink below this share of black is paper: what resizing and compression leave on it."""
LATTICE = 2
"""Of the blank cells every second one of every second row stays, so that there is a background."""


def ink_of(images: Tensor, grid: Grid) -> Tensor:
    """Return the darkest channel's darkness in each cell, (B, rows × columns), in [0, 1].

    Images are floats in [0, 1], (B, 3, H, W).
    """
    darkness = 1 - images.amin(dim=1, keepdim=True)
    return F.adaptive_max_pool2d(darkness, grid).flatten(1)


def thinned_cells(images: Tensor, grid: Grid) -> Tensor:
    """Return which cells are worth looking at: bool, (B, rows × columns).

    All that hold ink, and a lattice of the others.
    """
    rows, columns = torch.arange(grid[0]), torch.arange(grid[1])
    lattice = (rows[:, None] % LATTICE == 0) & (columns % LATTICE == 0)
    return (ink_of(images, grid) > BLANK) | lattice.flatten().to(images.device)
