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
from arnet.framing import BLACK, FRAMED, Side, frame
from arnet.layout import mean_rank, should_fit_ink

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


@pytest.mark.parametrize("side", ["sketch", "photo"])
@given(st.integers(20, 140), st.integers(20, 190), st.sampled_from([1, 2]))
def test_what_is_shown_is_framed_wherever_it_lies(side: Side, x: int, y: int, scale: int) -> None:
    box = (scale * x, scale * y, scale * (x + 99) + scale - 1, scale * (y + 49) + scale - 1)
    here = chair((scale * 256, scale * 256), box, 6 * scale)
    left, top, right, bottom = extent(frame(here, SIZE, BICUBIC, side))
    assert right - left == pytest.approx(FRAMED * 64, abs=2)
    assert bottom - top == pytest.approx(FRAMED * 64 / 2, abs=3)
    assert left + right == pytest.approx(64, abs=2)
    assert top + bottom == pytest.approx(64, abs=2)


def test_a_window_has_the_proportions_of_the_canvas_and_its_background() -> None:
    whole, small = chair((400, 200), (0, 25, 399, 174)), chair((400, 200), (10, 10, 89, 39), 2)
    found = [extent(frame(picture, SIZE, BICUBIC, "photo")) for picture in (whole, small)]
    assert found[0] == pytest.approx(found[1], abs=2)
    pale = Image.new("RGB", (90, 120), (236, 238, 241))
    pale.paste((40, 60, 90), (0, 30, 45, 90))
    framed = np.asarray(frame(pale, SIZE, BICUBIC, "photo"))
    assert (framed[[0, 0, -1, -1], [0, -1, 0, -1]] == (236, 238, 241)).all()


@given(st.floats(0, 0.01), st.floats(0, 0.01))
def test_what_fills_its_canvas_stays(left: float, top: float) -> None:
    canvas = (300, 200)
    photo = Image.new("RGB", canvas, "white")
    photo.paste((90, 60, 30), (round(left * 300), round(top * 200), 290, 190))
    photo.paste((30, 60, 90), (40, 10, 299, 199))
    assert same(frame(photo, SIZE, BICUBIC, "photo"), photo.resize(SIZE, BICUBIC))


@pytest.mark.parametrize(("side", "width", "gray"), [(64, 1, 170), (700, 1, 0), (1500, 2, 60)])
def test_faint_and_thin_lines_become_black(side: int, width: int, gray: int) -> None:
    edge = side // 10
    drawing = chair((side, side), (edge, edge, side - edge, side - edge), width, gray)
    plain, framed = (
        255 - np.asarray(picture.convert("L"), dtype=int)
        for picture in (drawing.resize(SIZE, BICUBIC), frame(drawing, SIZE, BICUBIC, "sketch"))
    )
    assert plain.max() < 150
    lines = framed[framed > framed.max() / 4]
    assert np.percentile(lines, 90) == pytest.approx(255 * BLACK, abs=6)
    # Paper stays paper.
    assert np.median(framed) == 0


def test_paper_and_dust_are_no_drawing() -> None:
    blank = Image.new("RGB", (200, 200), (250, 248, 244))
    assert same(frame(blank, SIZE, BICUBIC, "sketch"), blank.resize(SIZE, BICUBIC))
    clean = chair((600, 600), (100, 100, 299, 299), width=10)
    dusty = clean.copy()
    dusty.putpixel((599, 599), (0, 0, 0))
    dusty.putpixel((2, 590), (0, 0, 0))
    found = [extent(frame(picture, SIZE, BICUBIC, "sketch")) for picture in (dusty, clean)]
    assert found[0] == found[1]


def test_sketches_and_photos_are_framed_alike_and_only_lines_darkened(tmp_path: Path) -> None:
    files = tmp_path / "sketch.png", tmp_path / "photo.png"
    for file, place in zip(files, (10, 90), strict=True):
        chair((256, 256), (place, place, place + 49, place + 49), 4, 120).save(file)
    pairs = Pairs(files[:1], files[1:], (0,))
    framed, plain = (load_pairs(pairs, SIZE, fit_ink=fits) for fits in (True, False))
    assert not torch.equal(plain.sketches, plain.photos)
    for images, low, high in ((framed.sketches, 0, 40), (framed.photos, 100, 125)):
        assert low <= images.min() <= high
    drawn, photographed = (images[0, 0] < 200 for images in (framed.sketches, framed.photos))
    assert (drawn == photographed).float().mean() > 0.97


@pytest.mark.parametrize(("free", "expected"), [(False, False), (True, True)])
def test_framing_is_right_where_drawings_lie_otherwise_than_photos(
    tmp_path: Path, free: bool, expected: bool
) -> None:
    chance = np.random.default_rng(0)
    files: dict[str, list[Path]] = {"sketch": [], "photo": []}
    for number in range(30):
        wide, high = chance.integers(20, 90, 2)
        for kind, paths in files.items():
            here = chance if free else np.random.default_rng(number)
            x, y = here.integers(5, 60, 2)
            scale = here.uniform(0.5, 1)
            w, h = scale * np.array([wide, high]) + chance.integers(-3, 4, 2)
            box = (int(x), int(y), int(x + w), int(y + h))
            paths.append(tmp_path / f"{kind}-{number}.png")
            chair((160, 160), box, 3).save(paths[-1])
    pairs = Pairs(tuple(files["sketch"]), tuple(files["photo"]), tuple(range(30)))
    assert should_fit_ink(pairs) is expected


@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_mean_rank_counts_nearer_ones_and_half_of_equal_ones(
    queries: int, gallery: int, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    q, g = (chance.integers(0, 3, (n, 4)).astype(float) for n in (queries, gallery))
    own = chance.integers(0, gallery, queries)
    slow = []
    for query, mine in zip(q, own, strict=True):
        distances = [sum(abs(a - b) for a, b in zip(query, entry, strict=True)) for entry in g]
        before = sum(d < distances[mine] for d in distances)
        slow.append(before + (sum(d == distances[mine] for d in distances) - 1) / 2)
    assert mean_rank(q, g, own) == pytest.approx(sum(slow) / queries)
