"""Checkpoints: safetensors beside JSON, written so that the previous one survives a failure."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from arnet.errors import ArnetError
from arnet.methods.base import Method
from arnet.registry import preprocessed, rebuild_method

MODEL, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
NORMALIZATION = ("encoder.mean", "encoder.std")


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file under another name, flush it to the disk, then give it its name.

    Whatever fails, `path` holds what it held before; the error is passed on.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(beside)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write tensors and JSON metadata as one safetensors file, atomically."""
    whole = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    note = {"json": json.dumps(metadata)}
    try:
        write_atomically(path, lambda beside: save_file(whole, beside, note))
    except (OSError, SafetensorError) as error:
        raise ArnetError(
            f"{path}: cannot be written ({_reason(error)}); what was there before is untouched"
        ) from error


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote; raises `ArnetError` for anything else."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get("json", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        raise ArnetError(f"{path}: not a checkpoint ({_reason(error)})") from error


def save_method(folder: Path, method: Method) -> None:
    """Write a method's weights, the description that `load_method` builds it from, and its card."""
    save_tensors(folder / MODEL, method.state_dict(), {})
    text = json.dumps(method.config, indent=2) + "\n"
    write_atomically(folder / CONFIG, lambda beside: _write_text(beside, text))
    if method.card:
        write_atomically(folder / CARD, lambda beside: _write_text(beside, method.card))


def load_method(folder: Path, preprocess: str | None = None) -> Method:
    """Read a method that `save_method` wrote; its embeddings are identical.

    `preprocess` changes how images reach the backbone, see `arnet.registry.preprocessed`. Raises
    `ArnetError` for a folder that holds none, or weights that do not fit the description.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArnetError(f"{folder}: no checkpoint here ({_reason(error)})") from error
    tensors, _ = load_tensors(folder / MODEL)
    if preprocess and isinstance(config, dict) and isinstance(config.get("backbone"), dict):
        config["backbone"] = preprocessed(config["backbone"], preprocess)
    method = rebuild_method(config)
    if preprocess:
        tensors |= {k: v for k, v in method.state_dict().items() if k.endswith(NORMALIZATION)}
    try:
        method.load_state_dict(tensors)
    except RuntimeError as error:
        raise ArnetError(f"{folder / MODEL}: weights of another method or backbone") from error
    if (folder / CARD).is_file():
        method.card = (folder / CARD).read_text(encoding="utf-8")
    return method.eval()


def load_checkpoint(path: Path, preprocess: str | None = None) -> Method:
    """Read a checkpoint of any kind.

    Args:
        path: a folder that `save_method` wrote, its `model.safetensors`, the folder of a run with
            one seed, or a `.pth` file of ARNet's authors.
        preprocess: "backbone" or "authors"; left out, a checkpoint's own.

    Raises `ArnetError` for anything else.
    """
    from arnet.authors import load_authors

    if path.is_dir() and not (path / CONFIG).exists():
        seeds = sorted(child.parent for child in path.glob(f"seed-*/{CONFIG}"))
        if len(seeds) > 1:
            names = ", ".join(seed.name for seed in seeds)
            raise ArnetError(f"{path}: a run of several seeds ({names}); name one of them")
        path = seeds[0] if seeds else path
    if path.is_file() and path.suffix != ".safetensors":
        return load_authors(path, preprocess or "authors")
    return load_method(path.parent if path.suffix == ".safetensors" else path, preprocess)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _reason(error: Exception) -> str:
    """Return the first line of an error, without a file's name that the caller prints itself."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return text.splitlines()[0] if text else type(error).__name__
