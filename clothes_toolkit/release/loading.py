"""A program of its own: loads a release as anybody would, and says what it finds, row by row.

It knows nothing of the toolkit but the names of configs and splits; `verify` starts it and compares
what it says with the dataset's folder. Its input is a JSON object on stdin, `source`, `revision`
and `configs`; its output a JSON array a row on stdout.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from typing import Any

BATCH = 64


def rows_of(source: str, revision: str | None, config: str) -> Iterator[list[str]]:
    """Yield config, split and fingerprint of every row, in order."""
    from datasets import Image, load_dataset

    loaded = load_dataset(source, config, revision=revision)
    for split, rows in loaded.items():
        images = [name for name, kind in rows.features.items() if isinstance(kind, Image)]
        if len(rows):
            for name in images:
                rows[0][name].load()  # as a user gets it: a picture
        for batch in rows.with_format("arrow").iter(batch_size=BATCH):
            for row in batch.to_pylist():
                yield [config, split, *_fingerprint(row)]


def _fingerprint(row: dict[str, Any]) -> list[str]:
    photo = _sha256(row["photo"]["bytes"])
    if "sketch" not in row:
        return [photo, row["photo_id"]]
    strokes = row.get("strokes")
    return [
        _sha256(row["sketch"]["bytes"]),
        photo,
        row["photo_id"],
        row["designer"],
        "" if strokes is None else _sha256(strokes.encode()),
    ]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main() -> None:
    """Say what is found."""
    asked = json.load(sys.stdin)
    for config in asked["configs"]:
        for row in rows_of(asked["source"], asked["revision"], config):
            sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
