"""A program of its own: loads a release as anybody would, and says what it finds, row by row.

It knows nothing of the toolkit; `verify` starts it and compares what it says with the dataset's
folder. Its input is a line of JSON on stdin, `source`, `revision` and `configs`; its output a JSON
array a row on stdout. It ends when stdin does, so that it does not outlive whoever started it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
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


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(1)


def main() -> None:
    """Say what is found."""
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    for config in asked["configs"]:
        for row in rows_of(asked["source"], asked["revision"], config):
            sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()
    # Not by way of the interpreter's end, which would wait for the thread's hold on stdin.
    os._exit(0)


if __name__ == "__main__":
    main()
