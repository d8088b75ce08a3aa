"""ARNet: intra- and inter-sample contrastive alignment, with or without token recycling.

Source: Jiang, Tang, Jiang, Yu, Wu, "ARNet: Self-Supervised FG-SBIR with Unified Sample Feature
Alignment and Multi-Scale Token Recycling", AAAI 2025, arXiv 2406.11551.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arnet.encoders import Encoder, Features
from arnet.errors import ArnetError
from arnet.losses import info_nce, nt_xent, recycling
from arnet.matching import TokenMatching, match
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
        form: how: "fuse" as published (one vector of all tokens is mixed into the class token), or
            "match" (tokens of sketch and photo look for their like, see `arnet.matching`).
        scales: of the tokens that are recycled.
        fusion_weight: share of what is recycled, in the fused token or in the similarity;
            `learn_fusion` starts from it (form "fuse" only), and 0 is the control.
        match_width, match_temperature: of the tokens that are matched, and of their loss.
        match_place: share of where a token lies in its likeness to another.
        multi_weight, intra_weight, inter_weight, recycling_weight, match_weight: of the terms of
            the loss. What only a term of weight 0 needs is not computed.
    """

    embedding_dim: int = 512
    temperature: float = 0.07
    learn_temperature: bool = False
    shared_encoder: bool = False
    all_positives: bool = False
    within: bool = True
    mstr: bool = False
    form: str = "fuse"
    scales: tuple[int, ...] = (1, 2, 7)
    fusion_weight: float = 0.1
    learn_fusion: bool = False
    match_width: int = 64
    match_temperature: float = 0.0125
    match_place: float = 0.2
    multi_weight: float = 1.0
    intra_weight: float = 1.0
    inter_weight: float = 1.0
    recycling_weight: float = 1.0
    match_weight: float = 1.0

    def __post_init__(self) -> None:
        for name in ("temperature", "match_temperature"):
            if getattr(self, name) <= 0:
                raise ArnetError(f"{name} must be above 0, not {getattr(self, name)}")
        if not 0 <= self.fusion_weight <= 1:
            raise ArnetError(f"fusion_weight must be between 0 and 1, not {self.fusion_weight}")
        if not 0 <= self.match_place < 1:
            raise ArnetError(f"match_place must be from 0 to below 1, not {self.match_place}")
        if self.form not in ("fuse", "match"):
            raise ArnetError(f"form must be fuse or match, not '{self.form}'")
        if self.form == "match" and self.learn_fusion:
            raise ArnetError("learn_fusion needs form=fuse: a share in the ranking has no gradient")
        if self.multi_weight <= 0:
            raise ArnetError("multi_weight must be above 0: nothing else trains what is retrieved")


class Projected(NamedTuple):
    """What a branch says of a batch.

    Attributes:
        cls: (B, D), class tokens.
        embedding: (B, E), the head's output.
        recycled: (B, T, W), tokens of all scales after their transformers, in form "fuse".
        matched: (B, T, W), comparable tokens, in form "match".
    """

    cls: Tensor
    embedding: Tensor
    recycled: Tensor | None = None
    matched: Tensor | None = None


