"""What a method is: one network that learns from batches of pairs and embeds either side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Batch:
    """B sketch-photo pairs in two views, floats in [0, 1].

    Attributes:
        sketch, photo: (B, 3, H, W), the anchors.
        sketch_view, photo_view: (B, 3, H, W), the second views of the same images.
        photo_id: int64, (B,), equal where two pairs show the same photo.
    """

    sketch: Tensor
    photo: Tensor
    sketch_view: Tensor
    photo_view: Tensor
    photo_id: Tensor


@dataclass(frozen=True, slots=True)
class Loss:
    """A batch's loss: what is minimized, and its terms before weighting, for the log."""

    total: Tensor
    terms: dict[str, Tensor]


class Method(nn.Module, ABC):
    """A retrieval method: photos are ranked by the dot product of L2-normalized embeddings.

    Attributes:
        size: height and width of the images that it takes.
        config: everything that `arnet.registry.create_method` needs to build it again.
    """

    size: tuple[int, int]
    config: dict[str, Any]

    @abstractmethod
    def training_loss(self, batch: Batch) -> Loss:
        """Return the loss of one batch."""

    @abstractmethod
    def embed_sketch(self, images: Tensor) -> Tensor:
        """Embed sketches, float in [0, 1], (B, 3, H, W), as unit vectors (B, E)."""

    @abstractmethod
    def embed_photo(self, images: Tensor) -> Tensor:
        """Embed photos, float in [0, 1], (B, 3, H, W), as unit vectors (B, E)."""
