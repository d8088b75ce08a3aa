"""Procedural garments: a small dataset in Clothes-V1's naming, the same for the same seed.

Photos are flat-lay pictures of invented garments; sketches are drawn by seven designers of
different hands. It is sample data: for demonstrations, tests and documentation.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from clothes_toolkit.dataset import Layout
from clothes_toolkit.edits.files import new_folder
from clothes_toolkit.naming import PhotoName, Side, SketchName, filename
from clothes_toolkit.sources.shapes import Garment, Line, Point, draw_garment

SUPERSAMPLING = 3


@dataclass(frozen=True, slots=True)
class Hand:
    """How a designer draws.

    Attributes:
        width: of the line, share of the image's side.
        wobble: how far the line strays, likewise.
        omission: probability that a detail is left out.
        drift: how far size and place stray from the photo's.
        grey: of the line, 0 is black.
    """

    width: float
    wobble: float
    omission: float
    drift: float
    grey: int


HANDS = {
    "01": Hand(0.006, 0.002, 0.00, 0.01, 0),
    "02": Hand(0.010, 0.004, 0.05, 0.03, 20),
    "03": Hand(0.004, 0.003, 0.10, 0.02, 60),
    "04": Hand(0.008, 0.002, 0.05, 0.01, 0),
    "05": Hand(0.014, 0.007, 0.30, 0.05, 0),
    "06": Hand(0.007, 0.009, 0.20, 0.04, 40),
    "07": Hand(0.010, 0.006, 0.40, 0.06, 10),
}


def make_garments(
    out: Path,
    *,
    train_photos: int,
    test_photos: int,
    seed: int = 0,
    size: int = 256,
    on_photo: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Make a dataset in split layout, in a new folder.

    Args:
        out: the new folder.
        train_photos: garments to train on; each is drawn by 1 to 4 of the seven designers.
        test_photos: garments to test on, likewise.
        seed: the same seed gives the same pixels.
        size: side of the images, pixels.
        on_photo: hears how many photos are done, of how many.

    Raises `ToolkitError` where `out` exists.
    """
    total = train_photos + test_photos
    with new_folder(out) as root:
        for folder in Layout.SPLIT.folders:
            (root / folder).mkdir()
        for number in range(1, total + 1):
            split = "train" if number <= train_photos else "test"
            for side, name, picture in _draw_pair(seed, number, size):
                path = root / Layout.SPLIT.folder(split, side) / name
                path.write_bytes(_png(picture))
            on_photo(number, total)


def _draw_pair(seed: int, number: int, size: int) -> Iterable[tuple[Side, str, Image.Image]]:
    random = Random(f"garment {seed} {number}")  # noqa: S311 - for pictures, not for secrets
    garment, stem = draw_garment(random), f"{number:05}"
    yield Side.PHOTO, filename(PhotoName(stem)), photograph(garment, size, random)
    designers = sorted(random.sample(sorted(HANDS), random.choice((1, 2, 2, 3, 3, 4))))
    for designer in designers:
        picture = sketch(garment, HANDS[designer], size, random)
        yield Side.SKETCH, filename(SketchName(stem, designer)), picture


