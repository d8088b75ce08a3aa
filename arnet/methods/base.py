"""What a method is: one network that learns from batches of pairs and embeds either side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, PyTorchModelHubMixin, snapshot_download
from torch import Tensor, nn

Gather = Callable[[Tensor], Tensor]
"""Brings the rows of all processes together, in the same order everywhere, with gradients."""


def own_rows(rows: Tensor) -> Tensor:
    """Return `rows`: what a single process has is all there is."""
    return rows


@dataclass(frozen=True, slots=True)
class Batch:
    """B sketch-photo pairs in one view or two, floats in [0, 1].

    Attributes:
        sketch, photo: (B, 3, H, W), the anchors.
        sketch_view, photo_view: (B, 3, H, W), the second views of the same images, or `None`.
        photo_id: int64, (B,), equal where two pairs show the same photo.
    """

    sketch: Tensor
    photo: Tensor
    sketch_view: Tensor | None
    photo_view: Tensor | None
    photo_id: Tensor


@dataclass(frozen=True, slots=True)
class Loss:
    """A batch's loss: what is minimized, and its terms before weighting, for the log."""

    total: Tensor
    terms: dict[str, Tensor]


class Method(
    nn.Module,
    PyTorchModelHubMixin,
    ABC,
    library_name="clothes-toolkit",
    tags=["sketch-based-image-retrieval", "fg-sbir", "arnet"],
    paper_url="https://arxiv.org/abs/2406.11551",
    pipeline_tag="image-feature-extraction",
    license="apache-2.0",
):
    """A retrieval method: photos are ranked by their `similarity` to a sketch.

    `save_pretrained`, `from_pretrained` (of `Method` or the method's own class) and `push_to_hub`
    are the Hub client's; what they write is what `arnet.checkpoint` writes.

    Attributes:
        size: height and width of the images that it takes.
        config: everything that `arnet.registry.create_method` needs to build it again.
        card: the model card to keep beside the weights, Markdown; empty for the Hub's template.
    """

    size: tuple[int, int]
    config: dict[str, Any]
    card: str = ""

    @property
    def resample(self) -> str:
        """How images are resized for it, "bicubic" or "bilinear"."""
        how: str = self.config["backbone"].get("resample", "bicubic")
        return how

    @property
    def fits_ink(self) -> bool:
        """Whether pictures are framed by what they show for it, see `arnet.framing`."""
        fits: bool = self.config["backbone"].get("fit_ink", False)
        return fits

    @property
    def looks_at_second_views(self) -> bool:
        """Whether its loss has a term for second views, so that they are worth making."""
        return True

    def similarity(self, sketches: Tensor, photos: Tensor) -> Tensor:
        """Return how well photos fit sketches, (S, P), from what `embed_*` gave of them.

        Higher is better; the dot product, unless a method ranks in its own way.
        """
        return sketches @ photos.T

    @abstractmethod
    def training_loss(self, batch: Batch, gather: Gather = own_rows) -> Loss:
        """Return the loss of one batch.

        Where several processes share a batch, each is given its pairs and a `gather`, through which
        everything that is contrasted or averaged over pairs has to go; all return the same loss.
        """

    @abstractmethod
    def embed_sketch(self, images: Tensor) -> Tensor:
        """Embed sketches, float in [0, 1], (B, 3, H, W), as (B, E), unit vectors as a rule."""

    @abstractmethod
    def embed_photo(self, images: Tensor) -> Tensor:
        """Embed photos, float in [0, 1], (B, 3, H, W), as (B, F), unit vectors as a rule."""

    def generate_model_card(self, *args: Any, **kwargs: Any) -> ModelCard:
        """Return the method's own card, or one made from the Hub's template."""
        if self.card:
            return ModelCard(self.card)
        return super().generate_model_card(*args, **kwargs)

    def _save_pretrained(self, save_directory: Path) -> None:
        from arnet.checkpoint import save_method

        save_method(save_directory, self)

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        token: str | bool | None = None,
        **_: Any,
    ) -> Method:
        from arnet.checkpoint import CARD, CONFIG, MODEL, load_method

        folder = Path(model_id)
        if not folder.is_dir():
            folder = Path(
                snapshot_download(
                    model_id,
                    revision=revision,
                    cache_dir=cache_dir,
                    force_download=force_download,
                    local_files_only=local_files_only,
                    token=token,
                    allow_patterns=[MODEL, CONFIG, CARD],
                )
            )
        return load_method(folder)
