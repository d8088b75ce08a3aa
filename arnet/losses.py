"""Objectives, each beside its source."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def nt_xent(
    a: Tensor,
    b: Tensor,
    photo_id: Tensor,
    temperature: float | Tensor,
    *,
    all_positives: bool = False,
    within: bool = True,
) -> Tensor:
    """Normalized temperature-scaled cross entropy over the 2B vectors of two views.

    Every vector's positive is the other view of its own pair; its negatives are the vectors of both
    views that belong to another photo. Vectors of the same photo (another sketch of it, or the
    photo drawn twice into a batch) are neither, unless `all_positives` says otherwise.

    Args:
        a: (B, D), any scale; L2-normalized here.
        b: (B, D), the other view, likewise.
        photo_id: (B,), equal where two pairs show the same photo.
        temperature: divides the cosine similarities; a number or a scalar tensor.
        all_positives: every vector of the other view that shows the same photo is a positive, all
            with the same share (supervised contrastive learning, Khosla et al., 2020, L_out).
        within: vectors of the same view are negatives, too; otherwise those of the other view only
            (the symmetric loss of CLIP, Radford et al., 2021).

    Returns:
        The mean over the 2B anchors, a scalar; 0 where a batch holds one photo only.

    Source: SimCLR (Chen et al., 2020), eq. 1, as used in ARNet for l_multi, l_intra and l_inter.
    """
    count = len(a)
    z = F.normalize(torch.cat([a, b]).float(), dim=-1)
    # Half precision would blur what a low temperature then looks at.
    with torch.autocast(z.device.type, enabled=False):
        logits = z @ z.T / temperature
    ids = torch.cat([photo_id, photo_id])
    same_photo = ids[:, None] == ids[None, :]
    index = torch.arange(2 * count, device=z.device)
    other_view = (index[:, None] < count) != (index[None, :] < count)
    partner = index.roll(count)
    positive = same_photo & other_view if all_positives else index[None, :] == partner[:, None]
    left_out = same_photo & ~positive
    if not within:
        left_out |= ~other_view
    log_share = F.log_softmax(logits.masked_fill(left_out, -torch.inf), dim=-1)
    chosen = log_share.masked_fill(~positive, 0.0).sum(dim=1) / positive.sum(dim=1)
    return -chosen.mean()


def info_nce(scores: Tensor, photo_id: Tensor, temperature: float | Tensor) -> Tensor:
    """Cross entropy of finding each sketch's photo, and each photo's sketch, by given scores.

    Args:
        scores: (B, B), sketches by photos; those on the diagonal are the pairs. Entries of the same
            photo off the diagonal are left out.
        photo_id: (B,), equal where two pairs show the same photo.
        temperature: divides the scores.

    Returns:
        The mean over both directions, a scalar.

    Source: CLIP (Radford et al., 2021), with any score in the place of the cosine.
    """
    same_photo = photo_id[:, None] == photo_id[None, :]
    own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    logits = (scores / temperature).masked_fill(same_photo & ~own, -torch.inf)
    pair = torch.arange(len(scores), device=scores.device)
    return (F.cross_entropy(logits, pair) + F.cross_entropy(logits.T, pair)) / 2


def recycling(tokens: Tensor, contrast: Tensor) -> Tensor:
    """Squared distance between tokens' cosine similarities and the multi-scale contrast map.

    Args:
        tokens: (B, T, D), all scales after one another; L2-normalized here.
        contrast: (T, T), the wanted similarities, see `arnet.mstr.contrast_map`.

    Returns:
        (B,), the mean over the T × T similarities of each image.

    Source: ARNet, l_recyc, with normalized tokens so that it fits angles rather than lengths.
    """
    q = F.normalize(tokens.float(), dim=-1)
    return (q @ q.transpose(1, 2) - contrast).square().mean(dim=(1, 2))
