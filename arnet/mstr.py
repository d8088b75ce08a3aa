"""Multi-scale token recycling (MSTR), the module that ARNet adds to its encoders.

A vision transformer's patch tokens are usually thrown away once the class token is read. Here they
are pooled to several scales, each scale passes through a small transformer of its own, and all of
them together make one vector that is mixed into the class token.

Source: Jiang et al., "ARNet", AAAI 2025. Pooling is two-dimensional, attention stays inside one
image, and the contrast map follows from geometry.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.layers.attention import Attention
from timm.layers.mlp import Mlp
from torch import Tensor, nn

from arnet.errors import ArnetError
from arnet.ink import Grid

FEED_FORWARD_RATIO = 8 / 3
HEAD_WIDTH = 96
"""The published transformers have 8 heads and a feed-forward width of 2048 on 768-wide tokens."""


def pooled_grid(grid: Grid, scale: int) -> Grid:
    """Return the rows and columns that are left when `scale` × `scale` tokens become one."""
    return -(-grid[0] // scale), -(-grid[1] // scale)


def cells(grid: Grid, scale: int) -> Tensor:
    """Return the rectangle of the base grid under each pooled token.

    Returns:
        (rows × columns, 4): top, bottom, left, right, in raster order; bottom and right exclusive.
    """
    rows, columns = pooled_grid(grid, scale)
    top = torch.arange(rows).repeat_interleave(columns) * scale
    left = torch.arange(columns).repeat(rows) * scale
    bottom, right = (top + scale).clamp(max=grid[0]), (left + scale).clamp(max=grid[1])
    return torch.stack([top, bottom, left, right], dim=1).float()


def contrast_map(grid: Grid, scales: Sequence[int]) -> Tensor:
    """Return the wanted similarity of every two tokens of all scales, symmetric.

    1 on the diagonal, 0 between tokens of one scale, and between a token and one of another scale
    half the share of the smaller that lies in the larger: 0.5 for a parent and its child.

    Returns:
        float32, (T, T), T = tokens of all scales after one another.
    """
    boxes = torch.cat([cells(grid, scale) for scale in scales])
    top, bottom, left, right = boxes.T
    height = (torch.minimum(bottom[:, None], bottom) - torch.maximum(top[:, None], top)).clamp(0)
    width = (torch.minimum(right[:, None], right) - torch.maximum(left[:, None], left)).clamp(0)
    area = (bottom - top) * (right - left)
    similarity = 0.5 * height * width / torch.minimum(area[:, None], area)
    return similarity.fill_diagonal_(1.0)


def require_scales(grid: Grid, scales: Sequence[int]) -> None:
    """Raise `ArnetError` where a grid of tokens cannot be pooled to these scales."""
    if not scales or list(scales) != sorted(set(scales)) or scales[0] < 1:
        raise ArnetError(f"MSTR scales must be ascending whole numbers from 1, not {scales}")
    if min(grid) < scales[-1]:
        smaller = ",".join(str(scale) for scale in (1, 2, 4) if scale <= min(grid))
        raise ArnetError(
            f"MSTR pools {scales[-1]}×{scales[-1]} tokens, but this backbone leaves a grid of "
            f"{grid[0]}×{grid[1]}; take a larger image_size, a backbone with a finer grid, or "
            f"smaller scales (scales={smaller})"
        )


def pool_tokens(tokens: Tensor, grid: Grid, scale: int) -> Tensor:
    """Average squares of `scale` × `scale` tokens on their grid.

    Args:
        tokens: (B, rows × columns, D), raster order.
        grid: rows and columns.
        scale: cells cut off by the border average the tokens they have.

    Returns:
        (B, T, D), raster order of the pooled grid.
    """
    if scale == 1:
        return tokens
    plane = torch.unflatten(tokens.transpose(1, 2), 2, grid)
    pooled = F.avg_pool2d(plane, scale, ceil_mode=True, count_include_pad=False)
    return pooled.flatten(2).transpose(1, 2)


class MultiScaleTokenRecycling(nn.Module):
    """Patch tokens in, one vector of the same width and the recycled tokens out.

    Args:
        dim: width of the patch tokens.
        grid: rows and columns of the patch tokens.
        scales: side of the square of tokens that becomes one, per scale, ascending.
        depth: transformer layers per scale.
        width: width inside; wider tokens are projected to it and back, narrower ones stay.
        dropout: inside the transformer layers.

    Raises `ArnetError` where the grid is smaller than the coarsest scale.
    """

    contrast: Tensor

    def __init__(
        self,
        dim: int,
        grid: Grid,
        scales: Sequence[int] = (1, 2, 7),
        depth: int = 2,
        width: int = 768,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        require_scales(grid, scales)
        self.grid, self.scales = grid, tuple(scales)
        inner = min(dim, width)
        heads = next(h for h in range(max(1, inner // HEAD_WIDTH), 0, -1) if inner % h == 0)
        self.narrow: nn.Module = nn.Linear(dim, inner) if inner < dim else nn.Identity()
        self.widen: nn.Module = nn.Linear(inner, dim) if inner < dim else nn.Identity()
        self.transformers = nn.ModuleList(
            nn.Sequential(*(RecyclingLayer(inner, heads, dropout) for _ in range(depth)))
            for _ in scales
        )
        self.register_buffer("contrast", contrast_map(grid, scales), persistent=False)
        self.recycle = nn.Linear(len(self.contrast), 1)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Recycle patch tokens (B, N, D), N = rows × columns, raster order.

        Returns:
            The vector to mix into the class token, (B, D), and the tokens of all scales, (B, T, W).
        """
        narrow = self.narrow(patches)
        tokens = torch.cat(
            [
                transformer(pool_tokens(narrow, self.grid, scale))
                for scale, transformer in zip(self.scales, self.transformers, strict=True)
            ],
            dim=1,
        )
        vector: Tensor = self.recycle(tokens.transpose(1, 2)).squeeze(2)
        return self.widen(vector), tokens


class RecyclingLayer(nn.Module):
    """A transformer layer as published: normalization after each sum, ReLU, dropout.

    Dropout acts on what attention and feed-forward give, not on the attention weights: drawing
    those costs more than all else here.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        hidden = round(width * FEED_FORWARD_RATIO)
        self.attention = Attention(width, heads, qkv_bias=True, proj_drop=dropout)
        self.feed_forward = Mlp(width, hidden, act_layer=nn.ReLU, drop=dropout)
        self.norm_attention, self.norm_feed_forward = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Mix tokens (B, T, W) within each image."""
        tokens = self.norm_attention(tokens + self.attention(tokens))
        mixed: Tensor = self.norm_feed_forward(tokens + self.feed_forward(tokens))
        return mixed
