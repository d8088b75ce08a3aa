"""The only door through which a pixel enters: bounded, verified, format-checked decoding."""

from __future__ import annotations

import hashlib
import io
import stat
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, ImageChops

from clothes_toolkit.containers import EXTENSIONS_OF, Container, read_container
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.likeness.miniature import (
    DRAWING_SIDE,
    drawing_miniature,
    photo_miniature,
    reduced,
)
from clothes_toolkit.naming import Side

MAX_PIXELS = 50_000_000
MAX_BYTES = 512 * 1024 * 1024

INK_CONTRAST = 16
"""Grey levels that a pixel must be darker than the paper to be ink."""
CHROMA = 48
"""Levels between the strongest and the weakest channel from which a pixel is colored."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What stands an image upright, by the orientation in its EXIF data."""
OF_FILE = "file "
"""How `ImageFacts.pixels` begins where the file stands for its pixels."""
TONE_WINDOW = 5
"""Side of the neighborhood that must be dark: wider than any line in a reduced drawing."""
TEXTURE = 3
"""Grey levels between the lightest and the darkest of a neighborhood that is not one even fill."""


class Damage(StrEnum):
    """Why an image has no pixels to trust."""

    UNREADABLE = "unreadable"
    TRUNCATED = "truncated"
    OVERSIZED = "oversized"


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What one pass over a file tells.

    Attributes:
        size: bytes of the file.
        sha256: of the file.
        format: "PNG", "JPEG", …; `None` where the bytes are no known image.
        width, height: pixels; 0 where unknown.
        frames: 1 for a still image.
        damage: why there are no pixels, or `None`; `detail` says it in words.
        trailing: bytes after the image's end.
        transparent: an alpha channel is not opaque everywhere.
        pixels: what stands for the pixels, upright and flattened on white; `None` where there are
            none to trust. Of images that were inspected together (`inspect_images`) it is equal
            exactly where their pixels are, whatever the file.
        miniature: what tells lookalikes, see `likeness.miniature`; of a file on side A a drawing's.
        ink: share of a drawing's pixels that are darker than its paper.
        color: share of a drawing's pixels with color.
        shading: share of a drawing in the middle of darker, uneven areas: cloth, not lines.
    """

    size: int
    sha256: str
    format: str | None = None
    width: int = 0
    height: int = 0
    frames: int = 1
    damage: Damage | None = None
    detail: str = ""
    trailing: int = 0
    transparent: bool = False
    pixels: str | None = None
    miniature: bytes = b""
    ink: float = 0.0
    color: float = 0.0
    shading: float = 0.0

    @property
    def is_blank(self) -> bool:
        """Whether a drawing that could be decoded has no ink."""
        return self.pixels is not None and self.ink <= 0

    def to_json(self) -> dict[str, Any]:
        """Return the facts but for the miniature as JSON values."""
        values = asdict(self)
        del values["miniature"]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any], miniature: bytes) -> ImageFacts:
        """Return the facts that `to_json` wrote."""
        damage = values.pop("damage")
        return cls(**values, damage=Damage(damage) if damage else None, miniature=miniature)


def open_image(path: Path) -> Image.Image:
    """Open an image as RGB, upright, flattened on white, whatever its mode.

    Raises `ToolkitError` for a file that is no PNG, JPEG or WebP, is damaged, or has more than
    `MAX_PIXELS` pixels.
    """
    return open_data(read_data(path), str(path))


def open_data(data: bytes, name: str) -> Image.Image:
    """Open the bytes of an image file as `open_image` does; errors call it `name`."""
    facts, picture = _decode(data, read_container(data))
    if picture is None:
        raise ToolkitError(f"{name}: {facts.get('detail') or 'not a PNG, JPEG or WebP image'}")
    return picture


def inspect(path: Path, side: Side) -> ImageFacts:
    """Read a file once and tell all that the rules ask of an image on its side.

    Never raises for what the file holds; raises `OSError` where it cannot be read at all.
    """
    try:
        data = read_data(path)
    except ToolkitError as error:
        return ImageFacts(path.lstat().st_size, "", damage=Damage.UNREADABLE, detail=str(error))
    return inspect_data(data, side)


def inspect_data(data: bytes, side: Side) -> ImageFacts:
    """Tell of the bytes of an image file all that the rules ask; never raises."""
    facts, picture = _decode(data, read_container(data))
    sha256 = hashlib.sha256(data).hexdigest()
    if picture is not None:
        facts |= {"pixels": OF_FILE + sha256}
        facts |= _look_at_drawing(picture) if side is Side.SKETCH else _look_at_photo(picture)
    return ImageFacts(size=len(data), sha256=sha256, **facts)


def png_bytes(picture: Image.Image) -> bytes:
    """Encode an RGB picture as PNG; a grey one in one channel."""
    red, green, blue = picture.split()
    if red.tobytes() == green.tobytes() == blue.tobytes():
        picture = red
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def pixels_hash(picture: Image.Image) -> str:
    """Return a hash of an RGB picture, equal exactly for equal pixels."""
    hashed = hashlib.sha256(f"{picture.width}x{picture.height} ".encode())
    hashed.update(picture.tobytes())
    return hashed.hexdigest()


def read_data(path: Path) -> bytes:
    """Return a file's bytes; raises `ToolkitError` for what is no file or too large a one."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ToolkitError(f"{path.name} is not a regular file")
    if status.st_size > MAX_BYTES:
        raise ToolkitError(f"{path.name} has {status.st_size} bytes; {MAX_BYTES} are the limit")
    return path.read_bytes()


