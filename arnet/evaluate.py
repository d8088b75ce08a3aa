"""Retrieval: embeddings to ranks to Acc@q, with an interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from arnet.augment import to_unit
from arnet.data import PairImages
from arnet.errors import ArnetError
from arnet.methods.base import Method

Q_VALUES = (1, 5, 10)


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How a method ranks a gallery for some queries.

    Attributes:
        ranks: int64, (Q,), the rank of each query's own photo, from 1; ties count against.
        top: int64, (Q, K), the best photos for each query, best first.
        n_gallery: photos that were ranked.
    """

    ranks: Tensor
    top: Tensor
    n_gallery: int

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return len(self.ranks)

    def accuracy(self, q: int) -> float:
        """Return Acc@q, percent."""
        return 100.0 * (self.ranks <= q).sum().item() / len(self.ranks)


def ranks_of(scores: Tensor, photo_of: Tensor) -> Tensor:
    """Rank each query's photo among all photos.

    Args:
        scores: (Q, G), higher is nearer.
        photo_of: int64, (Q,), the right photo.

    Returns:
        int64, (Q,), from 1: how many photos score at least as high as the right one.

    Raises `ArnetError` where a score is not a number, which would otherwise rank first.
    """
    if not torch.isfinite(scores).all():
        raise ArnetError("some scores are not numbers: the method's weights have diverged")
    own = scores.gather(1, photo_of[:, None])
    return (scores >= own).sum(dim=1)


def wilson_interval(percent: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the Wilson score interval of a share, both in percent, at `n` trials.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    p = percent / 100
    center = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return 100 * max(0.0, center - half), 100 * min(1.0, center + half)


@torch.inference_mode()
def embed(function: Callable[[Tensor], Tensor], images: Tensor, batch_size: int = 64) -> Tensor:
    """Embed uint8 images (N, 3, H, W) with `function`, in batches, in full precision."""
    return torch.cat([function(to_unit(chunk)) for chunk in torch.split(images, batch_size)])


def evaluate(method: Method, images: PairImages, top: int = 10) -> Retrieval:
    """Rank all photos for every sketch; each image is embedded once, without augmentation."""
    was_training = method.training
    method.eval()
    sketches = embed(method.embed_sketch, images.sketches)
    photos = embed(method.embed_photo, images.photos)
    method.train(was_training)
    scores = method.similarity(sketches, photos)
    ranks = ranks_of(scores, images.photo_of)
    best = scores.topk(min(top, scores.shape[1]), dim=1).indices
    return Retrieval(ranks.cpu(), best.cpu(), len(photos))
