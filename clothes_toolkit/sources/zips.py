"""Zip files unpacked without trusting them."""

from __future__ import annotations

import lzma
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from clothes_toolkit.errors import ToolkitError

MOST_MEMBERS = 500_000
MOST_BYTES = 64 * 1024**3
LARGEST_RATIO = 200
SMALL = 1 << 20
"""Bytes up to which a ratio says nothing."""

_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
)
"""What `zipfile` raises for archives that are damaged, or packed in a way that it does not know."""


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip file into a folder.

    Raises `ToolkitError` for anything that no honest archive has: paths that lead elsewhere, links,
    too many members, too many bytes, too strong a compression, encryption, damage.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            members = [member for member in file.infolist() if not member.is_dir()]
            _check(archive, members)
            for member in members:
                _extract(file, member, folder)
    except FileExistsError as error:
        raise ToolkitError(f"{archive}: {error.filename} is in it twice") from error
    except _DAMAGED as error:
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
    # No more is read than the size that the directory tells, which was checked.
    with file.open(member) as reader, target.open("xb") as writer:
        shutil.copyfileobj(reader, writer)
