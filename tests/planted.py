"""Near duplicates of known kind, made from images: what the search for lookalikes must find."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

from PIL import Image

Picture = Image.Image
Plant = Callable[[Picture, Random], Picture]

RESIZE, SHIFT, CROP = (0.5, 2.0), 0.03, 0.025
QUALITY = (40, 95)


def halves(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Split images: to calibrate thresholds on, and to measure them on."""
    ordered = sorted(paths)
    return ordered[::2], ordered[1::2]


def reencoded(picture: Picture, form: str, quality: int) -> Picture:
    """Return a picture as it comes back from a file."""
    file = io.BytesIO()
    picture.save(file, form, quality=quality)
    with Image.open(file) as image:
        return image.convert("RGB")


def resized(picture: Picture, random: Random) -> Picture:
    """Return a picture at half to twice its size."""
    factor = random.choice([*RESIZE, random.uniform(*RESIZE)])
    size = round(picture.width * factor), round(picture.height * factor)
    filters = Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BILINEAR
    return picture.resize((max(1, size[0]), max(1, size[1])), random.choice(filters))


def compressed(picture: Picture, random: Random) -> Picture:
    """Return a picture as a JPEG of quality 40 to 95."""
    return reencoded(picture, "JPEG", random.choice([*QUALITY, random.randint(*QUALITY)]))


def exported(picture: Picture, random: Random) -> Picture:
    """Return a picture as another program writes it: WebP, or few colors."""
    if random.random() < 0.5:
        return reencoded(picture, "WEBP", random.randint(50, 95))
    return picture.quantize(128).convert("RGB")


def shifted(picture: Picture, random: Random) -> Picture:
    """Return a picture moved by up to three percent each way, white where it was."""
    extreme = random.random() < 0.3
    dx, dy = (
        round(side * (random.choice([-SHIFT, SHIFT]) if extreme else random.uniform(-SHIFT, SHIFT)))
        for side in picture.size
    )
    moved = Image.new("RGB", picture.size, "white")
    moved.paste(picture, (dx, dy))
    return moved


def cropped(picture: Picture, random: Random) -> Picture:
    """Return a picture without up to 2.5 percent on each side."""
    extreme = random.random() < 0.3
    left, top, right, bottom = (
        round(side * (CROP if extreme else random.uniform(0, CROP))) for side in picture.size * 2
    )
    return picture.crop((left, top, picture.width - right, picture.height - bottom))


def worked_over(picture: Picture, random: Random) -> Picture:
    """Return a picture resized, then shifted or cropped, then compressed."""
    moved = random.choice([shifted, cropped])(resized(picture, random), random)
    return compressed(moved, random)


KINDS: dict[str, Plant] = {
    "resize": resized,
    "jpeg": compressed,
    "export": exported,
    "shift": shifted,
    "crop": cropped,
    "all": worked_over,
}
