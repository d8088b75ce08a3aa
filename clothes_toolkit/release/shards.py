"""A release's images as Parquet shards, with the files' own bytes inside.

Config `pairs` has a row for each sketch, `gallery` one for each photo. Which row lies in which
shard follows from the manifest alone, so that a release can be taken apart again by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clothes_toolkit.dataset import RELEASE_FILES, Layout
from clothes_toolkit.errors import MissingExtraError, RefusedError, ToolkitError
from clothes_toolkit.release.manifest import STROKES_FOLDER, FileRecord, Manifest, strokes_path

PAIRS, GALLERY = "pairs", "gallery"
CONFIGS = (PAIRS, GALLERY)
SPLITS = Layout.SPLIT.splits
LOOSE_FOLDER = "loose"
"""Where files are that are neither in a pair nor in a gallery."""
AT_THE_ROOT = tuple(name for name in RELEASE_FILES if name != STROKES_FOLDER)
SHARD_BYTES = 256 * 1024 * 1024
"""Content of a shard; the Hub asks for less than some gigabytes."""
GROUP_BYTES, GROUP_ROWS = 32 * 1024 * 1024, 256
"""Content of a row group, which is held in memory."""

Read = Callable[[FileRecord], bytes]
"""Gives the bytes of a file of the release."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a config: a sketch with its photo and, where it has them, its strokes; or a photo.

    Attributes:
        photo: the photo.
        sketch: `None` in config `gallery`.
        strokes: the file of the sketch's strokes, or `None`.
    """

    photo: FileRecord
    sketch: FileRecord | None = None
    strokes: FileRecord | None = None

    @property
    def of(self) -> FileRecord:
        """The image that the row stores for the release; a pair's photo is in the gallery, too."""
        return self.sketch or self.photo

    @property
    def size(self) -> int:
        """Bytes of content."""
        return sum(part.size for part in (self.photo, self.sketch, self.strokes) if part)


@dataclass(frozen=True, slots=True)
class Shard:
    """A Parquet file of a release.

    Attributes:
        path: in the release.
        config, split: what it is a part of.
        rows: what it holds.
    """

    path: str
    config: str
    split: str
    rows: tuple[Row, ...]

    @property
    def size(self) -> int:
        """Bytes of content, before compression."""
        return sum(row.size for row in self.rows)


@dataclass(frozen=True)
class Stored:
    """Where every file of a release is stored.

    Attributes:
        shards: by path.
        loose: records of the files that are stored as they are, by their path in the release.
        has_strokes: whether any sketch has strokes.
    """

    shards: tuple[Shard, ...]
    loose: Mapping[str, FileRecord]
    has_strokes: bool

    def rows(self, config: str, split: str) -> list[Row]:
        """Return the rows of a split of a config, in their order."""
        return [
            row
            for shard in self.shards
            if (shard.config, shard.split) == (config, split)
            for row in shard.rows
        ]


def lay_out(manifest: Manifest) -> Stored:
    """Return where a release stores the files of its manifest."""
    rows = {
        (config, split): list(of_config(manifest, split))
        for config, of_config in ((PAIRS, _pairs), (GALLERY, _gallery))
        for split in SPLITS
    }
    shards = [shard for (config, split), of in rows.items() for shard in _cut(config, split, of)]
    every = [row for of in rows.values() for row in of]
    embedded = {part.path for row in every for part in (row.of, row.strokes) if part}
    loose = {
        record.path if record.path in AT_THE_ROOT else f"{LOOSE_FOLDER}/{record.path}": record
        for record in manifest.files
        if record.path not in embedded
    }
    shards.sort(key=lambda shard: shard.path)
    return Stored(tuple(shards), loose, any(row.strokes for row in every))


def columns(config: str, has_strokes: bool) -> dict[str, str]:
    """Return the columns of a config and whether each is an "image" or a "string"."""
    if config == GALLERY:
        return {"photo": "image", "photo_id": "string"}
    pairs = {"sketch": "image", "photo": "image", "photo_id": "string", "designer": "string"}
    return pairs | ({"strokes": "string"} if has_strokes else {})


