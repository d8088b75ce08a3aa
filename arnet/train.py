"""The trainer: one method, some pairs, one recipe, a seed."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor

from arnet.augment import Drawn, draw, parse_views, transform
from arnet.data import PairImages
from arnet.device import autocast, free_memory, is_out_of_memory, prepare
from arnet.distributed import average_gradients, gather_rows, rank, share_of, shares
from arnet.errors import ArnetError, BatchTooLargeError, TrainingDivergedError
from arnet.methods.base import Batch, Loss, Method
from arnet.optimizers import lr_share, make_optimizer
from arnet.recipes import Recipe

IMAGES = ("sketch", "photo")


@dataclass(frozen=True, slots=True)
class EpochStats:
    """What one pass over the training pairs was like.

    Attributes:
        epoch: counted from 1.
        loss: mean over the pairs; `terms` likewise, before weighting.
        lr: at the epoch's last step.
        seconds: wall time; `views_per_second`: images made for the encoders.
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
    restored after epoch k goes on as if it had never stopped. What is drawn for a pair does not
    depend on its batch, nor on how many processes share the training.

    Attributes:
        method: what is being trained.
        trained: what the training gave so far: the moving average of `method` where the recipe
            keeps one, else `method` itself.
        epoch: how many are done.

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
        prepare(
            method, self.device, compiled=recipe.compile, checkpointing=recipe.grad_checkpointing
        )
        self.method, self.images, self.recipe = method, images.to(self.device), recipe
        self.seed, self.precision = seed, precision
        self.epoch = 0
        self.batches_per_epoch = count_batches(len(images), recipe.batch_size)
        self.optimizer = make_optimizer(method, recipe)
        self.average = ModelEmaV3(method, decay=recipe.ema, use_warmup=True) if recipe.ema else None
        self.anchor, second = parse_views(recipe.views)
        self.second = second if method.looks_at_second_views else None

    @property
    def trained(self) -> Method:
        """The network to evaluate and to keep."""
        if self.average is None:
            return self.method
        averaged: Method = self.average.module
        return averaged

    @property
    def views_per_pair(self) -> int:
        """Images that are made of a pair: sketch and photo, in one view or two."""
        return len(IMAGES) * (1 if self.second is None else 2)

    def train_epoch(self, on_step: Callable[[int, int], None] = lambda *_: None) -> EpochStats:
        """Make one pass over the pairs; `on_step` hears (steps done, steps in all).

        Raises `TrainingDivergedError` when the loss is no longer a number, and
        `BatchTooLargeError` when a batch does not fit into memory.
        """
        self.epoch += 1
        self.method.train()
        torch.manual_seed(self._seed(f"dropout {rank()}"))
        order = torch.randperm(len(self.images), generator=self._generator("order"))
        views = self._draw_views()
        sums: dict[str, Tensor] = {}
        start = time.perf_counter()
        chunks = order.to(self.device).tensor_split(self.batches_per_epoch)
        for step, chosen in enumerate(chunks, 1):
            done = (self.epoch - 1) * self.batches_per_epoch + step
            lr = self._set_lr(done)
            loss = self._step(chosen, views)
            if self.average is not None:
                self.average.update(self.method, done)
            for name, value in {"loss": loss.total, **loss.terms}.items():
                sums[name] = sums.get(name, torch.zeros_like(value)) + value * len(chosen)
            on_step(step, self.batches_per_epoch)
        means = {name: (total / len(self.images)).item() for name, total in sums.items()}
        if not math.isfinite(means["loss"]):
            raise TrainingDivergedError(
                f"the loss is {means['loss']} in epoch {self.epoch}; lower --lr (now "
                f"{self.recipe.lr:g}) or use --precision fp32"
            )
        seconds = time.perf_counter() - start
        rate = self.views_per_pair * len(self.images) / seconds
        return EpochStats(self.epoch, means.pop("loss"), means, lr, seconds, rate)

    def state(self) -> dict[str, Tensor]:
        """Return all tensors that the next epoch depends on."""
        state = {f"method.{k}": v for k, v in self.method.state_dict().items()}
        if self.average is not None:
            state |= {f"average.{k}": v for k, v in self.trained.state_dict().items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
        return state

    def restore(self, state: Mapping[str, Tensor], epoch: int) -> None:
        """Go on after `epoch`, from what `state` returned then."""
        self.method.load_state_dict(_part(state, "method."))
        if self.average is not None:
            self.trained.load_state_dict(_part(state, "average."))
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        slots: dict[int, dict[str, Tensor]] = {}
        for key, value in _part(state, "optimizer.").items():
            number, _, name = key.partition(".")
            owner = parameters[int(number)]
            if value.shape == owner.shape:
                # Fused optimizers walk memory, so a moment must lie as its parameter does.
                value = torch.empty_like(owner).copy_(value)
            slots.setdefault(int(number), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": slots})
        self.epoch = epoch

    def _step(self, chosen: Tensor, views: Mapping[str, Drawn]) -> Loss:
        try:
            loss = self._backward(chosen, views)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            fits = self._size_that_fits(chosen, views)
            raise BatchTooLargeError(len(chosen), fits) from error
        average_gradients(self.method.parameters())
        self.optimizer.step()
        return Loss(loss.total.detach(), {name: t.detach() for name, t in loss.terms.items()})

    def _backward(self, chosen: Tensor, views: Mapping[str, Drawn]) -> Loss:
        self.optimizer.zero_grad()
        gather = partial(gather_rows, counts=shares(len(chosen)))
        with autocast(self.device, self.precision):
            loss = self.method.training_loss(self._batch(share_of(chosen), views), gather)
        torch.autograd.backward(loss.total)
        return loss

    def _size_that_fits(self, chosen: Tensor, views: Mapping[str, Drawn]) -> int:
        """Halve a batch until it fits; 0 where not even two pairs do."""
        size = len(chosen) // 2
        while size >= 2:
            free_memory(self.device)
            try:
                self._backward(chosen[:size], views)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                size //= 2
            else:
                break
        self.optimizer.zero_grad()
        free_memory(self.device)
        return size if size >= 2 else 0

    def _batch(self, chosen: Tensor, views: Mapping[str, Drawn]) -> Batch:
        photo_id = self.images.photo_of[chosen]
        pixels = {"sketch": self.images.sketches[chosen], "photo": self.images.photos[photo_id]}

        def view(image: str, which: str) -> Tensor | None:
            drawn = views.get(f"{which} {image}")
            return None if drawn is None else transform(pixels[image], drawn.of(chosen))

        sketch, photo = (transform(pixels[i], views[f"anchor {i}"].of(chosen)) for i in IMAGES)
        return Batch(sketch, photo, view("sketch", "second"), view("photo", "second"), photo_id)

    def _draw_views(self) -> dict[str, Drawn]:
        """Draw this epoch's transforms of every pair."""
        count, joint = len(self.images), self.recipe.joint_flip
        flips = torch.rand(count, generator=self._generator("joint flip")) < joint
        drawn = {}
        for image in IMAGES:
            generator = self._generator(image)
            drawn[f"anchor {image}"] = draw(self.anchor, count, generator, flips if joint else None)
            if self.second is not None:
                generator = self._generator(f"{image}2")
                drawn[f"second {image}"] = draw(self.second, count, generator)
        return {name: one.to(self.device) for name, one in drawn.items()}

    def _set_lr(self, done: int) -> float:
        total = self.recipe.epochs * self.batches_per_epoch
        lr = self.recipe.lr * lr_share(self.recipe, done, total)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_scale"]
        return lr

    def _seed(self, purpose: str) -> int:
        text = f"{self.seed} {self.epoch} {purpose}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest())

    def _generator(self, purpose: str) -> torch.Generator:
        return torch.Generator().manual_seed(self._seed(purpose))


def count_batches(pairs: int, size: int) -> int:
    """Return how many batches of nearly the same size two or more pairs are divided into.

    None is above `size`, and none has one pair alone, which would have nothing to contrast: where
    batches of two leave one pair over, it makes a batch of three.
    """
    return min(math.ceil(pairs / size), pairs // 2)


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
