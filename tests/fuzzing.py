"""Damaged images at the door: thousands of mutants of real PNG, JPEG and WebP files.

Run as a program in a process with little memory; prints what was found as JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from types import FrameType

from PIL import Image

from clothes_toolkit.containers import read_container
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.images import inspect, open_image
from clothes_toolkit.naming import Side
from tests.conftest import draw_picture

MEMORY = 2 << 30
"""Bytes of address space; more asked for is a MemoryError, and a failure."""
SECONDS = 20
"""How long one image may take on a slow machine."""


def seeds(folder: Path) -> list[bytes]:
    """Return sound images of every format and of several kinds of each."""
    draw_picture(folder / "seed.png", 1, photo=True, size=(120, 90))
    picture = open_image(folder / "seed.png")
    layer = picture.convert("RGBA")
    layer.putalpha(picture.convert("L"))
    kinds: list[tuple[Image.Image, str, dict[str, object]]] = [
        (picture, "PNG", {}),
        (layer, "PNG", {}),
        (picture.quantize(16), "PNG", {"bits": 4}),
        (picture.convert("1"), "PNG", {}),
        (picture.convert("I;16"), "PNG", {}),
        (picture, "PNG", {"save_all": True, "append_images": [layer.convert("RGB")]}),
        (picture, "JPEG", {"quality": 80}),
        (picture, "JPEG", {"progressive": True, "exif": _exif()}),
        (picture.convert("L"), "JPEG", {}),
        (picture.convert("CMYK"), "JPEG", {}),
        (picture, "WEBP", {}),
        (layer, "WEBP", {"lossless": True}),
        (picture, "WEBP", {"save_all": True, "append_images": [layer]}),
    ]
    found = []
    for image, form, options in kinds:
        file = io.BytesIO()
        image.save(file, form, **options)
        found.append(file.getvalue())
    return found


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def mutant(data: bytes, random: Random) -> bytes:
    """Return an image with one to six wounds."""
    wounded = bytearray(data)
    for _ in range(random.randint(1, 6)):
        place = random.randrange(len(wounded) or 1)
        # Headers decide most, so most wounds are there.
        place = place if random.random() < 0.4 else place % 96
        match random.randrange(7):
            case 0:
                wounded[place : place + 1] = bytes([random.randrange(256)])
            case 1:
                wounded[place : place + 4] = random.randbytes(4)
            case 2:
                wounded[place : place + 4] = random.choice(
                    [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\x40\0"]
                )
            case 3:
                del wounded[place : place + random.randint(1, 64)]
            case 4:
                wounded[place:place] = random.randbytes(random.randint(1, 64))
            case 5:
                start = random.randrange(len(wounded) or 1)
                wounded[place:place] = wounded[start : start + random.randint(1, 400)]
            case _:
                del wounded[random.randrange(len(wounded) or 1) :]
    return bytes(wounded)


def look(data: bytes, file: Path, side: Side) -> str:
    """Take one image through the door; raises where what it says is not so."""
    file.write_bytes(data)
    facts = inspect(file, side)
    try:
        picture = open_image(file)
    except ToolkitError:
        picture = None
    usable = facts.damage is None and facts.pixels is not None
    if usable != (picture is not None):
        raise AssertionError(f"{facts.damage} but {picture}")
    if usable:
        container = read_container(data)
        if container is None or container.end is None or container.damage:
            raise AssertionError("sound without an end")
        if not facts.miniature:
            raise AssertionError("sound without a miniature")
    elif facts.format in ("PNG", "JPEG", "WEBP") and not facts.detail:
        raise AssertionError("damaged without a reason")
    return facts.damage.value if facts.damage else "sound" if usable else "foreign"


def _too_long(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"one image took more than {SECONDS} s")


def most_memory() -> int:
    """Return the most MiB that this program held; getrusage would count its parent's, too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def main() -> None:
    """Look at mutants, and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=500, help="mutants of each seed image")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    random = Random(asked.seed)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, _too_long)
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "image.png"
        for data in seeds(Path(folder)):
            if look(data, file, Side.PHOTO) != "sound":
                raise AssertionError("a seed is not sound")
            for number in range(asked.cases):
                wounded = mutant(data, random)
                signal.alarm(SECONDS)
                try:
                    found[look(wounded, file, list(Side)[number % 2])] += 1
                except BaseException:
                    sys.stderr.write(f"{wounded.hex()}\n")
                    raise
                signal.alarm(0)
    sys.stdout.write(json.dumps({"found": found, "mebibytes": most_memory()}) + "\n")


if __name__ == "__main__":
    main()
