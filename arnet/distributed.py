"""One training shared by several processes, as `torchrun` or `accelerate launch` start them.

Each process computes its share of every batch. Features are gathered before they are contrasted, so
all processes have the same negatives and the same loss as one process with the whole batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """Join the processes that the environment names, if it names more than one.

    `device` is "auto", "cpu" or "cuda".
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield
        return
    on_gpus = device != "cpu" and torch.cuda.is_available()
    dist.init_process_group("nccl" if on_gpus else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def world_size() -> int:
    """Return how many processes share the training."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return which of them this one is; 0 is the one that writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def local_rank() -> int:
    """Return which process of its machine this one is, so that each can have a GPU of its own."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def wait_for_all() -> None:
    """Return when every process has come here."""
    if dist.is_initialized():
        dist.barrier()


def shares(count: int) -> list[int]:
    """Return how many of `count` rows each process has, as `share_of` divides them."""
    size = world_size()
    return [count // size + (place < count % size) for place in range(size)]


def share_of(chosen: Tensor) -> Tensor:
    """Return this process's part of a batch: a run of it, in order of rank."""
    return torch.split(chosen, shares(len(chosen)))[rank()]


class _GatherRows(torch.autograd.Function):
    """Rows of all processes in order of rank.

    Every process computes the same loss from the same rows, so the gradient of its own rows is
    complete at home. `average_gradients` divides by the number of processes; this multiplies by it.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int]) -> Tensor:
        ctx.counts = counts
        padded = rows.new_zeros((max(counts), *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:n] for part, n in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        return torch.split(gradient, ctx.counts)[rank()] * world_size(), None


def gather_rows(rows: Tensor, counts: list[int]) -> Tensor:
    """Return the rows of all processes, in order of rank, with gradients to one's own.

    `counts` says how many each has, see `shares`.
    """
    if len(counts) == 1:
        return rows
    gathered: Tensor = _GatherRows.apply(rows, counts)
    return gathered


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the processes."""
    if world_size() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= world_size()
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, mean in zip(gradients, parts, strict=True):
        gradient.copy_(mean.view_as(gradient))
