"""Pictures of what a method retrieves."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from arnet.data import PairImages
from arnet.evaluate import Retrieval

CELL = 132
MARGIN = 6
LABEL = 26
RANK = 44
RIGHT, WRONG, INK, FAINT = (34, 139, 76), (190, 190, 190), (30, 30, 30), (120, 120, 120)


def retrieval_sheet(
    images: PairImages, retrieval: Retrieval, queries: Sequence[int], top: int = 5
) -> Image.Image:
    """Draw some queries, each with the photos that rank first; the right photo is framed green.

    Args:
        images: what was evaluated, on the CPU.
        retrieval: what the evaluation gave, with at least `top` photos a query.
        queries: indices of the sketches to show, a row each.
        top: photos a row.
    """
    top = min(top, retrieval.top.shape[1])
    step = CELL + MARGIN
    size = (RANK + step * (top + 1) + 2 * MARGIN, LABEL + step * len(queries) + MARGIN)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(13)
    draw.text((MARGIN, MARGIN), "rank", FAINT, font)
    draw.text((RANK, MARGIN), "sketch", INK, font)
    for place in range(top):
        draw.text((RANK + step * (place + 1) + MARGIN, MARGIN), f"{place + 1}", INK, font)
    for row, query in enumerate(queries):
        y = LABEL + row * step
        rank = int(retrieval.ranks[query])
        draw.text((MARGIN, y + CELL // 2), str(rank), RIGHT if rank <= top else FAINT, font)
        sheet.paste(_picture(images.sketches[query]), (RANK, y))
        for place in range(top):
            photo = int(retrieval.top[query, place])
            x = RANK + step * (place + 1) + MARGIN
            sheet.paste(_picture(images.photos[photo]), (x, y))
            is_right = photo == int(images.photo_of[query])
            frame = (x, y, x + CELL - 1, y + CELL - 1)
            draw.rectangle(frame, outline=RIGHT if is_right else WRONG, width=4 if is_right else 1)
    return sheet


def _picture(pixels: Tensor) -> Image.Image:
    """Return a uint8 image (3, H, W) as a cell of the sheet."""
    picture = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    return picture.resize((CELL, CELL), Image.Resampling.LANCZOS)
