"""Baseline results that join a release: only those that were measured on exactly its content."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from clothes_toolkit.errors import RefusedError, ToolkitError
from clothes_toolkit.learn.result import Q_VALUES, SCHEMA, BaselineResult
from clothes_toolkit.release.manifest import Manifest

RESULT_FILE = "result.json"
FOLDER = "baselines"


@dataclass(frozen=True, slots=True)
class Baseline:
    """A result that is published with a release.

    Attributes:
        name: of its run folder.
        result: the numbers and what they depend on.
        data: the bytes of its `result.json`.
        folder: the run folder.
    """

    name: str
    result: BaselineResult
    data: bytes
    folder: Path

    @property
    def path(self) -> str:
        """Where it is in the release."""
        return f"{FOLDER}/{self.name}.json"


def read_baselines(folder: Path, manifest: Manifest) -> tuple[Baseline, ...]:
    """Read the results of all run folders in a folder, or of the run folder that it is.

    Raises `ToolkitError` where there are none or one cannot be read, and `RefusedError` where one
    was measured on other data than the manifest's.
    """
    files = sorted(folder.rglob(RESULT_FILE)) if folder.is_dir() else []
    if not files:
        raise ToolkitError(f"{folder}: holds no {RESULT_FILE}; name a run folder, or one of them")
    found = [_read(file) for file in files]
    for file, baseline in zip(files, found, strict=True):
        _fits(file, baseline.result, manifest)
    return tuple(sorted(_named_apart(found), key=lambda baseline: baseline.name))


def _read(file: Path) -> Baseline:
    try:
        data = file.read_bytes()
        told = json.loads(data)
        if told["schema"] != SCHEMA:
            raise ValueError(f"its schema is {told['schema']!r}, not {SCHEMA!r}")
        result = BaselineResult.from_json(told)
        for needed in ("method", "backbone", "recipe", "protocol", "n_queries", "n_gallery"):
            result.facts[needed]
        _sizes(result.facts["dataset"])
        [result.accuracy(q) for q in Q_VALUES]
    except OSError as error:
        raise ToolkitError(f"{file}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ToolkitError(f"{file}: is no result of a baseline ({error!r})") from error
    # As a part of a repository's name it must not have two of these in a row.
    name = re.sub(r"[^A-Za-z0-9_]+", "-", file.resolve().parent.name).strip("-") or "run"
    return Baseline(name, result, data, file.parent)


def _sizes(dataset: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    """Return what a result says of its data, by split and what is counted."""
    str(dataset["sha256"])
    return {
        (split, noun): int(dataset[split][noun])
        for split in ("train", "test")
        for noun in ("photos", "sketches")
    }


def _named_apart(found: Sequence[Baseline]) -> list[Baseline]:
    """Return baselines of which no two have one name."""
    apart: dict[str, Baseline] = {}
    for baseline in found:
        numbered = (f"{baseline.name}-{number}" for number in count(2))
        name = next(name for name in chain([baseline.name], numbered) if name not in apart)
        apart[name] = dataclasses.replace(baseline, name=name)
    return list(apart.values())


def _fits(file: Path, result: BaselineResult, manifest: Manifest) -> None:
    measured = result.facts["dataset"]
    if measured["sha256"] == manifest.checksum:
        return
    sizes = _sizes(measured)
    differs = [
        f"{noun} in {split}: {sizes[split, noun]} there, {here[noun]} here"
        for split, here in manifest.counts["splits"].items()
        for noun in ("photos", "sketches")
        if sizes[split, noun] != here[noun]
    ]
    what = "; ".join(differs) or "the counts are the same, some files are not"
    raise RefusedError(
        f"{file}: was measured on other data, checksum {measured['sha256'][:12]}…, and this "
        f"release has {manifest.checksum[:12]}… ({what}); run the baseline on this release"
    )
