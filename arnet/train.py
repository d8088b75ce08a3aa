"""The trainer: one method, some pairs, one recipe, a seed."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from arnet.augment import View, draw, mirrored, to_unit, transform
from arnet.data import PairImages
from arnet.device import autocast, prepare
from arnet.errors import ArnetError, TrainingDivergedError
from arnet.methods.base import Batch, Method
from arnet.recipes import Recipe

VIEWS_PER_PAIR = 4
"""Sketch and photo, each as anchor and as second view."""


@dataclass(frozen=True, slots=True)
class EpochStats:
    """What one pass over the training pairs was like.

    Attributes:
        epoch: counted from 1.
        loss: mean over the pairs; `terms` likewise, before weighting.
        lr: at the epoch's last step.
        seconds: wall time; `views_per_second`: images through an encoder.
    """

    epoch: int
    loss: float
    terms: dict[str, float]
    lr: float
    seconds: float
    views_per_second: float


class Trainer:
    """Trains `method` on `images`, epoch by epoch.

    Everything random in an epoch follows from the seed and the epoch's number, so a trainer that is
    restored after epoch k goes on as if it had never stopped.

    Raises `ArnetError` where a batch is larger than the set.
    """

    def __init__(
        self,
        method: Method,
        images: PairImages,
        recipe: Recipe,
        *,
        seed: int = 0,
        device: torch.device | None = None,
        precision: str = "fp32",
    ) -> None:
        if recipe.batch_size > len(images):
            raise ArnetError(
                f"a batch of {recipe.batch_size} is larger than the {len(images)} training pairs; "
                f"use --batch-size {max(len(images), 2)} or less"
            )
        self.device = device or torch.device("cpu")
        prepare(method, self.device)
        self.method, self.images, self.recipe = method, images.to(self.device), recipe
        self.seed, self.precision = seed, precision
        self.epoch = 0
        self.batches_per_epoch = math.ceil(len(images) / recipe.batch_size)
        self.optimizer = _make_optimizer(method, recipe)

    def train_epoch(self, on_step: Callable[[int, int], None] = lambda *_: None) -> EpochStats:
        """Make one pass over the pairs; `on_step` hears (steps done, steps in all).

        Raises `TrainingDivergedError` when the loss is no longer a number.
        """
        self.epoch += 1
        self.method.train()
        torch.manual_seed(self._seed("dropout"))
        order = torch.randperm(len(self.images), generator=self._generator("order"))
        views = {name: self._draw(name) for name in ("sketch", "photo", "sketch2", "photo2")}
        sums: dict[str, Tensor] = {}
        start = time.perf_counter()
        # Nearly equal chunks: a last batch of one pair would have nothing to contrast.
        for step, chosen in enumerate(order.tensor_split(self.batches_per_epoch), 1):
            lr = self._set_lr(step)
            loss, terms = self._step(self._batch(chosen, views))
            for name, value in {"loss": loss, **terms}.items():
                sums[name] = sums.get(name, torch.zeros_like(value)) + value * len(chosen)
            on_step(step, self.batches_per_epoch)
        means = {name: (total / len(self.images)).item() for name, total in sums.items()}
        if not math.isfinite(means["loss"]):
            raise TrainingDivergedError(
                f"the loss is {means['loss']} in epoch {self.epoch}; lower --lr (now "
                f"{self.recipe.lr:g}) or use --precision fp32"
            )
        seconds = time.perf_counter() - start
        return EpochStats(
            self.epoch,
            means.pop("loss"),
            means,
            lr,
            seconds,
            VIEWS_PER_PAIR * len(self.images) / seconds,
        )

    def state(self) -> dict[str, Tensor]:
        """Return all tensors that the next epoch depends on."""
        state = {f"method.{k}": v for k, v in self.method.state_dict().items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
        return state

    def restore(self, state: Mapping[str, Tensor], epoch: int) -> None:
        """Go on after `epoch`, from what `state` returned then."""
        self.method.load_state_dict(
            {k.removeprefix("method."): v for k, v in state.items() if k.startswith("method.")}
        )
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        slots: dict[int, dict[str, Tensor]] = {}
        for key, value in state.items():
            if key.startswith("optimizer."):
                _, number, name = key.split(".")
                owner = parameters[int(number)]
                if value.shape == owner.shape:
                    # Fused optimizers walk memory, so a moment must lie as its parameter does.
                    value = torch.empty_like(owner).copy_(value)
                slots.setdefault(int(number), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": slots})
        self.epoch = epoch

    def _step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        with autocast(self.device, self.precision):
            loss = self.method.training_loss(batch)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss.total)
        self.optimizer.step()
        return loss.total.detach(), {name: term.detach() for name, term in loss.terms.items()}

    def _batch(self, chosen: Tensor, views: Mapping[str, Tensor | None]) -> Batch:
        chosen = chosen.to(self.device)
        photo_id = self.images.photo_of[chosen]
        sketches, photos = self.images.sketches[chosen], self.images.photos[photo_id]

        def view(images: Tensor, name: str) -> Tensor:
            thetas = views[name]
            return to_unit(images) if thetas is None else transform(images, thetas[chosen])

        return Batch(
            view(sketches, "sketch"),
            view(photos, "photo"),
            view(sketches, "sketch2"),
            view(photos, "photo2"),
            photo_id,
        )

    def _draw(self, name: str) -> Tensor | None:
        """Draw this epoch's transform of every pair, so that it does not depend on the batches."""
        view: View = self.recipe.second if name.endswith("2") else self.recipe.anchor
        joint = 0.0 if name.endswith("2") else self.recipe.joint_flip
        if view.is_identity and not joint:
            return None
        theta = draw(view, len(self.images), self._generator(name))
        flips = torch.rand(len(self.images), generator=self._generator("joint flip"))
        return mirrored(theta, flips < joint).to(self.device)

    def _set_lr(self, step: int) -> float:
        total = self.recipe.epochs * self.batches_per_epoch
        done = (self.epoch - 1) * self.batches_per_epoch + step
        lr = self.recipe.lr * lr_share(self.recipe, done, total)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        return lr

    def _seed(self, purpose: str) -> int:
        text = f"{self.seed} {self.epoch} {purpose}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest())

    def _generator(self, purpose: str) -> torch.Generator:
        return torch.Generator().manual_seed(self._seed(purpose))


def lr_share(recipe: Recipe, step: int, total: int) -> float:
    """Return the share of the highest learning rate at `step` of `total`, counted from 1."""
    warmup = round(recipe.warmup * total)
    if step <= warmup:
        return step / warmup
    if recipe.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup + 1)))


def _make_optimizer(method: Method, recipe: Recipe) -> torch.optim.Optimizer:
    parameters = [p for p in method.parameters() if p.requires_grad]
    if recipe.optimizer == "adam":
        return torch.optim.Adam(parameters, recipe.lr, weight_decay=recipe.weight_decay, fused=True)
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, recipe.lr, fused=True)
