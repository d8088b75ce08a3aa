"""The maintainer's word in `clothes.toml`: what to expect, and which findings may stay."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clothes_toolkit.dataset import Dataset
from clothes_toolkit.errors import ToolkitError

FILE_NAME = "clothes.toml"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a dataset should hold; `None` is no expectation.

    Attributes:
        photos, sketches: in all.
        designers: who may have drawn, and should have.
        splits: photos and sketches by split.
    """

    photos: int | None = None
    sketches: int | None = None
    designers: tuple[str, ...] | None = None
    splits: Mapping[str, tuple[int | None, int | None]] = field(default_factory=dict)


CLOTHES_V1 = Expectation(
    photos=500,
    sketches=1200,
    designers=tuple(f"{number:02}" for number in range(1, 8)),
    splits={"train": (380, 925), "test": (120, 275)},
)
"""Clothes-V1 as published (Jiang et al., AAAI 2025)."""

PRESETS = {"clothes-v1": CLOTHES_V1}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A finding that was looked at and stays."""

    rule: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class MaintainersWord:
    """What a `clothes.toml` says."""

    expect: Expectation = Expectation()
    accepted: tuple[Accepted, ...] = ()


def read_maintainers_word(path: Path) -> MaintainersWord:
    """Read a `clothes.toml`; raises `ToolkitError` with the place of what cannot be used."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        _only(document, ("expect", "accepted"), "")
        return MaintainersWord(
            _expectation(_table(document, "expect")),
            tuple(_accepted(entry) for entry in document.get("accepted", ())),
        )
    except OSError as error:
        raise ToolkitError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, TypeError) as error:
        raise ToolkitError(f"{path}: {error}") from error


def read_word_of(dataset: Dataset) -> MaintainersWord:
    """Read a dataset's own `clothes.toml`, where it has one; raises as `read_maintainers_word`."""
    path = dataset.root / FILE_NAME
    if FILE_NAME in dataset.escaped_folders or not path.exists():
        return MaintainersWord()
    return read_maintainers_word(path)


def expectation_named(name: str) -> Expectation:
    """Return a preset by name, or what the `[expect]` of a TOML file says."""
    if name in PRESETS:
        return PRESETS[name]
    path = Path(name)
    if not path.exists():
        known = ", ".join(PRESETS)
        raise ToolkitError(f"{name}: neither a known expectation ({known}) nor a file")
    return read_maintainers_word(path).expect


def _expectation(table: Mapping[str, Any]) -> Expectation:
    _only(table, ("photos", "sketches", "designers", "train", "test"), "[expect] ")
    designers = table.get("designers")
    if designers is not None and not (
        isinstance(designers, list) and all(isinstance(d, str) for d in designers)
    ):
        raise ValueError('[expect] designers must be a list like ["01", "02"]')
    splits = {}
    for split in ("train", "test"):
        if split in table:
            inner = _table(table, split)
            _only(inner, ("photos", "sketches"), f"[expect.{split}] ")
            splits[split] = (_count(inner, "photos"), _count(inner, "sketches"))
    return Expectation(
        _count(table, "photos"),
        _count(table, "sketches"),
        None if designers is None else tuple(designers),
        splits,
    )


def _accepted(entry: object) -> Accepted:
    if not isinstance(entry, dict):
        raise TypeError("[[accepted]] must be tables with rule, path and reason")
    _only(entry, ("rule", "path", "reason"), "[[accepted]] ")
    values = [entry.get(key) for key in ("rule", "path", "reason")]
    if not all(isinstance(value, str) and value.strip() for value in values):
        raise ValueError("every [[accepted]] needs a rule, a path and a reason")
    return Accepted(*(str(value) for value in values))


def _only(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            raise ValueError(f"{where}has an unknown key '{key}'{hint}")


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = document.get(key, {})
    if not isinstance(value, dict):
        raise TypeError(f"'{key}' must be a table")
    return value


def _count(table: Mapping[str, Any], key: str) -> int | None:
    value = table.get(key)
    if value is not None and (type(value) is not int or value < 0):
        raise ValueError(f"'{key}' must be a whole number, not {value!r}")
    return value
