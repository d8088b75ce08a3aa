"""ARNet: intra- and inter-sample contrastive alignment, with or without token recycling.

Source: Jiang, Tang, Jiang, Yu, Wu, "ARNet: Self-Supervised FG-SBIR with Unified Sample Feature
Alignment and Multi-Scale Token Recycling", AAAI 2025, arXiv 2406.11551.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arnet.encoders import Encoder
from arnet.errors import ArnetError
from arnet.losses import nt_xent, recycling
from arnet.methods.base import Batch, Loss, Method
from arnet.mstr import MultiScaleTokenRecycling


@dataclass(frozen=True, slots=True)
class ARNetOptions:
    """Settings of the method itself; the defaults are the published ones.

    Attributes:
        embedding_dim: width of the head's output, which is what retrieval compares.
        temperature: of all contrastive terms.
        shared_encoder: one encoder for sketches and photos instead of one each.
        mstr: whether patch tokens are recycled.
        scales: of MSTR, see `arnet.mstr`.
        fusion_weight: share of the recycled vector in the fused token.
        multi_weight, intra_weight, inter_weight, recycling_weight: of the terms of the loss.
    """

    embedding_dim: int = 512
    temperature: float = 0.07
    shared_encoder: bool = False
    mstr: bool = False
    scales: tuple[int, ...] = (1, 2, 7)
    fusion_weight: float = 0.1
    multi_weight: float = 1.0
    intra_weight: float = 1.0
    inter_weight: float = 1.0
    recycling_weight: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ArnetError(f"temperature must be above 0, not {self.temperature}")
        if not 0 <= self.fusion_weight <= 1:
            raise ArnetError(f"fusion_weight must be between 0 and 1, not {self.fusion_weight}")


class Branch(nn.Module):
    """One side of the network: encoder, token recycling, head."""

    def __init__(self, encoder: Encoder, options: ARNetOptions) -> None:
        super().__init__()
        self.encoder = encoder
        self.fusion_weight = options.fusion_weight
        self.mstr = (
            MultiScaleTokenRecycling(encoder.dim, encoder.grid, options.scales)
            if options.mstr
            else None
        )
        self.head = nn.Linear(encoder.dim, options.embedding_dim)
        # An orthogonal head keeps the angles that the backbone was pretrained to give.
        nn.init.orthogonal_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def project(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return class tokens (B, D), the head's output (B, E), and recycled tokens (B, T, W)."""
        if self.mstr is None:
            cls = self.encoder.class_token(images)
            return cls, self.head(cls), None
        cls, patches = self.encoder(images)
        recycled, tokens = self.mstr(patches)
        share = self.fusion_weight
        return cls, self.head((1 - share) * cls + share * recycled), tokens

    def embed(self, images: Tensor) -> Tensor:
        """Embed images as unit vectors (B, E)."""
        return F.normalize(self.project(images)[1].float(), dim=-1)


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

    @property
    def photo_branch(self) -> Branch:
        """The side that sees photos; the sketches' own where the encoder is shared."""
        return self._photo_branch or self.sketch_branch

    def training_loss(self, batch: Batch) -> Loss:
        """Return l_multi, l_intra, l_inter and, with MSTR, l_recyc, and their weighted sum."""
        options, ids, t = self.options, batch.photo_id, self.options.temperature
        sketch, z_sketch, sketch_tokens = self.sketch_branch.project(batch.sketch)
        photo, z_photo, photo_tokens = self.photo_branch.project(batch.photo)
        sketch_view = self.sketch_branch.encoder.class_token(batch.sketch_view)
        photo_view = self.photo_branch.encoder.class_token(batch.photo_view)
        terms = {
            "multi": nt_xent(z_sketch, z_photo, ids, t),
            "intra": nt_xent(sketch_view, sketch, ids, t) + nt_xent(photo_view, photo, ids, t),
            "inter": nt_xent(sketch, photo, ids, t),
        }
        total = (
            options.multi_weight * terms["multi"]
            + options.intra_weight * terms["intra"]
            + options.inter_weight * terms["inter"]
        )
        for branch, tokens in (
            (self.sketch_branch, sketch_tokens),
            (self.photo_branch, photo_tokens),
        ):
            if branch.mstr is not None and tokens is not None:
                term = recycling(tokens, branch.mstr.contrast)
                terms["recycling"] = terms.get("recycling", torch.zeros_like(term)) + term
                total = total + options.recycling_weight * term
        return Loss(total, terms)

    def embed_sketch(self, images: Tensor) -> Tensor:
        """Embed sketches, float in [0, 1], (B, 3, H, W), as unit vectors (B, E)."""
        return self.sketch_branch.embed(images)

    def embed_photo(self, images: Tensor) -> Tensor:
        """Embed photos, float in [0, 1], (B, 3, H, W), as unit vectors (B, E)."""
        return self.photo_branch.embed(images)
