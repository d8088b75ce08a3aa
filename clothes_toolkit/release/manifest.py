"""What belongs to a release, file by file, and the checksum that names its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from clothes_toolkit import __version__
from clothes_toolkit.dataset import RELEASE_FILES, Dataset, Layout
from clothes_toolkit.edits.files import file_sha256
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.images import ImageFacts

SCHEMA = "clothes-toolkit/manifest/1"
MANIFEST_FILE = "manifest.json"
STROKES_FOLDER = "strokes"
IMAGE_FOLDERS = frozenset(folder for layout in Layout for folder in layout.folders)


class ManifestError(ToolkitError):
    """Something is no manifest, or not the one that was asked for."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of a release.

    Attributes:
        path: relative to the dataset's root, with `/`.
        sha256, size: of its bytes.
        width, height: pixels of an image; `None` for other files and where they are unknown.
        split: "train" or "test" of an image in a split layout, else `None`.
        designer: of a sketch, else `None`.
        photo: the stem of the photo that it is, or is a sketch of; `None` where it is neither.
    """

    path: str
    sha256: str
    size: int
    width: int | None = None
    height: int | None = None
    split: str | None = None
    designer: str | None = None
    photo: str | None = None

    @property
    def is_sketch(self) -> bool:
        """Whether this is a sketch in its place."""
        return self.designer is not None

    @property
    def is_photo(self) -> bool:
        """Whether this is a photo in its place."""
        return self.photo is not None and self.designer is None

    def is_at(self, file: Path) -> bool:
        """Whether a file has the bytes of this one; not so if it cannot be read."""
        try:
            return file.stat().st_size == self.size and file_sha256(file) == self.sha256
        except OSError:
            return False

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Manifest:
    """All files of a release, and what they are together.

    Attributes:
        layout, scheme: how folders and files are named.
        counts: photos, sketches, pairs, designers and splits, as `Counts.to_json` gives them.
        files: sorted by path.
        version: of the release; `None` for a folder that is not released.
        toolkit: the toolkit's version that made it.
    """

    layout: str
    scheme: str
    counts: Mapping[str, Any]
    files: tuple[FileRecord, ...]
    version: str | None = None
    toolkit: str = __version__

    @cached_property
    def checksum(self) -> str:
        """The release checksum: sha256 over lines `<sha256>  <path>`, the same on all machines."""
        return content_checksum((record.path, record.sha256) for record in self.files)

    @cached_property
    def by_path(self) -> dict[str, FileRecord]:
        """The files by path."""
        return {record.path: record for record in self.files}

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(record.size for record in self.files)

    def to_bytes(self) -> bytes:
        """Return the content of its `manifest.json`: a file a line, so that it can be compared."""
        head = {
            "schema": SCHEMA,
            "version": self.version,
            "checksum": self.checksum,
            "toolkit": self.toolkit,
            "layout": self.layout,
            "scheme": self.scheme,
            "counts": self.counts,
        }
        lines = ",\n".join(json.dumps(_without_none(asdict(record))) for record in self.files)
        text = json.dumps(head, indent=1)
        return f'{text[:-2]},\n "files": [\n{lines}\n ]\n}}\n'.encode()


def release_content(dataset: Dataset) -> list[str]:
    """Return the paths of a release: images, strokes, `split.json`, `clothes.toml`; sorted."""
    images = (entry.path for entry in dataset.entries if entry.is_readable)
    return sorted([*images, *_beside_the_images(dataset)])


def release_checksum(dataset: Dataset) -> str:
    """Return the sha256 over the lines `<sha256 of the file>  <path>` of the release content.

    Raises `ToolkitError` where a file cannot be read.
    """
    return content_checksum((path, _digest(dataset, path)) for path in release_content(dataset))


def content_checksum(files: Iterable[tuple[str, str]]) -> str:
    """Return the release checksum of files, pairs of path and sha256, sorted by path."""
    total = hashlib.sha256()
    for path, digest in files:
        total.update(f"{digest}  {path}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def make_manifest(
    dataset: Dataset, images: Mapping[str, ImageFacts], version: str | None = None
) -> Manifest:
    """Return the manifest of a dataset.

    Args:
        dataset: the index of the folder.
        images: the facts of its images, see `inspect_images`.
        version: the version that it is to be released as.

    Raises `ToolkitError` where a file cannot be read.
    """
    known: dict[str, dict[str, str]] = {}
    for path, told in _known(dataset):
        known.setdefault(path, {}).update(told)
    return Manifest(
        dataset.layout.value,
        dataset.scheme.value,
        dataset.counts().to_json(),
        tuple(
            _record(dataset, path, images.get(path), known.get(path, {}))
            for path in release_content(dataset)
        ),
        version,
    )


def read_manifest(data: bytes, name: str) -> Manifest:
    """Read a `manifest.json`; errors call it `name`.

    Raises `ManifestError` where it is none, contradicts itself, or names a path outside a dataset.
    """
    try:
        told = json.loads(data)
        if told["schema"] != SCHEMA:
            raise ValueError(f"its schema is {told['schema']!r}, not {SCHEMA!r}")
        manifest = Manifest(
            Layout(told["layout"]).value,
            str(told["scheme"]),
            dict(told["counts"]),
            tuple(_read_record(record) for record in told["files"]),
            told["version"],
            str(told["toolkit"]),
        )
        for record in manifest.files:
            check_path(record.path)
        if manifest.checksum != told["checksum"]:
            raise ValueError("its checksum is not that of its files")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ManifestError(f"{name}: is no {MANIFEST_FILE} ({error})") from error
    return manifest


def read_manifest_of(version: object, data: bytes, place: str) -> Manifest:
    """Read the manifest of a release; raises `ManifestError` where it is of another version."""
    manifest = read_manifest(data, f"{place} v{version}")
    if manifest.version != str(version):
        raise ManifestError(f"{place}: v{version} has the manifest of {manifest.version}")
    return manifest


def strokes_path(sketch: FileRecord) -> str:
    """Return where the strokes of a sketch are, if there are any."""
    return f"{STROKES_FOLDER}/{sketch.name.rpartition('.')[0]}.json"


def check_path(path: str) -> None:
    """Raise `ValueError` for a path that no release has, such as one that leads out of it."""
    parts = PurePosixPath(path).parts
    if path in RELEASE_FILES:
        return
    if len(parts) != 2 or parts[0] not in _FOLDERS or parts[1] in ("..", ".") or "\\" in path:
        raise ValueError(f"{path!r} is no path of a release")


_FOLDERS = IMAGE_FOLDERS | {STROKES_FOLDER}
_FIELDS = frozenset(field.name for field in fields(FileRecord))


def _read_record(told: Mapping[str, Any]) -> FileRecord:
    """Return a record; what a later toolkit may add is passed over."""
    return FileRecord(**{key: value for key, value in told.items() if key in _FIELDS})


def _known(dataset: Dataset) -> Iterator[tuple[str, dict[str, str]]]:
    """Return what is known of images by path: the split, and of a right name what it says."""
    for entry in dataset.entries:
        yield entry.path, {"split": entry.split} if dataset.layout is Layout.SPLIT else {}
    for photo in dataset.photos:
        yield photo.path, {"photo": photo.stem}
    for sketch in dataset.sketches:
        yield sketch.path, {"photo": sketch.photo, "designer": sketch.designer}


def _record(
    dataset: Dataset, path: str, facts: ImageFacts | None, known: Mapping[str, str]
) -> FileRecord:
    digest, size = (facts.sha256, facts.size) if facts else ("", 0)
    if not digest:
        digest, size = _digest(dataset, path), (dataset.root / path).stat().st_size
    width, height = (facts.width, facts.height) if facts and facts.width else (None, None)
    named = (known.get(what) for what in ("split", "designer", "photo"))
    return FileRecord(path, digest, size, width, height, *named)


def _digest(dataset: Dataset, path: str) -> str:
    try:
        return file_sha256(dataset.root / path)
    except OSError as error:
        raise ToolkitError(f"{path}: cannot be read ({error.strerror})") from error


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _beside_the_images(dataset: Dataset) -> Iterator[str]:
    for name in RELEASE_FILES:
        path = dataset.root / name
        if name in dataset.escaped_folders:
            continue
        if path.is_file():
            yield name
        elif path.is_dir():
            yield from (f"{name}/{file.name}" for file in _strokes_in(path))


def _strokes_in(folder: Path) -> Iterator[Path]:
    inside = folder.resolve()
    for file in folder.glob("*.json"):
        leads_out = file.is_symlink() and not file.resolve().is_relative_to(inside)
        if file.is_file() and not leads_out:
            yield file
