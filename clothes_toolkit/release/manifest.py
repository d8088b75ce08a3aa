"""What belongs to a release, and the checksum that names its content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from clothes_toolkit.dataset import RELEASE_FILES, Dataset
from clothes_toolkit.edits.files import file_sha256
from clothes_toolkit.errors import ToolkitError


def release_content(dataset: Dataset) -> list[str]:
    """Return the paths of a release: images, strokes, `split.json`, `clothes.toml`; sorted."""
    images = (entry.path for entry in dataset.entries if entry.is_readable)
    return sorted([*images, *_beside_the_images(dataset)])


def release_checksum(dataset: Dataset) -> str:
    """Return the sha256 over the lines `<sha256 of the file>  <path>` of the release content.

    Raises `ToolkitError` where a file cannot be read.
    """
    total = hashlib.sha256()
    for path in release_content(dataset):
        try:
            digest = file_sha256(dataset.root / path)
        except OSError as error:
            raise ToolkitError(f"{path}: cannot be read ({error.strerror})") from error
        total.update(f"{digest}  {path}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def _beside_the_images(dataset: Dataset) -> Iterator[str]:
    for name in RELEASE_FILES:
        path = dataset.root / name
        if name in dataset.escaped_folders:
            continue
        if path.is_file():
            yield name
        elif path.is_dir():
            yield from (f"{name}/{file.name}" for file in path.glob("*.json") if file.is_file())
