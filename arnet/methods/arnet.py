"""ARNet: intra- and inter-sample contrastive alignment, with or without token recycling.

Source: Jiang, Tang, Jiang, Yu, Wu, "ARNet: Self-Supervised FG-SBIR with Unified Sample Feature
Alignment and Multi-Scale Token Recycling", AAAI 2025, arXiv 2406.11551.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arnet.encoders import Encoder
from arnet.errors import ArnetError
from arnet.losses import nt_xent, recycling
from arnet.methods.base import Batch, Gather, Loss, Method, own_rows
from arnet.mstr import MultiScaleTokenRecycling

LOWEST_TEMPERATURE = 0.01


@dataclass(frozen=True, slots=True)
class ARNetOptions:
    """Settings of the method itself; the defaults are the published ones.

    Attributes:
        embedding_dim: width of the head's output, which is what retrieval compares.
        temperature: of all contrastive terms; `learn_temperature` starts from it.
        shared_encoder: one encoder for sketches and photos instead of one each.
        all_positives: every sketch of a photo is a positive of it, not only its own pair's.
        within: sketches contrast with sketches and photos with photos, too, in cross-modal terms.
        mstr: whether patch tokens are recycled.
        scales: of MSTR, see `arnet.mstr`.
        fusion_weight: share of the recycled vector in the fused token; `learn_fusion` starts from
            it, and 0 is the control: the same network without what is recycled.
        multi_weight, intra_weight, inter_weight, recycling_weight: of the terms of the loss. What
            only a term of weight 0 needs is not computed.
    """

    embedding_dim: int = 512
    temperature: float = 0.07
    learn_temperature: bool = False
    shared_encoder: bool = False
    all_positives: bool = False
    within: bool = True
    mstr: bool = False
    scales: tuple[int, ...] = (1, 2, 7)
    fusion_weight: float = 0.1
    learn_fusion: bool = False
    multi_weight: float = 1.0
    intra_weight: float = 1.0
    inter_weight: float = 1.0
    recycling_weight: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ArnetError(f"temperature must be above 0, not {self.temperature}")
        if not 0 <= self.fusion_weight <= 1:
            raise ArnetError(f"fusion_weight must be between 0 and 1, not {self.fusion_weight}")
        if self.multi_weight <= 0:
            raise ArnetError("multi_weight must be above 0: nothing else trains what is retrieved")


class Projected(NamedTuple):
    """What a branch says of a batch.

    Attributes:
        cls: (B, D), class tokens.
        embedding: (B, E), the head's output.
        tokens: (B, T, W), recycled tokens of all scales, or `None` without MSTR.
    """

    cls: Tensor
    embedding: Tensor
    tokens: Tensor | None


class Branch(nn.Module):
    """One side of the network: encoder, token recycling, head."""

    def __init__(self, encoder: Encoder, options: ARNetOptions) -> None:
        super().__init__()
        self.encoder = encoder
        self.mstr = (
            MultiScaleTokenRecycling(encoder.dim, encoder.grid, options.scales)
            if options.mstr
            else None
        )
        self.fusion_weight: float | nn.Parameter = options.fusion_weight
        if options.learn_fusion and options.mstr:
            self.fusion_weight = nn.Parameter(torch.tensor(options.fusion_weight))
        self.head = nn.Linear(encoder.dim, options.embedding_dim)
        # An orthogonal head keeps the angles that the backbone was pretrained to give.
        nn.init.orthogonal_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def project(self, images: Tensor) -> Projected:
        """Project images, float in [0, 1], (B, 3, H, W)."""
        if self.mstr is None:
            cls = self.encoder.class_token(images)
            return Projected(cls, self.head(cls), None)
        cls, patches = self.encoder(images)
        recycled, tokens = self.mstr(patches)
        return Projected(cls, self.head(cls + self.fusion_weight * (recycled - cls)), tokens)

    def project_views(
        self, images: Tensor, views: Tensor | None
    ) -> tuple[Projected, Tensor | None]:
        """Project anchors, and return the class tokens of their second views, if there are any."""
        if views is None:
            return self.project(images), None
        if self.mstr is not None or self.encoder.mixes_the_batch:
            return self.project(images), self.encoder.class_token(views)
        both = self.encoder.class_token(torch.cat([images, views]))
        cls, seen = torch.split(both, len(images))
        return Projected(cls, self.head(cls), None), seen

    def embed(self, images: Tensor) -> Tensor:
        """Embed images as unit vectors (B, E)."""
        return F.normalize(self.project(images).embedding.float(), dim=-1)


def sum_of(terms: Iterable[Tensor]) -> Tensor:
    """Add scalars."""
    return torch.stack(list(terms)).sum()


class ARNet(Method):
    """Two encoders, aligned within each domain and across them.

    L = l_multi + l_intra + l_inter (+ l_recyc): head embeddings across domains; class tokens of
    anchor and second view within each domain; class tokens across domains, anchors only.
    """

    def __init__(self, encoder: Encoder, options: ARNetOptions) -> None:
        super().__init__()
        self.options = options
        self.sketch_branch = Branch(encoder, options)
        # Both sides start alike: two random heads would first have to find each other.
        self._photo_branch = None if options.shared_encoder else deepcopy(self.sketch_branch)
        self.size = self.sketch_branch.encoder.size
        start = torch.tensor(math.log(options.temperature))
        self.log_temperature = nn.Parameter(start) if options.learn_temperature else None

    @property
    def photo_branch(self) -> Branch:
        """The side that sees photos; the sketches' own where the encoder is shared."""
        return self._photo_branch or self.sketch_branch

    @property
    def temperature(self) -> float | Tensor:
        """What divides the cosine similarities; a learned one stays above a hundredth."""
        if self.log_temperature is None:
            return self.options.temperature
        return self.log_temperature.exp().clamp(min=LOWEST_TEMPERATURE)

    def training_loss(self, batch: Batch, gather: Gather = own_rows) -> Loss:
        """Return l_multi, l_intra, l_inter and, with MSTR, l_recyc, and their weighted sum.

        The intra term needs second views; without them, or with weight 0, it is left out.
        """
        options, ids = self.options, gather(batch.photo_id)
        wants_views = options.intra_weight > 0
        sides = [
            branch.project_views(images, views if wants_views else None)
            for branch, images, views in (
                (self.sketch_branch, batch.sketch, batch.sketch_view),
                (self.photo_branch, batch.photo, batch.photo_view),
            )
        ]
        (sketch, photo) = (gather(side.cls) for side, _ in sides)

        def across(a: Tensor, b: Tensor) -> Tensor:
            return nt_xent(
                a, b, ids, self.temperature,
                all_positives=options.all_positives, within=options.within,
            )  # fmt: skip

        terms = {"multi": across(*(gather(side.embedding) for side, _ in sides))}
        seen = [gather(views) for _, views in sides if views is not None]
        if seen:
            terms["intra"] = sum_of(
                nt_xent(views, anchors, ids, self.temperature)
                for views, anchors in zip(seen, (sketch, photo), strict=True)
            )
        if options.inter_weight:
            terms["inter"] = across(sketch, photo)
        modules = (self.sketch_branch.mstr, self.photo_branch.mstr)
        recycled = [
            gather(recycling(side.tokens, module.contrast)).mean()
            for (side, _), module in zip(sides, modules, strict=True)
            if options.recycling_weight and module is not None and side.tokens is not None
        ]
        if recycled:
            terms["recycling"] = sum_of(recycled)
        weights = {name: getattr(options, f"{name}_weight") for name in terms}
        total = sum_of(weights[name] * term for name, term in terms.items())
        return Loss(total, terms)

    def embed_sketch(self, images: Tensor) -> Tensor:
        """Embed sketches, float in [0, 1], (B, 3, H, W), as unit vectors (B, E)."""
        return self.sketch_branch.embed(images)

    def embed_photo(self, images: Tensor) -> Tensor:
        """Embed photos, float in [0, 1], (B, 3, H, W), as unit vectors (B, E)."""
        return self.photo_branch.embed(images)