class Branch(nn.Module):
    """One side of the network: encoder, what is done with its tokens, head."""

    def __init__(self, encoder: Encoder, options: ARNetOptions) -> None:
        super().__init__()
        self.encoder = encoder
        self.mstr = self.matching = None
        self.fusion_weight: float | nn.Parameter = options.fusion_weight
        if options.mstr and options.form == "fuse":
            self.mstr = MultiScaleTokenRecycling(encoder.dim, encoder.grid, options.scales)
            if options.learn_fusion:
                self.fusion_weight = nn.Parameter(torch.tensor(options.fusion_weight))
        elif options.mstr:
            self.matching = TokenMatching(
                encoder.dim,
                encoder.grid,
                options.scales,
                options.match_width,
                place=options.match_place,
            )
        self.head = nn.Linear(encoder.dim, options.embedding_dim)
        # An orthogonal head keeps the angles that the backbone was pretrained to give.
        nn.init.orthogonal_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @property
    def uses_tokens(self) -> bool:
        """Whether more than the class token is looked at."""
        return self.mstr is not None or self.matching is not None

    def encode(self, images: Tensor) -> Features:
        """Encode images, float in [0, 1], (B, 3, H, W), as far as `project` needs it."""
        features: Features = self.encoder(images, only_class_token=not self.uses_tokens)
        return features

    def project(self, features: Features, images: Tensor, side: str) -> Projected:
        """Project what `encode` made of images; `side` is "sketch" or "photo"."""
        cls, patches = features
        if self.mstr is not None:
            vector, tokens = self.mstr(patches)
            fused = cls + self.fusion_weight * (vector - cls)
            return Projected(cls, self.head(fused), recycled=tokens)
        if self.matching is not None:
            of_side = self.matching.sketch if side == "sketch" else self.matching.photo
            tokens = of_side(patches, images)
            return Projected(cls, self.head(cls), matched=tokens)
        return Projected(cls, self.head(cls))

    def embed(self, images: Tensor, side: str) -> Tensor:
        """Embed images as unit vectors (B, E), followed by the tokens to match, if any."""
        found = self.project(self.encode(images), images, side)
        vector = F.normalize(found.embedding.float(), dim=-1)
        return vector if found.matched is None else torch.cat([vector, found.matched.flatten(1)], 1)


def sum_of(terms: Iterable[Tensor]) -> Tensor:
    """Add scalars."""
    return torch.stack(list(terms)).sum()


