"""Where a method runs, and in which numbers."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import nn

from arnet.encoders import Encoder
from arnet.errors import ArnetError

CPU_FLAGS = Path("/proc/cpuinfo")

CPU_CHUNK = 16
"""Images at a time on a CPU: more no longer fit its caches."""


def choose_device(name: str) -> torch.device:
    """Return the device called "auto", "cpu" or "cuda"; raises `ArnetError` where it is missing."""
    available = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if available else "cpu")
    if name not in ("cpu", "cuda"):
        raise ArnetError(f"device must be auto, cpu or cuda, not '{name}'")
    if name == "cuda" and not available:
        raise ArnetError("there is no CUDA device on this machine; use --device cpu")
    return torch.device(name)


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


def prepare(method: nn.Module, device: torch.device) -> None:
    """Move a method to `device` and lay it out the way that runs fastest there."""
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


def _cpu_multiplies_bf16() -> bool:
    if not CPU_FLAGS.exists():
        return False
    flags = CPU_FLAGS.read_text(encoding="utf-8", errors="replace")
    return "avx512_bf16" in flags or "amx_bf16" in flags
