"""Where an image file ends: the structure of PNG, JPEG and WebP, read without decoding a pixel.

Pillow decodes a PNG whose end is missing and ignores what follows an image's end, so both are
looked for here.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
EXTENSIONS_OF = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg"),
    "WEBP": (".webp",),
}
"""The formats that are decoded, and the extensions that are theirs."""

_OTHER_MAGIC = {
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"%PDF-": "PDF",
    b"8BPS": "Photoshop",
}
START_OF_SCAN = 0xDA
_JPEG_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Container:
    """What a file's structure tells.

    Attributes:
        format: "PNG", "JPEG", "WEBP", or another format that is recognized but not decoded.
        end: bytes up to the end of the image; `None` where its end marker is missing.
        damage: what is wrong with the structure, or an empty string.
    """

    format: str
    end: int | None
    damage: str = ""


def read_container(data: bytes) -> Container | None:
    """Recognize a file by its bytes; `None` where they are no known image."""
    if data.startswith(PNG_SIGNATURE):
        return _read_png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _read_jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _read_webp(data)
    for magic, name in _OTHER_MAGIC.items():
        if data.startswith(magic):
            return Container(name, len(data))
    return None


def _read_png(data: bytes) -> Container:
    damage, position = "", len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4])
        kind = data[position + 4 : position + 8]
        end = position + 12 + length
        if end > len(data):
            break
        told = int.from_bytes(data[end - 4 : end])
        if not damage and zlib.crc32(memoryview(data)[position + 4 : end - 4]) != told:
            damage = f"the checksum of its {kind.decode('latin-1')!r} chunk is wrong"
        if kind == b"IEND":
            return Container("PNG", end, damage)
        position = end
    return Container("PNG", None, damage)


def _read_jpeg(data: bytes) -> Container:
    position, scans = 2, 0
    while found := _JPEG_MARKER.search(data, position):
        marker, position = data[found.end() - 1], found.end()
        if marker == 0xD9:
            return Container("JPEG", position)
        if marker in (0x01, 0xD8):
            continue
        # A segment's length is skipped; the scan that follows a start of scan has no length, and
        # the search runs over it to the next marker.
        length = int.from_bytes(data[position : position + 2])
        position += max(length, 2)
        if marker == START_OF_SCAN:
            scans += 1
            if scans == 1 and (end := _end_of_only_scan(data, position)):
                return Container("JPEG", end)
    return Container("JPEG", None)


def _end_of_only_scan(data: bytes, start: int) -> int | None:
    """Return where the image ends if the scan from `start` is its last: a quick look.

    It is, if every 0xFF up to the first end marker is a stuffed one.
    """
    end = data.find(b"\xff\xd9", start)
    if end >= 0 and data.count(b"\xff", start, end) == data.count(b"\xff\0", start, end):
        return end + 2
    return None


def _read_webp(data: bytes) -> Container:
    length = int.from_bytes(data[4:8], "little")
    end = 8 + length
    if end > len(data):
        return Container("WEBP", None)
    # RIFF pads odd lengths with one byte, which some encoders leave out.
    padded = end + (length & 1)
    return Container("WEBP", min(padded, len(data)))
