"""Everything that a release consists of, ready to be stored somewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from clothes_toolkit.errors import RefusedError
from clothes_toolkit.release.baselines import Baseline
from clothes_toolkit.release.manifest import MANIFEST_FILE, FileRecord, Manifest
from clothes_toolkit.release.shards import (
    AT_THE_ROOT,
    PAIRS,
    Row,
    Shard,
    Stored,
    check,
    lay_out,
    write_shard,
)
from clothes_toolkit.release.version import Version

README = "README.md"
EVAL_FILE, TASK = "eval.yaml", "acc_at_1"
"""Where the Hub looks for a benchmark's tasks, and ours."""
OURS = ("pairs/", "gallery/", "loose/", "baselines/")
"""Folders of a repository that belong to the release alone."""
_CHANGED = "has changed since it was checked; nothing was released, run the same command again"


@dataclass(frozen=True)
class Package:
    """A release, ready to be stored.

    Attributes:
        root: the dataset's folder.
        version: what it is released as.
        manifest: its files; has the version.
        card: its `README.md`.
        baselines: results that were measured on it.
    """

    root: Path
    version: Version
    manifest: Manifest
    card: str
    baselines: tuple[Baseline, ...] = ()

    @cached_property
    def stored(self) -> Stored:
        """Where each file of the manifest is stored."""
        return lay_out(self.manifest)

    @cached_property
    def documents(self) -> Mapping[str, bytes]:
        """Small files by path: those written for the release, and those at the root."""
        documents = {
            README: self.card.encode(),
            MANIFEST_FILE: self.manifest.to_bytes(),
            EVAL_FILE: _benchmark(self.card),
        }
        root = {p: self.read(r) for p, r in self.stored.loose.items() if p in AT_THE_ROOT}
        return documents | root | {baseline.path: baseline.data for baseline in self.baselines}

    @property
    def loose(self) -> Mapping[str, FileRecord]:
        """Files that are stored as they are, and are no documents, by path."""
        loose = self.stored.loose
        return {path: record for path, record in loose.items() if path not in AT_THE_ROOT}

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Every path of the release with its size; of a shard that of its content."""
        sizes = {path: len(data) for path, data in self.documents.items()}
        sizes |= {shard.path: shard.size for shard in self.stored.shards}
        sizes |= {path: record.size for path, record in self.loose.items()}
        return dict(sorted(sizes.items()))

    def read(self, record: FileRecord) -> bytes:
        """Return a file's bytes; raises `RefusedError` if they are not those of the manifest."""
        try:
            data = (self.root / record.path).read_bytes()
        except OSError as error:
            raise RefusedError(f"{record.path}: {_CHANGED} ({error.strerror})") from error
        return check(record, data, _CHANGED)

    def write(self, shard: Shard, target: Path) -> None:
        """Write a shard; raises as `write_shard`."""
        write_shard(shard, self.read, target, has_strokes=self.stored.has_strokes)

    def fingerprints(self, config: str, split: str) -> list[tuple[str, ...]]:
        """Return, of every row of a split of a config, what `loading` will tell of it."""
        return [_fingerprint(row) for row in self.stored.rows(config, split)]


def _fingerprint(row: Row) -> tuple[str, ...]:
    """Return checksums and names of a row."""
    photo = row.photo.sha256, str(row.photo.photo)
    if row.sketch is None:
        return photo
    strokes = row.strokes.sha256 if row.strokes else ""
    return row.sketch.sha256, *photo, str(row.sketch.designer), strokes


def _benchmark(card: str) -> bytes:
    """Return the `eval.yaml` by which the Hub knows a benchmark's tasks."""
    title = next((line[2:] for line in card.splitlines() if line.startswith("# ")), "dataset")
    task = {"id": TASK, "config": PAIRS, "split": "test"}
    words = "Fine-grained sketch-based image retrieval: Acc@1, percent, of the test sketches."
    # JSON is YAML, too.
    return (
        f"name: {json.dumps(title, ensure_ascii=False)}\n"
        f"description: {json.dumps(words)}\ntasks:\n- {json.dumps(task)}\n"
    ).encode()