def write_shard(shard: Shard, read: Read, target: Path, *, has_strokes: bool) -> None:
    """Write a shard, holding no more than a row group of it in memory.

    Raises `ToolkitError` where it cannot be written, `RefusedError` where strokes are no text, and
    what `read` raises.
    """
    try:
        import pyarrow as pa
        from datasets import Features, Image, Value
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("a release", "hub") from error
    kinds = {"image": Image(), "string": Value("string")}
    of = columns(shard.config, has_strokes)
    schema = Features({name: kinds[kind] for name, kind in of.items()}).arrow_schema
    try:
        with parquet.ParquetWriter(
            target,
            schema,
            compression="zstd",
            write_statistics=["photo_id", "designer"],
            use_content_defined_chunking=True,
            write_page_index=True,
        ) as writer:
            for group in _groups(shard.rows):
                rows = [_values(row, schema.names, read) for row in group]
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    except OSError as error:
        raise ToolkitError(
            f"{target}: cannot be written ({error.strerror or error}); a shard takes up to "
            f"{SHARD_BYTES >> 20} MiB"
        ) from error


def take_out(
    shard: Shard, file: Path, wanted: Collection[str]
) -> Iterator[tuple[FileRecord, bytes]]:
    """Yield the wanted files of a shard and their bytes, which are not checked.

    Args:
        shard: which one it is.
        file: the Parquet file.
        wanted: paths of sketches, strokes or photos.

    Raises `RefusedError` where the file is no Parquet, or its rows are not those of the manifest.
    """
    import pyarrow as pa
    from pyarrow import parquet

    image = "sketch" if shard.config == PAIRS else "photo"
    try:
        with parquet.ParquetFile(file) as opened:
            present = [c for c in (image, "strokes") if c in opened.schema_arrow.names]
            batches = opened.iter_batches(batch_size=64, columns=present)
            stored = (values for batch in batches for values in batch.to_pylist())
            for row, values in zip(shard.rows, stored, strict=True):
                if row.of.path in wanted:
                    yield row.of, values[image]["bytes"]
                if row.strokes is not None and row.strokes.path in wanted:
                    yield row.strokes, values["strokes"].encode()
    except (pa.ArrowException, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise ToolkitError(f"{file}: cannot be read ({error.strerror})") from error
        # Arrow says of damaged data, too, that it is an OSError, one without a number.
        raise RefusedError(f"{shard.path}: is not what was published ({error})") from error


def check(record: FileRecord, data: bytes, why: str) -> bytes:
    """Return a file's bytes if they are those of its record; else raises `RefusedError`."""
    if not fits(record, data):
        raise RefusedError(f"{record.path}: {why}")
    return data


def fits(record: FileRecord, data: bytes) -> bool:
    """Whether bytes are those of a record."""
    return len(data) == record.size and hashlib.sha256(data).hexdigest() == record.sha256


def _pairs(manifest: Manifest, split: str) -> Iterator[Row]:
    photos = {row.photo.photo: row.photo for row in _gallery(manifest, split)}
    for record in manifest.files:
        if record.split == split and record.is_sketch and record.photo in photos:
            strokes = manifest.by_path.get(strokes_path(record))
            yield Row(photos[record.photo], record, strokes)


def _gallery(manifest: Manifest, split: str) -> Iterator[Row]:
    return (Row(r) for r in manifest.files if r.split == split and r.is_photo)


def _cut(config: str, split: str, rows: Sequence[Row]) -> list[Shard]:
    """Cut rows into shards of `SHARD_BYTES`."""
    parts: list[list[Row]] = []
    filled = 0
    for row in rows:
        if not parts or filled + row.size > SHARD_BYTES:
            parts.append([])
            filled = 0
        parts[-1].append(row)
        filled += row.size
    return [
        Shard(f"{config}/{split}-{n:05}-of-{len(parts):05}.parquet", config, split, tuple(part))
        for n, part in enumerate(parts)
    ]


def _groups(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Yield rows in groups of bounded number and size."""
    group: list[Row] = []
    filled = 0
    for row in rows:
        if group and (len(group) == GROUP_ROWS or filled + row.size > GROUP_BYTES):
            yield group
            group, filled = [], 0
        group.append(row)
        filled += row.size
    if group:
        yield group


def _values(row: Row, columns: Sequence[str], read: Read) -> dict[str, Any]:
    """Return the values of a row by column; a photo that several rows share is read for each."""
    values: dict[str, Any] = {"photo": _image(row.photo, read), "photo_id": row.photo.photo}
    if row.sketch is not None:
        values |= {"sketch": _image(row.sketch, read), "designer": row.sketch.designer}
    if "strokes" in columns:
        values["strokes"] = _text(row.strokes, read) if row.strokes else None
    return values


def _image(record: FileRecord, read: Read) -> dict[str, Any]:
    return {"bytes": read(record), "path": record.name}


def _text(record: FileRecord, read: Read) -> str:
    try:
        return read(record).decode()
    except UnicodeDecodeError as error:
        raise RefusedError(f"{record.path}: is no UTF-8 text; strokes are JSON") from error
