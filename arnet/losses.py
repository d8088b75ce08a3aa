"""Objectives, each beside its source."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def nt_xent(a: Tensor, b: Tensor, photo_id: Tensor, temperature: float | Tensor) -> Tensor:
    """Normalized temperature-scaled cross entropy over the 2B vectors of two views.

    Every vector's positive is the other view of its own pair; its negatives are the vectors of both
    views that belong to another photo. Vectors of the same photo (another sketch of it, or the
    photo drawn twice into a batch) are neither.

    Args:
        a: (B, D), any scale; L2-normalized here.
        b: (B, D), the other view, likewise.
        photo_id: (B,), equal where two pairs show the same photo.
        temperature: divides the cosine similarities; a number or a scalar tensor.

    Returns:
        The mean over the 2B anchors, a scalar; 0 where a batch holds one photo only.

    Source: SimCLR (Chen et al., 2020), eq. 1, as used in ARNet for l_multi, l_intra and l_inter.
    """
    count = len(a)
    z = F.normalize(torch.cat([a, b]).float(), dim=-1)
    logits = z @ z.T / temperature
    ids = torch.cat([photo_id, photo_id])
    positive = torch.arange(2 * count, device=z.device).roll(count)
    left_out = ids[:, None] == ids[None, :]
    left_out[torch.arange(2 * count, device=z.device), positive] = False
    return F.cross_entropy(logits.masked_fill(left_out, -torch.inf), positive)


def recycling(tokens: Tensor, contrast: Tensor) -> Tensor:
    """Mean squared distance between tokens' cosine similarities and the multi-scale contrast map.

    Args:
        tokens: (B, T, D), all scales after one another; L2-normalized here.
        contrast: (T, T), the wanted similarities, see `arnet.mstr.contrast_map`.

    Source: ARNet, l_recyc, with normalized tokens so that it fits angles rather than lengths.
    """
    q = F.normalize(tokens.float(), dim=-1)
    return F.mse_loss(q @ q.transpose(1, 2), contrast.expand(len(q), -1, -1))
