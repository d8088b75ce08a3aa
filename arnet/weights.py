"""Weights of a backbone from a file: what they were made for, and whether they fit."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.layers.norm_act import FrozenBatchNormAct2d
from timm.layers.pos_embed import resample_abs_pos_embed
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from arnet.encoders import BackboneSpec, Encoder
from arnet.errors import ArnetError, did_you_mean

FROZEN_BATCH_NORM = (FrozenBatchNorm2d, FrozenBatchNormAct2d)


def read_spec(name: str, weights: Path, image_size: int | None = None) -> BackboneSpec:
    """Return how to build the backbone that `weights` belongs to.

    `WEIGHTS.json` beside `WEIGHTS.safetensors` tells (`timm`, `mean`, `std`, `freeze_bn`); without
    it the backbone's own defaults hold. Raises `ArnetError` for a sidecar that cannot be used.
    """
    sidecar = weights.with_suffix(".json")
    if not sidecar.exists():
        return BackboneSpec(name, image_size=image_size)
    try:
        told = json.loads(sidecar.read_text(encoding="utf-8"))
        known = {"timm", "mean", "std", "freeze_bn"}
        if unknown := sorted(set(told) - known):
            raise ValueError(f"unknown key '{unknown[0]}'{did_you_mean(unknown[0], known)}")
        mean, std = (_triple(told[key]) if key in told else None for key in ("mean", "std"))
        return BackboneSpec(
            name, dict(told.get("timm", {})), mean, std, bool(told.get("freeze_bn")), image_size
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise ArnetError(f"{sidecar}: not a description of weights ({error})") from error


def load_backbone_weights(encoder: Encoder, weights: Path) -> None:
    """Load a safetensors file into the backbone, every parameter of it and nothing else.

    The classifier head alone may be in the file without being in the backbone, and the embedding of
    positions may be for another size of image: it is resampled. Raises `ArnetError` for a file that
    does not fit.
    """
    backbone = encoder.backbone
    try:
        state = load_file(weights)
    except (OSError, SafetensorError) as error:
        raise ArnetError(f"{weights}: cannot be read as safetensors ({error})") from error
    head = backbone.pretrained_cfg.get("classifier") or ()
    heads = tuple(f"{name}." for name in ((head,) if isinstance(head, str) else head))
    wanted = {k: v for k, v in backbone.state_dict().items() if not _is_counter(k)}
    state = {
        k: v
        for k, v in state.items()
        if k in wanted or not (_is_counter(k) or k in encoder.unreached or k.startswith(heads))
    }
    _resample_positions(state, encoder)
    if problem := _misfit(state, wanted):
        raise ArnetError(
            f"{weights}: these are not weights of {backbone.pretrained_cfg['architecture']}: "
            f"{problem}; name the --backbone that they were made for"
        )
    backbone.load_state_dict(state, strict=False)
    if _is_folded(state) and not _normalizes_nothing(backbone):
        variance = next(v for k, v in state.items() if k.endswith("running_var"))[0].item()
        raise ArnetError(
            f"{weights}: batch norm is folded into these weights, and they are useless in a "
            f"backbone that is not built for it; {weights.with_suffix('.json').name} must say how: "
            f'{{"timm": {{"bn_eps": {1 - variance:.2g}, ...}}, "mean": [...], "std": [...], '
            '"freeze_bn": true}'
        )


def _resample_positions(state: dict[str, Tensor], encoder: Encoder) -> None:
    """Stretch a vision transformer's embedding of positions to the encoder's grid, in place."""
    here, wanted = state.get("pos_embed"), getattr(encoder.backbone, "pos_embed", None)
    if here is None or wanted is None or here.dim() != 3 or here.shape[1] == wanted.shape[1]:
        return
    prefix = wanted.shape[1] - encoder.grid[0] * encoder.grid[1]
    side = math.isqrt(max(here.shape[1] - prefix, 0))
    if prefix >= 0 and side and side**2 + prefix == here.shape[1]:
        state["pos_embed"] = resample_abs_pos_embed(
            here, list(encoder.grid), num_prefix_tokens=prefix
        )


def _misfit(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str | None:
    missing = sorted(wanted.keys() - state.keys())
    surplus = sorted(state.keys() - wanted.keys())
    if missing:
        return f"{len(missing)} of its {len(wanted)} tensors are missing, the first '{missing[0]}'"
    if surplus:
        return f"{len(surplus)} tensors have no place in it, the first '{surplus[0]}'"
    for key, tensor in wanted.items():
        if state[key].shape != tensor.shape:
            return f"'{key}' is {list(state[key].shape)} instead of {list(tensor.shape)}"
    return None


def _is_folded(state: Mapping[str, Tensor]) -> bool:
    """Whether batch norm holds no statistics but what undoes its own epsilon."""
    means = [v for k, v in state.items() if k.endswith("running_mean")]
    variances = [v for k, v in state.items() if k.endswith("running_var")]
    if not means or any(m.any() for m in means):
        return False
    values = torch.unique(torch.cat(variances))
    # Batch norm that was never trained has variance 1.
    return len(values) == 1 and bool(values != 1)


def _normalizes_nothing(backbone: nn.Module) -> bool:
    """Whether every batch norm is frozen and its scale is 1."""
    return all(
        isinstance(m, FROZEN_BATCH_NORM) and _scale(m).sub(1).abs().max() < 1e-5
        for m in backbone.modules()
        if isinstance(m, (nn.BatchNorm2d, *FROZEN_BATCH_NORM))
    )


def _scale(norm: Any) -> Tensor:
    """Return what a frozen batch norm multiplies its channels by."""
    scale: Tensor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return scale


def _is_counter(key: str) -> bool:
    return key.endswith("num_batches_tracked")


def _triple(values: object) -> tuple[float, float, float]:
    red, green, blue = (float(v) for v in values)  # type: ignore[attr-defined]
    return red, green, blue