def _decode(data: bytes, container: Container | None) -> tuple[dict[str, Any], Image.Image | None]:
    """Return the facts up to the pixels, and the pixels where they can be trusted."""
    if container is None:
        what = "the file is empty" if not data else "the bytes are no known image format"
        return {"damage": Damage.UNREADABLE, "detail": what}, None
    facts: dict[str, Any] = {"format": container.format}
    if container.format not in EXTENSIONS_OF:
        return facts, None
    if container.end is not None:
        facts["trailing"] = len(data) - container.end
    try:
        with warnings.catch_warnings():
            # Pillow warns of what is checked here: sizes, odd metadata.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=[container.format]) as image:
                return _load(image, container, facts)
    except Image.DecompressionBombError:
        return facts | {"damage": Damage.OVERSIZED, "detail": _too_large(None)}, None
    except Exception as error:  # noqa: BLE001 - a decoder fed damaged bytes raises anything
        return facts | {"damage": Damage.UNREADABLE, "detail": f"cannot be decoded ({error})"}, None


def _load(
    image: Image.Image, container: Container, facts: dict[str, Any]
) -> tuple[dict[str, Any], Image.Image | None]:
    facts |= {"width": image.width, "height": image.height}
    if image.width * image.height > MAX_PIXELS:
        return facts | {"damage": Damage.OVERSIZED, "detail": _too_large(image.size)}, None
    if container.format != "JPEG":  # a JPEG with a second picture behind it has trailing data
        facts["frames"] = getattr(image, "n_frames", 1)
    detail = container.damage
    if container.end is None:
        detail = "the end of the image is missing"
    try:
        image.load()
    except Exception as error:  # noqa: BLE001 - as above
        detail = detail or f"the image breaks off ({error})"
    if detail:
        return facts | {"damage": Damage.TRUNCATED, "detail": detail}, None
    flat, facts["transparent"] = _flatten(image)
    return facts, flat


def _flatten(image: Image.Image) -> tuple[Image.Image, bool]:
    """Return an image as upright RGB on white, and whether anything shone through."""
    turn = _TURNS.get(_orientation(image))
    if turn is not None:
        image = image.transpose(turn)
    if image.mode.startswith("I"):
        # Pillow clips 16-bit grey when it converts; the high byte is what a viewer shows.
        image = image.convert("I").point(lambda level: level * (1 / 257)).convert("L")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB"), False
    layer = image.convert("RGBA")
    lowest, _ = layer.getchannel("A").getextrema()
    if lowest == 255:
        return layer.convert("RGB"), False
    paper = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(paper, layer).convert("RGB"), True


def _orientation(image: Image.Image) -> int:
    """Return how the camera was held; damaged metadata say nothing."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - metadata are read by another decoder, which raises anything
        return 1


def _look_at_photo(picture: Image.Image) -> dict[str, Any]:
    return {"miniature": photo_miniature(picture)}


def _look_at_drawing(picture: Image.Image) -> dict[str, Any]:
    grey = picture.convert("L")
    histogram = grey.histogram()
    paper = max(level for level, count in enumerate(histogram) if count)
    total = picture.width * picture.height
    small = reduced(grey, DRAWING_SIDE)
    return {
        "miniature": drawing_miniature(small),
        "ink": sum(histogram[: max(0, paper - INK_CONTRAST)]) / total,
        "color": sum(_chroma(picture).histogram()[CHROMA:]) / total,
        "shading": _shading(small, paper),
    }


def _chroma(picture: Image.Image) -> Image.Image:
    """Return, per pixel, the distance between its strongest and its weakest channel."""
    red, green, blue = picture.split()
    strongest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    weakest = ImageChops.darker(ImageChops.darker(red, green), blue)
    return ImageChops.subtract(strongest, weakest)


def _shading(small: Image.Image, paper: int) -> float:
    """Return the share of a reduced drawing in the middle of darker, uneven areas.

    Lines are too thin for that, and what a designer filled with black is even.
    """
    if min(small.size) < TONE_WINDOW:
        return 0.0
    lightest = _over_windows(small, ImageChops.lighter)
    darkest = _over_windows(small, ImageChops.darker)
    dark = lightest.point([255 * (level < paper - INK_CONTRAST) for level in range(256)])
    range_ = ImageChops.subtract(lightest, darkest)
    uneven = range_.point([255 * (level >= TEXTURE) for level in range(256)])
    counts = ImageChops.darker(dark, uneven).histogram()
    return counts[255] / (small.width * small.height)


def _over_windows(
    grey: Image.Image, choose: Callable[[Image.Image, Image.Image], Image.Image]
) -> Image.Image:
    """Return the lightest or darkest pixel of every window; faster than Pillow's rank filters."""
    for dx, dy in ((1, 0), (0, 1)):
        for step in (1, 1, 2):  # windows of 2, 3 and 5
            width, height = grey.width - step * dx, grey.height - step * dy
            shifted = grey.crop((step * dx, step * dy, grey.width, grey.height))
            grey = choose(grey.crop((0, 0, width, height)), shifted)
    return grey


def _too_large(size: tuple[int, int] | None) -> str:
    what = f"{size[0]}×{size[1]} pixels" if size else "far too many pixels"
    return f"{what}; {MAX_PIXELS // 1_000_000} Mpx are the limit"