def photograph(garment: Garment, size: int, random: Random) -> Image.Image:
    """Return a flat-lay picture of a garment: cloth, print, folds, seams, on white."""
    side = size * SUPERSAMPLING
    picture = Image.new("RGB", (side, side), "white")
    cloth = _cloth(garment, side, random)
    mask = Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(mask)
    for panel in garment.panels:
        draw.polygon([(x * side, y * side) for x, y in panel], fill=255)
    shadow = mask.filter(ImageFilter.GaussianBlur(side / 60))
    picture.paste((205, 205, 205), (0, side // 120), shadow.point(lambda level: level // 2))
    picture.paste(cloth, mask=mask)
    seams = ImageDraw.Draw(picture)
    seam = tuple(int(0.55 * c) for c in garment.color) if sum(garment.color) > 200 else (95, 95, 98)
    for line in garment.lines:
        _stroke(seams, _scaled(line, side), side * 0.004, seam)
    return picture.resize((size, size), Image.Resampling.BOX)


def sketch(garment: Garment, hand: Hand, size: int, random: Random) -> Image.Image:
    """Return a garment drawn by one hand, dark lines on white."""
    side = size * SUPERSAMPLING
    picture = Image.new("L", (side, side), 255)
    draw = ImageDraw.Draw(picture)
    place = _Place.drawn(hand, random)
    for line in garment.lines:
        if line.detail and random.random() < hand.omission:
            continue
        points = _wobbled(_scaled(line, side), hand.wobble * side, random)
        width = hand.width * side * random.uniform(0.85, 1.15)
        _stroke(draw, [place.of(point, side) for point in points], width, hand.grey)
    return picture.resize((size, size), Image.Resampling.BOX).convert("RGB")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where and how large a drawing sits on its paper."""

    scale_x: float
    scale_y: float
    dx: float
    dy: float

    @classmethod
    def drawn(cls, hand: Hand, random: Random) -> _Place:
        scale = 1 + random.uniform(-hand.drift, hand.drift)
        return cls(
            scale,
            scale * (1 + random.uniform(-hand.drift, hand.drift) / 2),
            random.uniform(-hand.drift, hand.drift) / 2,
            random.uniform(-hand.drift, hand.drift) / 2,
        )

    def of(self, point: Point, side: int) -> Point:
        x, y = point[0] / side - 0.5, point[1] / side - 0.5
        return (
            (0.5 + self.scale_x * x + self.dx) * side,
            (0.5 + self.scale_y * y + self.dy) * side,
        )


def _cloth(garment: Garment, side: int, random: Random) -> Image.Image:
    """Return a square of a garment's cloth, with its print and soft folds."""
    cloth = Image.new("RGB", (side, side), garment.color)
    draw = ImageDraw.Draw(cloth)
    step = side * random.uniform(0.03, 0.08)
    for index in range(math.ceil(side / step)):
        at = index * step
        if garment.pattern in ("stripes", "checks"):
            draw.rectangle((0, at, side, at + 0.4 * step), fill=garment.accent)
        if garment.pattern == "pinstripes":
            draw.rectangle((at, 0, at + 0.12 * step, side), fill=garment.accent)
        if garment.pattern == "checks":
            draw.rectangle((at, 0, at + 0.2 * step, side), fill=garment.accent)
        if garment.pattern == "dots":
            for other in range(math.ceil(side / step)):
                x, y, r = at, (other + 0.5 * (index % 2)) * step, 0.2 * step
                draw.ellipse((x - r, y - r, x + r, y + r), fill=garment.accent)
    if garment.pattern == "block":
        draw.rectangle((0, side * random.uniform(0.35, 0.6), side, side), fill=garment.accent)
    folds = Image.new("L", (side, side), 255)
    dark = ImageDraw.Draw(folds)
    for _ in range(random.randint(3, 7)):
        x, slant = random.uniform(0.2, 0.8) * side, random.uniform(-0.1, 0.1) * side
        dark.line((x, 0.2 * side, x + slant, 0.95 * side), fill=185, width=int(0.02 * side))
    folds = folds.filter(ImageFilter.GaussianBlur(side / 50))
    return ImageChops.multiply(cloth, Image.merge("RGB", (folds,) * 3))


def _scaled(line: Line, side: int) -> list[Point]:
    points = [(x * side, y * side) for x, y in line.points]
    return [*points, points[0]] if line.closed else points


def _wobbled(points: list[Point], amount: float, random: Random) -> list[Point]:
    """Let a line stray smoothly, as a hand does: two slow waves along its length."""
    waves = [
        (random.uniform(0.5, 1.5), random.uniform(0.008, 0.03), random.uniform(0, 2 * math.pi))
        for _ in range(4)
    ]
    strayed, travelled = [], 0.0
    dense = _densified(points, step=6 * SUPERSAMPLING)
    for (x, y), before in zip(dense, [dense[0], *dense], strict=False):
        travelled += math.dist((x, y), before)
        shift = [
            amount * size * math.sin(travelled * rate / SUPERSAMPLING + phase)
            for size, rate, phase in waves
        ]
        strayed.append((x + shift[0] + shift[1], y + shift[2] + shift[3]))
    return strayed


def _densified(points: list[Point], step: float) -> list[Point]:
    dense = [points[0]]
    for start, end in pairwise(points):
        count = max(1, round(math.dist(start, end) / step))
        for index in range(1, count + 1):
            t = index / count
            dense.append((start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])))
    return dense


def _stroke(
    draw: ImageDraw.ImageDraw, points: list[Point], width: float, color: int | tuple[int, ...]
) -> None:
    """Draw a line with round joints and ends."""
    draw.line(points, fill=color, width=max(1, round(width)), joint="curve")
    r = width / 2
    for x, y in (points[0], points[-1]):
        draw.ellipse((x - r, y - r, x + r, y + r), fill=color)


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
