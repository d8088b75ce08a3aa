"""Where a method runs, and in which numbers."""

from __future__ import annotations

import gc
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import nn

from arnet.distributed import local_rank
from arnet.encoders import Encoder
from arnet.errors import ArnetError

CPU_FLAGS = Path("/proc/cpuinfo")

CPU_CHUNK = 16
"""Images at a time on a CPU: more no longer fit its caches."""


def choose_device(name: str) -> torch.device:
    """Return the device called "auto", "cpu" or "cuda"; each process of a machine has its own GPU.

    Raises `ArnetError` where there is none.
    """
    available = torch.cuda.is_available()
    if name == "auto":
        name = "cuda" if available else "cpu"
    if name not in ("cpu", "cuda"):
        raise ArnetError(f"device must be auto, cpu or cuda, not '{name}'")
    if name == "cuda" and not available:
        raise ArnetError("there is no CUDA device on this machine; use --device cpu")
    if name == "cpu":
        return torch.device("cpu")
    device = torch.device("cuda", local_rank() % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device


def choose_precision(name: str, device: torch.device) -> str:
    """Return "fp32" or "bf16"; "auto" is bf16 where the hardware multiplies it natively."""
    if name not in ("auto", "fp32", "bf16"):
        raise ArnetError(f"precision must be auto, fp32 or bf16, not '{name}'")
    if name != "auto":
        return name
    native = torch.cuda.is_bf16_supported() if device.type == "cuda" else _cpu_multiplies_bf16()
    return "bf16" if native else "fp32"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the context in which a forward pass runs at `precision`."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def prepare(
    method: nn.Module, device: torch.device, *, compiled: bool = False, checkpointing: bool = False
) -> None:
    """Move a method to `device` and lay it out the way that runs fastest there.

    `compiled` compiles the backbones; `checkpointing` lets them compute their blocks twice rather
    than keep what is inside. Raises `ArnetError` for a backbone that has no blocks to do so with.
    """
    method.to(device)
    for module in method.modules():
        if hasattr(module, "fused_attn"):
            # Plain matrix products beat the fused kernel on CPUs, and lose to it on GPUs.
            module.fused_attn = device.type != "cpu"  # type: ignore[assignment]
        if isinstance(module, Encoder):
            module.chunk = CPU_CHUNK if device.type == "cpu" else 0
            # Their gradient in bf16 takes longer on a CPU than all else in fp32.
            module.full_precision = device.type == "cpu" and module.has_small_depthwise_convolutions
            if module.is_convolutional:
                module.to(memory_format=torch.channels_last)
            if checkpointing:
                module.checkpoint_blocks()
            module.compiled = compiled


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device, or the machine, has no memory left."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    # The CPU's allocator has no error of its own.
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def free_memory(device: torch.device) -> None:
    """Give memory that nobody holds any longer back to the device."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _cpu_multiplies_bf16() -> bool:
    if not CPU_FLAGS.exists():
        return False
    flags = CPU_FLAGS.read_text(encoding="utf-8", errors="replace")
    return "avx512_bf16" in flags or "amx_bf16" in flags
