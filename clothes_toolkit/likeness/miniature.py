"""Miniatures: what is kept of an image to tell, without decoding it again, whether two look alike.

A photo's is its brightness at 32×32 and its two color differences at 8×8. A drawing's is its
darkness at 32×32 within the box of its ink, so that paper around it does not matter, stretched to
the full range, so that thin lines count as much as thick ones.
"""

from __future__ import annotations

from PIL import Image, ImageChops

SIDE = 32
CHROMA_SIDE = 8
DRAWING_BYTES = SIDE * SIDE

PHOTO_SIDE, DRAWING_SIDE = 64, 128
"""Longer sides to which an image is reduced first, at the least: lines need finer pixels."""
INK_SHARE = 0.25
"""Share of the darkest line's darkness from which a spot counts as ink; specks and the ripples of
JPEG stay below."""


def reduced(image: Image.Image, side: int) -> Image.Image:
    """Return an image averaged down to a longer side of `side` to twice that, or as it is."""
    factor = max(image.size) // side
    return image.reduce(factor) if factor > 1 else image


def photo_miniature(picture: Image.Image) -> bytes:
    """Return the miniature of an RGB photo: 1152 bytes."""
    small = reduced(picture, PHOTO_SIDE)
    light = small.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    colors = small.resize((CHROMA_SIDE, CHROMA_SIDE), Image.Resampling.BOX).convert("YCbCr")
    planes = (light, colors.getchannel("Cb"), colors.getchannel("Cr"))
    return b"".join(plane.tobytes() for plane in planes)


def drawing_miniature(small: Image.Image) -> bytes:
    """Return the miniature of a reduced grey drawing: 1024 bytes, 255 for the darkest line.

    Args:
        small: the drawing, `reduced` to `DRAWING_SIDE`.
    """
    dark = ImageChops.invert(small)
    lowest, highest = _range(dark)
    if lowest == highest:
        return bytes(DRAWING_BYTES)
    least = lowest + (highest - lowest) * INK_SHARE
    ink = dark.crop(dark.point([255 * (level > least) for level in range(256)]).getbbox())
    side = max(ink.size)
    square = Image.new("L", (side, side), lowest)
    square.paste(ink, ((side - ink.width) // 2, (side - ink.height) // 2))
    picture = square.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    lowest, highest = _range(picture)
    span = max(1, highest - lowest)
    return picture.point([255 * (level - lowest) / span for level in range(256)]).tobytes()


def _range(grey: Image.Image) -> tuple[int, int]:
    levels = [level for level, count in enumerate(grey.histogram()) if count]
    return levels[0], levels[-1]
