"""Checkpoints that ARNet's authors released, read without running what is in them.

A file holds two state dicts, `skt_model` and `img_model`, with the keys `encoder.*` (a timm vision
transformer with its classifier) and `mlp_head.0.*`, beside a few numbers.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from arnet.checkpoint import NORMALIZATION
from arnet.errors import ArnetError
from arnet.methods.base import Method
from arnet.registry import preprocessed, rebuild_method

SIDES = {"skt_model": "sketch_branch", "img_model": "_photo_branch"}
BACKBONES = {
    (192, 12): "vit_tiny_patch16_224",
    (384, 12): "vit_small_patch16_224",
    (768, 12): "vit_base_patch16_224",
    (1024, 24): "vit_large_patch16_224",
}
"""timm's name for a width and a number of blocks; the authors' is the third."""


def load_authors(path: Path, preprocess: str = "authors") -> Method:
    """Read a released checkpoint of arnet-basic; see `arnet.registry.preprocessed`.

    Raises `ArnetError` for a file that cannot be read as tensors and numbers alone, that is of
    another network, or that is of MSTR, whose checkpoints lack most of what they need.
    """
    states = _read_states(path)
    if any("recycle" in key for state in states.values() for key in state):
        raise ArnetError(
            f"{path}: a checkpoint with MSTR, which cannot be recovered: the released code kept "
            "its recycling transformers (33,083,904 parameters a side) outside the state dict, so "
            "they were never saved, and every load drew new ones; evaluate an ARNet basic "
            "checkpoint, or train arnet-mstr here"
        )
    sketch = states["skt_model"]
    method = rebuild_method(
        {
            "method": "arnet-basic",
            "backbone": preprocessed({"name": _backbone_of(path, sketch)}, preprocess),
            "options": {"embedding_dim": len(sketch["mlp_head.0.weight"])},
        }
    )
    renamed = {
        f"{branch}.{_renamed(key)}": value
        for side, branch in SIDES.items()
        for key, value in states[side].items()
        if not key.startswith("encoder.head.")
    }
    ours = {k: v for k, v in method.state_dict().items() if k.endswith(NORMALIZATION)}
    try:
        method.load_state_dict({**ours, **renamed})
    except RuntimeError as error:
        raise ArnetError(f"{path}: not ARNet basic on a vision transformer") from error
    return method.eval()


def _read_states(path: Path) -> dict[str, Any]:
    try:
        with warnings.catch_warnings(action="ignore"):
            told: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, IndexError, AttributeError,
            TypeError, pickle.UnpicklingError, zipfile.BadZipFile) as error:  # fmt: skip
        raise ArnetError(
            f"{path}: not a checkpoint that can be read as tensors alone; whatever else a pickle "
            "holds is never run here"
        ) from error
    states = {side: told.get(side) for side in SIDES} if isinstance(told, Mapping) else {}
    if not states or not all(_is_state(state) for state in states.values()):
        raise ArnetError(
            f"{path}: not one of ARNet's checkpoints, which hold skt_model and img_model"
        )
    return states


def _is_state(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items()
    )


def _backbone_of(path: Path, state: Mapping[str, Tensor]) -> str:
    blocks = {key.split(".")[2] for key in state if key.startswith("encoder.blocks.")}
    position = state.get("encoder.pos_embed", torch.empty(0))
    found = BACKBONES.get((position.shape[-1], len(blocks)))
    if found is None or state.get("mlp_head.0.weight", torch.empty(0)).dim() != 2:
        raise ArnetError(
            f"{path}: not ARNet basic on a vision transformer with patches of 16 and 224 pixels; "
            "only such checkpoints were released"
        )
    return found


def _renamed(key: str) -> str:
    if key.startswith("encoder."):
        return f"encoder.backbone.{key.removeprefix('encoder.')}"
    return key.replace("mlp_head.0.", "head.")
