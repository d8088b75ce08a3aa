"""Sketches drawn elsewhere: files that nobody trusts, made into the picture of a sketch.

What comes out was drawn by Pillow, pixel by pixel: nothing of the file but its look gets further.
"""

from __future__ import annotations

import io
import multiprocessing
import re
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import numpy as np
from PIL import Image, ImageFilter

try:
    import resource
except ImportError:  # not a POSIX system
    resource = None  # type: ignore[assignment]

from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.images import open_data, png_bytes

MOST_BYTES = 20 * 1024 * 1024
SECONDS = 20.0
"""What a file may take to be drawn."""
MOST_PAGES = 50
DRAWN = 2048
"""Pixels of the longer side at which pages and vectors are drawn, and large pictures are kept."""
MARGIN = 0.06
"""Share of the square left as paper around the drawing, on each side."""
PAPER = 24
"""Grey levels that differ from the paper by less are no ink."""
FORBIDDEN = ("script", "foreignobject", "image", "iframe")
"""Elements of an SVG that run or show something else than strokes."""
MEMORY = 3 * 1024**3
"""Bytes of memory that drawing a file may take."""
_ROOM = threading.BoundedSemaphore(2)


@dataclass(frozen=True, slots=True)
class Choices:
    """What a designer chose for an upload.

    Attributes:
        threshold: share of black (0 to 1) from which a scan's pixel is ink, then all black; `None`
            leaves the greys.
        page: of a PDF, from 1.
        turn: quarter turns, clockwise.
    """

    threshold: float | None = None
    page: int = 1
    turn: int = 0

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise ToolkitError(f"a threshold lies between 0 and 1, not at {self.threshold}")


def sketch_of(data: bytes, size: tuple[int, int], choices: Choices) -> bytes:
    """Return the bytes of a PNG: cropped to the drawing, squared, flattened, grey, at `size`.

    Raises `ToolkitError` for a file that is too large, no PNG, JPEG, WebP, PDF or SVG, damaged, or
    that reaches for something outside of it.
    """
    if len(data) > MOST_BYTES:
        raise ToolkitError(f"a file of {len(data) >> 20} MiB; {MOST_BYTES >> 20} are the limit")
    picture = _guarded(data, choices.page)
    grey = picture.convert("L")
    if choices.turn % 4:
        grey = grey.rotate(-90 * (choices.turn % 4), expand=True, fillcolor=255)
    return png_bytes(_squared(_cleaned(grey, choices.threshold), size).convert("RGB"))


def _guarded(data: bytes, page: int) -> Image.Image:
    """Draw a file in a process of its own, which may crash or hang without harm."""
    if not _ROOM.acquire(blocking=False):
        raise ToolkitError("many upload at once; try again in a moment")
    try:
        return _drawn_apart(data, page)
    finally:
        _ROOM.release()


def _drawn_apart(data: bytes, page: int) -> Image.Image:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(1, mp_context=context)
    try:
        mode, size, pixels = pool.submit(_drawn, data, page).result(SECONDS)
        return Image.frombytes(mode, size, pixels)
    except TimeoutError:
        raise ToolkitError(f"this file takes more than {SECONDS:g} s to draw") from None
    except BrokenProcessPool:
        raise ToolkitError("this file cannot be drawn") from None
    finally:
        for process in list((pool._processes or {}).values()):  # noqa: SLF001 - no public way
            process.kill()
        pool.shutdown(wait=False, cancel_futures=True)


def _drawn(data: bytes, page: int) -> tuple[str, tuple[int, int], bytes]:
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        picture = _reader(data)(data, page)
        picture.thumbnail((DRAWN, DRAWN))
    except (MemoryError, Image.DecompressionBombError):
        raise ToolkitError("this file takes too much memory to draw") from None
    return picture.mode, picture.size, picture.tobytes()


def _reader(data: bytes) -> Callable[[bytes, int], Image.Image]:
    if data[:1024].lstrip().startswith(b"%PDF"):
        return _draw_pdf
    if b"<svg" in data[:4096].lower():
        return _draw_svg
    return _draw_picture


def _draw_picture(data: bytes, _page: int) -> Image.Image:
    return open_data(data, "this file is no drawing")


def _draw_pdf(data: bytes, page: int) -> Image.Image:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise ToolkitError(f"this PDF cannot be read ({error})") from error
    pages = len(document)
    if pages > MOST_PAGES:
        raise ToolkitError(f"a PDF of {pages} pages; {MOST_PAGES} are the limit: save one page")
    if not 1 <= page <= pages:
        raise ToolkitError(f"there is no page {page}; this PDF has {pages}")
    try:
        found = document[page - 1]
        scale = DRAWN / max(*found.get_size(), 1)
        picture: Image.Image = found.render(scale=scale, may_draw_forms=False).to_pil()
    except pypdfium2.PdfiumError as error:
        raise ToolkitError(f"page {page} of this PDF cannot be drawn ({error})") from error
    return picture.convert("RGB")


