"""Recipes: everything about training that is not the method itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from arnet.augment import parse_views
from arnet.errors import ArnetError, did_you_mean


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a method is trained.

    Attributes:
        name: what it is called on the command line and in results.
        epochs: passes over the training pairs.
        batch_size: pairs a step, over all processes.
        optimizer: "adam" (weight decay as L2) or "adamw" (decoupled, matrices only).
        lr: the highest learning rate.
        weight_decay: see `optimizer`.
        eps: of the optimizer; gradients well below it hardly move a weight.
        schedule: "constant", or "cosine" down to 0 over the whole run.
        warmup: share of all steps in which the learning rate rises linearly from 0.
        layer_decay: factor of the learning rate from each layer of a backbone to the one below it.
        ema: decay of the moving average of the weights, which then is what is tested and saved;
            0 is none.
        views: the anchors' view and the second view, see `arnet.augment.parse_views`.
        joint_flip: probability that a pair's anchors are mirrored together.
        fit_ink: "true", "false" or "auto": whether pictures are framed by what they show, see
            `arnet.framing`; "auto" is what `arnet.should_fit_ink` says of the train pairs.
        compile: whether the backbones are compiled.
        grad_checkpointing: whether a backbone's blocks are computed twice to save memory.
        method: settings of the method that go with this recipe.
    """

    name: str
    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    weight_decay: float
    schedule: str = "constant"
    warmup: float = 0.0
    layer_decay: float = 1.0
    ema: float = 0.0
    eps: float = 1e-8
    views: str = "A0+A1"
    joint_flip: float = 0.0
    fit_ink: str = "false"
    compile: bool = False
    grad_checkpointing: bool = False
    method: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ArnetError(f"{name} must be {' or '.join(allowed)}")
        if self.epochs < 1 or self.batch_size < 2 or self.lr <= 0:
            raise ArnetError("a recipe needs at least 1 epoch, batches of 2 pairs and a lr above 0")
        if self.eps <= 0:
            raise ArnetError(f"eps must be above 0, not {self.eps}")
        for name in ("warmup", "ema", "layer_decay", "joint_flip"):
            if not 0 <= getattr(self, name) <= 1:
                raise ArnetError(f"{name} must be between 0 and 1, not {getattr(self, name)}")
        parse_views(self.views)


CHOICES = {
    "optimizer": ("adam", "adamw"),
    "schedule": ("constant", "cosine"),
    "fit_ink": ("true", "false", "auto"),
}

PUBLISHED = Recipe(
    "published", epochs=500, batch_size=16, optimizer="adam", lr=6e-6, weight_decay=1e-4
)
"""ARNet as released: Adam, constant rate, clean anchors, A1 as the second view."""

STRONG = Recipe(
    "strong",
    epochs=12,
    batch_size=48,
    optimizer="adamw",
    lr=1e-4,
    weight_decay=0.05,
    schedule="cosine",
    warmup=0.05,
    views="affine",
    joint_flip=0.5,
    fit_ink="auto",
    method={
        "shared_encoder": True,
        "intra_weight": 0.0,
        "inter_weight": 0.0,
        "form": "match",
        "scales": (1,),
        "fusion_weight": 0.65,
    },
)
"""Ours: AdamW with warm-up and cosine, anchors flipped together and moved a little, one encoder,
tokens matched. `docs/results.md` says what it was chosen by."""

RECIPES = {recipe.name: recipe for recipe in (PUBLISHED, STRONG)}


def get_recipe(name: str) -> Recipe:
    """Return a recipe by name; raises `ArnetError` with a suggestion for an unknown one."""
    if name not in RECIPES:
        raise ArnetError(f"there is no recipe '{name}'.{did_you_mean(name, RECIPES)}")
    return RECIPES[name]
