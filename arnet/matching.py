"""Token matching: how well the tokens of a sketch find their like in a photo.

A class token says in one vector what a whole drawing shows. Here every token that holds ink looks
for the most similar token of the photo, wherever that lies, and the mean over the tokens says how
much of the drawing was found.

Source: late interaction as in ColBERT (Khattab and Zaharia, 2020), on the tokens that ARNet's
recycling pools at several scales; comparing local features of sketch and photo follows DLI-Net
(Sun et al., 2022). The projection is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arnet.ink import BLANK, Grid, ink_of
from arnet.mstr import pool_tokens, require_scales

QUERIES_AT_A_TIME = 32


class TokenMatching(nn.Module):
    """Makes tokens of sketches and photos comparable, at several scales.

    Args:
        dim: width of the patch tokens.
        grid: rows and columns of the patch tokens.
        scales: side of the square of tokens that becomes one, per scale, ascending.
        width: of the compared tokens.
        budget: tokens of a sketch that are compared at each scale, those with the most ink.

    Raises `ArnetError` where the grid is smaller than the coarsest scale.
    """

    def __init__(
        self,
        dim: int,
        grid: Grid,
        scales: Sequence[int] = (1,),
        width: int = 64,
        budget: int = 96,
    ) -> None:
        super().__init__()
        require_scales(grid, scales)
        self.grid, self.scales, self.budget = grid, tuple(scales), budget
        self.project = nn.Linear(dim, width)
        nn.init.orthogonal_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def photo(self, patches: Tensor) -> Tensor:
        """Return all tokens of photos, unit vectors, (B, T, W), from patch tokens (B, N, D)."""
        tokens = [pool_tokens(patches, self.grid, scale) for scale in self.scales]
        return F.normalize(self.project(torch.cat(tokens, dim=1)).float(), dim=-1)

    def sketch(self, patches: Tensor, images: Tensor) -> Tensor:
        """Return the tokens of sketches that hold ink.

        Args:
            patches: patch tokens, (B, N, D).
            images: what they are of, float in [0, 1], (B, 3, H, W).

        Returns:
            (B, T, W); the lengths of an image's tokens sum to 1, those without ink have length 0.
        """
        ink = torch.unflatten(ink_of(images, self.grid), 1, self.grid)
        parts = []
        for scale in self.scales:
            tokens = pool_tokens(patches, self.grid, scale)
            amount = F.max_pool2d(ink[:, None], scale, ceil_mode=True).flatten(1)
            kept = amount.topk(min(self.budget, amount.shape[1]), dim=1)
            tokens = tokens.gather(1, kept.indices[..., None].expand(-1, -1, tokens.shape[2]))
            unit = F.normalize(self.project(tokens).float(), dim=-1)
            inked = (kept.values > BLANK).float()
            share = inked / inked.sum(dim=1, keepdim=True).clamp(min=1) / len(self.scales)
            parts.append(unit * share[..., None])
        return torch.cat(parts, dim=1)


def match(sketches: Tensor, photos: Tensor) -> Tensor:
    """Return how much of each sketch is found in each photo.

    Args:
        sketches: (S, T, W), see `TokenMatching.sketch`.
        photos: (P, U, W), see `TokenMatching.photo`.

    Returns:
        (S, P): the mean over a sketch's inked tokens of the highest cosine similarity with a token
        of the photo, in [-1, 1].
    """
    rows = []
    for some in torch.split(sketches, QUERIES_AT_A_TIME):
        # Half precision would blur what a low temperature then looks at.
        with torch.autocast(sketches.device.type, enabled=False):
            similarity = torch.einsum("stw,puw->sptu", some.float(), photos.float())
        # For its gradient a maximum keeps the place, not all that it was taken from.
        rows.append(similarity.max(dim=3).values.sum(dim=2))
    return torch.cat(rows)
