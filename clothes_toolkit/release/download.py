"""A release's content back as a folder, byte for byte."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from clothes_toolkit.cache import PRIVATE_FOLDER
from clothes_toolkit.dataset import Layout
from clothes_toolkit.edits.files import new_folder, partial_folder, write_file
from clothes_toolkit.errors import RefusedError, ToolkitError
from clothes_toolkit.inspection import Progress
from clothes_toolkit.release.card import CARD_FILE
from clothes_toolkit.release.hub import HubPlace
from clothes_toolkit.release.manifest import MANIFEST_FILE, STROKES_FOLDER, FileRecord, Manifest
from clothes_toolkit.release.package import README
from clothes_toolkit.release.places import FolderPlace, Place
from clothes_toolkit.release.shards import Shard, check, fits, lay_out, take_out
from clothes_toolkit.release.version import Version

UNFINISHED = "downloading"
"""A file that a folder has while it is downloaded."""
_DAMAGED = "does not fit its checksum, and did not when it was fetched again"


def place_named(source: str, endpoint: str | None = None) -> Place:
    """Return a folder of releases, or a repository of the Hub where there is no such folder."""
    folder = Path(source)
    return FolderPlace(folder) if folder.is_dir() else HubPlace(source, endpoint)


def download(
    place: Place,
    version: Version,
    out: Path,
    on_progress: Progress = lambda _done, _total: None,
) -> Manifest:
    """Write the content of a release to a new folder and return its manifest.

    What an interrupted call left in `OUT.partial` is checked, kept, and gone on from. The manifest
    and the card are put under `.clothes/`.

    Raises `RefusedError` where a file does not fit its checksum, `ToolkitError` where `out` exists,
    the release does not, or it cannot be fetched.
    """
    out = out.absolute()
    if os.path.lexists(out):
        raise ToolkitError(f"{out}: exists already; name a new folder, or remove it")
    manifest = place.manifest(version)
    _refuse_others(partial_folder(out))
    with new_folder(out, keep_partial=True) as beside:
        private = beside / PRIVATE_FOLDER
        private.mkdir(exist_ok=True)
        (private / UNFINISHED).touch()
        missing = {r.path for r in manifest.files if not r.is_at(beside / r.path)}
        _remove_others(beside, manifest)
        for folder in (*Layout(manifest.layout).folders, STROKES_FOLDER):
            (beside / folder).mkdir(exist_ok=True)
        done = len(manifest.files) - len(missing)
        on_progress(done, len(manifest.files))
        for count, (record, data) in enumerate(contents(place, version, manifest, missing), 1):
            # Plain writing: what is cut off does not fit its checksum, and is fetched again.
            (beside / record.path).write_bytes(data)
            on_progress(done + count, len(manifest.files))
        if not any((beside / STROKES_FOLDER).iterdir()):
            (beside / STROKES_FOLDER).rmdir()
        write_file(private / MANIFEST_FILE, manifest.to_bytes())
        write_file(private / CARD_FILE, place.read(version, README))
        (private / UNFINISHED).unlink()
    return manifest


def contents(
    place: Place, version: Version, manifest: Manifest, wanted: Collection[str]
) -> Iterator[tuple[FileRecord, bytes]]:
    """Yield wanted files of a release and their bytes, which fit their checksums.

    What does not fit is fetched once more; raises `RefusedError` if it does not fit then either.
    """
    stored = lay_out(manifest)
    for path, record in stored.loose.items():
        if record.path in wanted:
            yield record, _loose(place, version, path, record)
    for shard in stored.shards:
        yield from _of_shard(place, version, shard, wanted)


def _loose(place: Place, version: Version, path: str, record: FileRecord) -> bytes:
    data = place.read(version, path)
    if not fits(record, data):
        data = place.fetch(version, path, again=True).read_bytes()
    return check(record, data, _DAMAGED)


def _of_shard(
    place: Place, version: Version, shard: Shard, wanted: Collection[str]
) -> Iterator[tuple[FileRecord, bytes]]:
    parts = (part for row in shard.rows for part in (row.of, row.strokes) if part)
    left = {part.path for part in parts if part.path in wanted}
    for again in (False, True):
        if not left:
            return
        file = place.fetch(version, shard.path, again=again)
        try:
            for record, data in take_out(shard, file, left):
                yield record, check(record, data, _DAMAGED)
                left.discard(record.path)
        except RefusedError:
            if again:
                raise


def _refuse_others(folder: Path) -> None:
    """Refuse a folder in the way that no download began: what it holds is somebody's."""
    if (folder / PRIVATE_FOLDER / UNFINISHED).is_file() or not folder.is_dir():
        return
    if any(path.name != PRIVATE_FOLDER for path in folder.iterdir()):
        raise ToolkitError(f"{folder}: is in the way; move it away, or remove it")


def _remove_others(folder: Path, manifest: Manifest) -> None:
    """Remove what an interrupted download of another release left in the folder."""
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        ours = inside.as_posix() in manifest.by_path or inside.parts[0] == PRIVATE_FOLDER
        if path.is_file() and not ours:
            path.unlink()
