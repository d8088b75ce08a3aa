"""Token matching: how well the tokens of a sketch and of a photo find their like in each other.

A class token says in one vector what a whole drawing shows. Here every token that holds ink looks
for the most similar token of the photo, and those of the photo look for theirs in the drawing; the
means say how much of either was found. Similar is what shows the same and lies where it should.

Source: late interaction as in ColBERT (Khattab and Zaharia, 2020), on the tokens that ARNet's
recycling pools at several scales; comparing local features of sketch and photo follows DLI-Net
(Sun et al., 2022). The projection and the place are ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arnet.ink import BLANK, Grid, ink_of
from arnet.mstr import pool_tokens, require_scales

AT_A_TIME = 32
PLACE_WIDTH = 4
FEW = 96
"""Tokens of a sketch that are few enough to compare all."""


class TokenMatching(nn.Module):
    """Makes tokens of sketches and photos comparable, at several scales.

    Args:
        dim: width of the patch tokens.
        grid: rows and columns of the patch tokens.
        scales: side of the square of tokens that becomes one, per scale, ascending.
        width: of the compared tokens.
        budget: tokens of a sketch that are compared at each scale, those with the most ink; if left
            out, half of the grid, or `FEW` of a small one.
        place: share of a token's likeness to another that says how near it lies; the rest says how
            much it shows the same.

    Attributes:
        token_width: of the tokens that it returns.

    Raises `ArnetError` where the grid is smaller than the coarsest scale.
    """

    def __init__(
        self,
        dim: int,
        grid: Grid,
        scales: Sequence[int] = (1,),
        width: int = 64,
        budget: int | None = None,
        place: float = 0.0,
    ) -> None:
        super().__init__()
        require_scales(grid, scales)
        self.grid, self.scales = grid, tuple(scales)
        self.budget = budget or max(grid[0] * grid[1] // 2, FEW)
        self.place = place
        self.token_width = width + (PLACE_WIDTH if place else 0)
        for number, scale in enumerate(self.scales):
            # What follows from the grid is not kept in checkpoints.
            self.register_buffer(f"places_{number}", places_of(grid, scale), persistent=False)
        self.project = nn.Linear(dim, width)
        nn.init.orthogonal_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def sketch(self, patches: Tensor, images: Tensor) -> Tensor:
        """Return the tokens of sketches, at most `budget` at each scale; see `tokens`."""
        return self.tokens(patches, images, self.budget)

    def photo(self, patches: Tensor, images: Tensor) -> Tensor:
        """Return all tokens of photos; see `tokens`."""
        return self.tokens(patches, images, patches.shape[1])

    def tokens(self, patches: Tensor, images: Tensor, budget: int) -> Tensor:
        """Return comparable tokens; their direction says what they show, their length how much.

        What blank paper or a white background has to say is left out: a vision transformer keeps
        there what it knows of the whole image.

        Args:
            patches: patch tokens, (B, N, D).
            images: what they are of, float in [0, 1], (B, 3, H, W).
            budget: tokens of an image at each scale, those with the most ink.

        Returns:
            float32, (B, T, W); the lengths of an image's tokens sum to 1, those without ink have
            length 0.
        """
        ink = torch.unflatten(ink_of(images, self.grid), 1, self.grid)
        parts = []
        for number, scale in enumerate(self.scales):
            tokens = pool_tokens(patches, self.grid, scale)
            amount = F.max_pool2d(ink[:, None], scale, ceil_mode=True).flatten(1)
            kept = amount.topk(min(budget, amount.shape[1]), dim=1)
            tokens = tokens.gather(1, kept.indices[..., None].expand(-1, -1, tokens.shape[2]))
            unit = F.normalize(self.project(tokens).float(), dim=-1)
            if self.place:
                where = self.get_buffer(f"places_{number}")[kept.indices]
                unit = torch.cat([(1 - self.place) ** 0.5 * unit, self.place**0.5 * where], dim=-1)
            inked = (kept.values > BLANK).float()
            share = inked / inked.sum(dim=1, keepdim=True).clamp(min=1) / len(self.scales)
            parts.append(unit * share[..., None])
        return torch.cat(parts, dim=1)


def places_of(grid: Grid, scale: int) -> Tensor:
    """Return unit vectors that say where the tokens of a scale lie, (N, `PLACE_WIDTH`).

    The cosine similarity of two is (cos(π Δx) + cos(π Δy)) / 2, with the distances as shares of the
    side: 1 at the same place, 0.99 a twentieth of the side away both ways, 0 half of it both ways.
    """
    rows, columns = (
        math.pi * scale / side * (torch.arange(math.ceil(side / scale)) + 0.5) for side in grid
    )
    down, across = torch.meshgrid(rows, columns, indexing="ij")
    parts = [down.cos(), down.sin(), across.cos(), across.sin()]
    return torch.stack(parts, dim=-1).flatten(0, 1) / math.sqrt(2)


def match(sketches: Tensor, photos: Tensor) -> Tensor:
    """Return how much of each sketch is found in each photo, and of each photo in each sketch.

    Args:
        sketches: (S, T, W), see `TokenMatching.tokens`.
        photos: (P, U, W), likewise.

    Returns:
        (S, P), in [0, 1]: of each token the highest cosine similarity with a token of the other
        side, or 0; the mean over each side, weighted by length; the mean of both sides.
    """
    sketch_weights, photo_weights = (side.float().norm(dim=-1) for side in (sketches, photos))
    sketch_units, photo_units = (F.normalize(side.float(), dim=-1) for side in (sketches, photos))
    rows = []
    for units, weights in zip(
        torch.split(sketch_units, AT_A_TIME), torch.split(sketch_weights, AT_A_TIME), strict=True
    ):
        # Half precision would blur what a low temperature then looks at.
        with torch.autocast(sketches.device.type, enabled=False):
            similarity = torch.einsum("stw,puw->sptu", units, photo_units)
        # For its gradient a maximum keeps the place, not all that it was taken from.
        there = (similarity.max(dim=3).values.clamp(min=0) * weights[:, None]).sum(dim=2)
        back = (similarity.max(dim=2).values.clamp(min=0) * photo_weights).sum(dim=2)
        rows.append((there + back) / 2)
    return torch.cat(rows)
