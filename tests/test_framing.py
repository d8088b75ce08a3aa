"""Drawings of every size and weight, as a network gets to see them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from arnet.data import Pairs, load_pairs
from arnet.framing import BLACK, FRAMED, SMALL, frame

SIZE = (64, 64)
BICUBIC = Image.Resampling.BICUBIC


def chair(
    canvas: tuple[int, int], box: tuple[int, int, int, int], width: int = 6, gray: int = 0
) -> Image.Image:
    """Draw a box with a line across on white paper."""
    picture = Image.new("RGB", canvas, "white")
    draw = ImageDraw.Draw(picture)
    draw.rectangle(box, outline=(gray,) * 3, width=width)
    draw.line([(box[0], box[1]), (box[2], box[3])], fill=(gray,) * 3, width=width)
    return picture


def extent(picture: Image.Image) -> tuple[int, int, int, int]:
    """Return what the ink covers, left, top, right, bottom."""
    box = picture.convert("L").point(lambda v: 255 * (v < 128)).getbbox()
    assert box is not None
    return box


def same(a: Image.Image, b: Image.Image) -> bool:
    """Return whether two pictures are equal, pixel by pixel."""
    return a.size == b.size and a.tobytes() == b.tobytes()


@given(
    st.tuples(st.integers(0, 99), st.integers(0, 99)),
    st.sampled_from([(256, 256), (300, 200), (150, 400)]),
)
def test_a_drawing_that_fills_its_canvas_in_black_stays(
    corner: tuple[int, int], canvas: tuple[int, int]
) -> None:
    width, height = canvas
    x, y = (round(share / 99 * (1 - SMALL - 0.05) * side)
            for share, side in zip(corner, canvas, strict=True))  # fmt: skip
    far = round(x + (SMALL + 0.02) * width), round(y + (SMALL + 0.02) * height)
    drawing = chair(canvas, (x, y, *far), width=8)
    assert same(frame(drawing, SIZE, BICUBIC), drawing.resize(SIZE, BICUBIC))


@given(st.integers(10, 140), st.integers(10, 190))
def test_a_small_drawing_is_framed_wherever_it_lies(x: int, y: int) -> None:
    here = frame(chair((256, 256), (x, y, x + 99, y + 49)), SIZE, BICUBIC)
    assert same(here, frame(chair((256, 256), (60, 70, 159, 119)), SIZE, BICUBIC))
    left, top, right, bottom = extent(here)
    assert right - left == pytest.approx(FRAMED * 64, abs=2)
    assert bottom - top == pytest.approx(FRAMED * 64 / 2, abs=2)
    assert left + right == pytest.approx(64, abs=2)
    assert top + bottom == pytest.approx(64, abs=2)


def test_a_window_has_the_proportions_of_the_canvas() -> None:
    whole, small = chair((400, 200), (50, 25, 349, 174)), chair((400, 200), (10, 10, 84, 47), 2)
    found = [extent(frame(drawing, SIZE, BICUBIC)) for drawing in (whole, small)]
    assert found[0] == pytest.approx(found[1], abs=1.5)


@pytest.mark.parametrize(("side", "width", "gray"), [(64, 1, 170), (700, 1, 0), (1500, 2, 60)])
def test_faint_and_thin_lines_become_black(side: int, width: int, gray: int) -> None:
    edge = side // 10
    drawing = chair((side, side), (edge, edge, side - edge, side - edge), width, gray)
    plain, framed = (
        255 - np.asarray(picture.convert("L"), dtype=int)
        for picture in (drawing.resize(SIZE, BICUBIC), frame(drawing, SIZE, BICUBIC))
    )
    assert plain.max() < 150
    lines = framed[framed > framed.max() / 4]
    assert np.percentile(lines, 90) == pytest.approx(255 * BLACK, abs=6)
    # Paper stays paper.
    assert framed[plain == 0].max() == 0


def test_paper_and_dust_are_no_drawing() -> None:
    blank = Image.new("RGB", (200, 200), (250, 248, 244))
    assert same(frame(blank, SIZE, BICUBIC), blank.resize(SIZE, BICUBIC))
    clean = chair((600, 600), (100, 100, 299, 299), width=10)
    dusty = clean.copy()
    dusty.putpixel((599, 599), (0, 0, 0))
    dusty.putpixel((2, 590), (0, 0, 0))
    assert extent(frame(dusty, SIZE, BICUBIC)) == extent(frame(clean, SIZE, BICUBIC))


def test_only_sketches_are_framed(tmp_path: Path) -> None:
    small = chair((256, 256), (10, 10, 59, 59), width=4)
    files = tmp_path / "sketch.png", tmp_path / "photo.png"
    for file in files:
        small.save(file)
    pairs = Pairs(files[:1], files[1:], (0,))
    framed, plain = (load_pairs(pairs, SIZE, fit_ink=fits) for fits in (True, False))
    assert torch.equal(plain.sketches, plain.photos)
    assert torch.equal(framed.photos, plain.photos)
    expected = np.asarray(frame(small, SIZE, BICUBIC)).transpose(2, 0, 1)
    assert np.array_equal(framed.sketches[0].numpy(), expected)
