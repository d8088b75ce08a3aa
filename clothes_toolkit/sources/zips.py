"""Zip files unpacked without trusting them."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from clothes_toolkit.errors import ToolkitError

MOST_MEMBERS = 500_000
MOST_BYTES = 64 * 1024**3
LARGEST_RATIO = 200
SMALL = 1 << 20
"""Bytes up to which a ratio says nothing."""

Progress = Callable[[int, int], None]


def unpack(archive: Path, folder: Path, on_progress: Progress = lambda _done, _total: None) -> None:
    """Unpack a zip file into a folder.

    Raises `ToolkitError` for anything that no honest archive has: paths that lead elsewhere, links,
    too many members, too many bytes, too strong a compression, encryption, damage.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            members = [member for member in file.infolist() if not member.is_dir()]
            _check(archive, members)
            for number, member in enumerate(members, 1):
                _extract(file, member, folder)
                on_progress(number, len(members))
    except FileExistsError as error:
        raise ToolkitError(f"{archive}: {error.filename} is in it twice") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ToolkitError(f"{archive}: cannot be unpacked ({error})") from error


def _check(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MOST_MEMBERS:
        raise ToolkitError(f"{archive}: {len(members)} files; {MOST_MEMBERS} are the limit")
    if sum(member.file_size for member in members) > MOST_BYTES:
        raise ToolkitError(f"{archive}: unpacks to more than {MOST_BYTES >> 30} GiB")
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or not path.name or ":" in path.parts[0]:
            raise ToolkitError(f"{archive}: {member.filename!r} leads out of the archive")
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise ToolkitError(f"{archive}: {member.filename!r} is a link or a device")
        if member.flag_bits & 1:
            raise ToolkitError(f"{archive}: is encrypted; unpack it first")
        if member.file_size > max(SMALL, LARGEST_RATIO * member.compress_size):
            raise ToolkitError(f"{archive}: {member.filename!r} is compressed too much to be true")


def _extract(file: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    target = folder / PurePosixPath(member.filename.replace("\\", "/"))
    target.parent.mkdir(parents=True, exist_ok=True)
    # The size in the directory may lie; the stream is read no further than it says.
    with file.open(member) as reader, target.open("xb") as writer:
        shutil.copyfileobj(_Limited(reader, member), writer)


class _Limited:
    """A stream that is refused when it gives more bytes than its directory entry says."""

    def __init__(self, stream: object, member: zipfile.ZipInfo) -> None:
        self._read = stream.read  # type: ignore[attr-defined]
        self._left = member.file_size
        self._name = member.filename

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._read(size)
        self._left -= len(data)
        if self._left < 0:
            raise ToolkitError(f"{self._name!r} is larger than the archive says")
        return data
