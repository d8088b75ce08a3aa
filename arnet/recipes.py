"""Recipes: everything about training that is not the method itself."""

from __future__ import annotations

from dataclasses import dataclass

from arnet.augment import A0, A1, View
from arnet.errors import ArnetError, did_you_mean


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a method is trained.

    Attributes:
        name: what it is called on the command line and in results.
        epochs: passes over the training pairs.
        batch_size: pairs a step.
        optimizer: "adam" (weight decay as L2) or "adamw" (decoupled, matrices only).
        lr: the highest learning rate.
        weight_decay: see `optimizer`.
        schedule: "constant", or "cosine" down to 0 over the whole run.
        warmup: share of all steps in which the learning rate rises linearly from 0.
        anchor, second: the two views of every image.
        joint_flip: probability that a pair's anchors are mirrored together.
    """

    name: str
    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    weight_decay: float
    schedule: str = "constant"
    warmup: float = 0.0
    anchor: View = A0
    second: View = A1
    joint_flip: float = 0.0

    def __post_init__(self) -> None:
        for field, allowed in (("optimizer", ("adam", "adamw")), ("schedule", SCHEDULES)):
            if getattr(self, field) not in allowed:
                raise ArnetError(f"{field} must be {' or '.join(allowed)}")
        if self.epochs < 1 or self.batch_size < 2 or self.lr <= 0:
            raise ArnetError("a recipe needs at least 1 epoch, batches of 2 pairs and a lr above 0")


SCHEDULES = ("constant", "cosine")

PUBLISHED = Recipe(
    "published", epochs=500, batch_size=16, optimizer="adam", lr=6e-6, weight_decay=1e-4
)
"""ARNet as released: Adam, constant rate, clean anchors, A1 as the second view."""

STRONG = Recipe(
    "strong",
    epochs=15,
    batch_size=32,
    optimizer="adamw",
    lr=1e-4,
    weight_decay=0.05,
    schedule="cosine",
    warmup=0.05,
    anchor=View("affine", rotation=10.0, zoom=(0.9, 1.1), shift=0.05),
    second=A1,
    joint_flip=0.5,
)
"""Ours: AdamW with warm-up and cosine, anchors flipped together and moved a little."""

RECIPES = {recipe.name: recipe for recipe in (PUBLISHED, STRONG)}


def get_recipe(name: str) -> Recipe:
    """Return a recipe by name; raises `ArnetError` with a suggestion for an unknown one."""
    if name not in RECIPES:
        raise ArnetError(f"there is no recipe '{name}'.{did_you_mean(name, RECIPES)}")
    return RECIPES[name]