def _draw_svg(data: bytes, _page: int) -> Image.Image:
    import resvg_py

    tall = _is_tall(_checked_svg(data))
    try:
        png = resvg_py.svg_to_bytes(
            svg_string=data.decode(),
            width=None if tall else DRAWN,
            height=DRAWN if tall else None,
            background="white",
            skip_system_fonts=True,
        )
    except (ValueError, UnicodeDecodeError) as error:
        raise ToolkitError(f"this SVG cannot be drawn ({error})") from error
    with Image.open(io.BytesIO(bytes(png)), formats=["PNG"]) as image:
        return image.convert("RGB")


def _is_tall(root: ET.Element) -> bool:
    """Whether an SVG is higher than wide."""
    numbers = re.findall(r"[0-9.]+", root.get("viewBox", "") or "")[2:4]
    if len(numbers) < 2:
        numbers = [
            found[0] if (found := re.findall(r"^\s*([0-9.]+)", root.get(name, ""))) else "1"
            for name in ("width", "height")
        ]
    try:
        width, height = (float(number) for number in numbers)
    except ValueError as error:
        raise ToolkitError(f"this SVG says no size that can be read ({error})") from error
    return height > width


def _checked_svg(data: bytes) -> ET.Element:
    """Return the root of an SVG; raises `ToolkitError` where it runs or fetches something."""
    if b"<!doctype" in data.lower() or b"<!entity" in data.lower():
        raise ToolkitError("this SVG declares entities; export it as plain SVG")
    try:
        root = ET.fromstring(data)  # noqa: S314 - without a document type nothing expands
    except ET.ParseError as error:
        raise ToolkitError(f"this SVG cannot be read ({error})") from error
    for element in root.iter():
        name = str(element.tag).rpartition("}")[2].lower()
        if name in FORBIDDEN or (name == "style" and _reaches_out(element)):
            raise ToolkitError(f"this SVG holds <{name}>; export the strokes alone")
        for attribute, value in element.attrib.items():
            plain = attribute.rpartition("}")[2].lower()
            if plain.startswith("on") or (plain == "href" and not value.startswith("#")):
                raise ToolkitError(f"this SVG has {plain}=; export the strokes alone")
            if "url(" in value and "url(#" not in value:
                raise ToolkitError("this SVG reaches for something outside of it")
    return root


def _reaches_out(element: ET.Element) -> bool:
    text = (element.text or "").lower()
    return "@import" in text or ("url(" in text and "url(#" not in text)


def _cleaned(grey: Image.Image, threshold: float | None) -> Image.Image:
    """Return dark lines on white: paper evened out, and where asked nothing but black and white."""
    levels = np.asarray(grey, dtype=np.float32)
    if levels.mean() < 128:
        # White chalk on a blackboard.
        levels = 255 - levels
    if threshold is None:
        return Image.fromarray(levels.astype(np.uint8))
    # The light of a desk falls off across a sheet: what counts is how dark beside its paper.
    small = Image.fromarray(levels.astype(np.uint8))
    paper = small.resize(
        (max(small.width // 8, 1), max(small.height // 8, 1)), Image.Resampling.BOX
    )
    paper = paper.filter(ImageFilter.MaxFilter(9)).filter(ImageFilter.GaussianBlur(6))
    light = np.asarray(paper.resize(small.size, Image.Resampling.BICUBIC), dtype=np.float32)
    darkness = 1 - levels / np.maximum(light, 1)
    return Image.fromarray(np.where(darkness >= threshold, 0, 255).astype(np.uint8))


def _squared(grey: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the drawing in the middle of a sheet, with a margin."""
    background = int(np.median(np.asarray(grey)))
    box = grey.point([255 * (level < background - PAPER) for level in range(256)]).getbbox()
    drawing = grey.crop(box) if box else grey
    room = [round(side * (1 - 2 * MARGIN)) for side in size]
    scale = min(room[0] / drawing.width, room[1] / drawing.height)
    fitted = drawing.resize(
        (max(round(drawing.width * scale), 1), max(round(drawing.height * scale), 1)),
        Image.Resampling.LANCZOS,
    )
    sheet = Image.new("L", size, 255)
    # Paper that is not quite white becomes white, so that no frame shows.
    whitened = fitted.point(
        [min(round(level * 255 / max(background, 1)), 255) for level in range(256)]
    )
    sheet.paste(whitened, ((size[0] - fitted.width) // 2, (size[1] - fitted.height) // 2))
    return sheet