class ARNet(Method):
    """Two encoders, aligned within each domain and across them.

    L = l_multi + l_intra + l_inter (+ l_recyc): head embeddings across domains; class tokens of
    anchor and second view within each domain; class tokens across domains, anchors only. Form
    "match" of MSTR has l_match, over how much of each sketch and photo is found in the other,
    instead of l_recyc.
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
    def looks_at_second_views(self) -> bool:
        """Whether there is an intra term."""
        return self.options.intra_weight > 0

    @property
    def temperature(self) -> float | Tensor:
        """What divides the cosine similarities; a learned one stays above a hundredth."""
        if self.log_temperature is None:
            return self.options.temperature
        return self.log_temperature.exp().clamp(min=LOWEST_TEMPERATURE)

    def training_loss(self, batch: Batch, gather: Gather = own_rows) -> Loss:
        """Return the terms of the loss and their weighted sum.

        The intra term needs second views; without them, or with weight 0, it is left out.
        """
        ids = gather(batch.photo_id)
        features, seen = self._encode(batch)
        sketch = self.sketch_branch.project(features["sketch"], batch.sketch, "sketch")
        photo = self.photo_branch.project(features["photo"], batch.photo, "photo")
        cls = {"sketch": gather(sketch.cls), "photo": gather(photo.cls)}
        terms = {"multi": self._across(gather(sketch.embedding), gather(photo.embedding), ids)}
        if seen:
            terms["intra"] = sum_of(
                nt_xent(gather(view), cls[side], ids, self.temperature)
                for side, view in seen.items()
            )
        if self.options.inter_weight:
            terms["inter"] = self._across(cls["sketch"], cls["photo"], ids)
        if sketch.matched is not None and photo.matched is not None and self.options.match_weight:
            found = match(gather(sketch.matched), gather(photo.matched))
            terms["match"] = info_nce(found, ids, self.options.match_temperature)
        if self.options.recycling_weight:
            terms |= self._recycling((sketch, photo), gather)
        weights = {name: getattr(self.options, f"{name}_weight") for name in terms}
        return Loss(sum_of(weights[name] * term for name, term in terms.items()), terms)

    def _encode(self, batch: Batch) -> tuple[dict[str, Features], dict[str, Tensor]]:
        """Encode the anchors, and the class tokens of the second views that the loss looks at."""
        images = {"sketch": [batch.sketch], "photo": [batch.photo]}
        for side, view in (("sketch", batch.sketch_view), ("photo", batch.photo_view)):
            if self.looks_at_second_views and view is not None:
                images[side].append(view)
        branch = self.sketch_branch
        if branch.uses_tokens or branch.encoder.mixes_the_batch:
            # Of views no tokens are needed, and a batch norm must not take them for anchors.
            anchors = {side: some[:1] for side, some in images.items()}
            views = {side: some[1:] for side, some in images.items()}
            first = self._one_pass(anchors, only_class_token=not branch.uses_tokens)
            second = self._one_pass(views, only_class_token=True)
            found = {side: first[side] + second[side] for side in images}
        else:
            found = self._one_pass(images, only_class_token=True)
        seen = {side: some[1].cls for side, some in found.items() if len(some) > 1}
        return {side: some[0] for side, some in found.items()}, seen

    def _one_pass(
        self, images: Mapping[str, list[Tensor]], *, only_class_token: bool
    ) -> dict[str, list[Features]]:
        """Encode batches of either side, each encoder's in one pass.

        A batch norm of a shared encoder thus learns from sketches and photos together, as it will
        see them when it embeds either.
        """
        sketches, photos = images["sketch"], images["photo"]
        encoder = self.sketch_branch.encoder
        if self._photo_branch is None:
            found = encoder.together([*sketches, *photos], only_class_token=only_class_token)
            return {"sketch": found[: len(sketches)], "photo": found[len(sketches) :]}
        other = self._photo_branch.encoder
        return {
            "sketch": encoder.together(sketches, only_class_token=only_class_token),
            "photo": other.together(photos, only_class_token=only_class_token),
        }

    def _across(self, sketches: Tensor, photos: Tensor, ids: Tensor) -> Tensor:
        options = self.options
        return nt_xent(
            sketches, photos, ids, self.temperature,
            all_positives=options.all_positives, within=options.within,
        )  # fmt: skip

    def _recycling(self, sides: Iterable[Projected], gather: Gather) -> dict[str, Tensor]:
        modules = (self.sketch_branch.mstr, self.photo_branch.mstr)
        found = [
            gather(recycling(side.recycled, module.contrast)).mean()
            for side, module in zip(sides, modules, strict=True)
            if module is not None and side.recycled is not None
        ]
        return {"recycling": sum_of(found)} if found else {}

    def embed_sketch(self, images: Tensor) -> Tensor:
        """Embed sketches, float in [0, 1], (B, 3, H, W): unit vectors, then tokens to match."""
        return self.sketch_branch.embed(images, "sketch")

    def embed_photo(self, images: Tensor) -> Tensor:
        """Embed photos, float in [0, 1], (B, 3, H, W): unit vectors, then tokens to match."""
        return self.photo_branch.embed(images, "photo")

    def similarity(self, sketches: Tensor, photos: Tensor) -> Tensor:
        """Return the cosine similarity.

        In form "match" it is mixed with how much was found, in [-1, 1]: `fusion_weight` is the
        share of what was found when each is in units of its temperature, as the loss compared them.
        """
        options, width = self.options, self.options.embedding_dim
        # Half precision would blur the ranks of near photos.
        with torch.autocast(sketches.device.type, enabled=False):
            whole = sketches[:, :width].float() @ photos[:, :width].float().T
        matching = self.sketch_branch.matching
        if matching is None or not options.fusion_weight:
            return whole
        shape = (-1, matching.token_width)
        tokens = [torch.unflatten(side[:, width:], 1, shape) for side in (sketches, photos)]
        found = options.fusion_weight / options.match_temperature
        rest = (1 - options.fusion_weight) / self.temperature
        return torch.lerp(whole, match(tokens[0], tokens[1]), found / (found + rest))
