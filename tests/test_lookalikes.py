"""Lookalikes are found, and nothing else: on real images, and against a slow reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import imagehash
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageOps

from clothes_toolkit.groups import Groups
from clothes_toolkit.images import inspect, open_image
from clothes_toolkit.likeness import lookalikes, search
from clothes_toolkit.likeness.keys import MIDDLE, Window, coefficients, hashes
from clothes_toolkit.likeness.lookalikes import (
    DRAWINGS,
    PHOTOS,
    Look,
    find_lookalikes,
    lookalikes_of,
)
from clothes_toolkit.likeness.miniature import (
    DRAWING_SIDE,
    drawing_miniature,
    photo_miniature,
    reduced,
)
from clothes_toolkit.likeness.search import HashIndex
from clothes_toolkit.naming import Side
from tests import planted
from tests.conftest import draw_picture

Pairs = set[tuple[int, int]]


def photo(picture: Image.Image) -> bytes:
    return photo_miniature(picture)


def drawing(picture: Image.Image) -> bytes:
    return drawing_miniature(reduced(picture.convert("L"), DRAWING_SIDE))


def slow_pairs(queries: list[int], others: list[int], radius: int) -> Pairs:
    return {
        (i, j)
        for i, query in enumerate(queries)
        for j, other in enumerate(others)
        if (query ^ other).bit_count() <= radius
    }


def collect(batches: Iterator[search.Near]) -> Pairs:
    found = [
        (int(i), int(j)) for ones, others in batches for i, j in zip(ones, others, strict=True)
    ]
    assert len(found) == len(set(found)), "a pair came twice"
    return set(found)


@st.composite
def crowds(draw: st.DrawFn) -> list[int]:
    """Draw hashes, most of them a few bits from another."""
    centers = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4))
    flips = st.lists(st.integers(0, 63), max_size=9)
    members = draw(st.lists(st.tuples(st.sampled_from(centers), flips), min_size=1, max_size=30))
    found = []
    for center, bits in members:
        for bit in bits:
            center ^= 1 << bit
        found.append(center)
    return found


@pytest.mark.parametrize("by_bands", [False, True])
@given(queries=crowds(), others=crowds(), radius=st.integers(0, 7))
def test_the_search_finds_what_comparing_all_finds(
    by_bands: bool, queries: list[int], others: list[int], radius: int
) -> None:
    index = HashIndex(np.array(others, np.uint64))
    asked = np.array(queries, np.uint64)
    find = search._in_bands if by_bands else search._all_with_all
    assert collect(find(index, asked, radius)) == slow_pairs(queries, others, radius)
    among = {(i, j) for i, j in slow_pairs(others, others, radius) if i < j}
    assert collect(index.pairs(radius)) == among


@pytest.mark.parametrize("spread", [64, 12])
def test_bands_are_used_where_they_pay_and_find_the_same(spread: int) -> None:
    generator = np.random.default_rng(spread)
    bits = generator.integers(0, 2, (4000, 64), np.uint8)
    bits[:, spread:] = 0
    some = np.packbits(bits, axis=1).view(np.uint64)[:, 0]
    index = HashIndex(some)
    assert index._worth_bands(some, len(some) ** 2 // 2) == (spread == 64)
    everything = search._all_with_all(index, some, 3, among_themselves=True)
    assert collect(index.pairs(3)) == collect(everything)


@given(count=st.integers(1, 12), pairs=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11))))
def test_groups_are_the_connected_parts(count: int, pairs: list[tuple[int, int]]) -> None:
    del count
    groups = Groups(pairs)
    reach = {thing: {thing} for pair in pairs for thing in pair}
    for _ in reach:
        for one, other in pairs:
            reach[one] = reach[other] = reach[one] | reach[other]
            for thing in reach[one]:
                reach[thing] = reach[one]
    parts = sorted({tuple(sorted(part)) for part in reach.values() if len(part) > 1})
    assert groups.together() == [list(part) for part in parts]


def test_the_hash_of_a_whole_picture_is_phash(shared_data: Path) -> None:
    # The first frequency, the mean, takes part in imagehash's median and not in ours.
    for path in sorted((shared_data / "chairv2" / "testB").glob("*.png"))[:20]:
        grey = open_image(path).convert("L").resize((32, 32), Image.Resampling.LANCZOS)
        whole = Window(zoom=1 / (1 - 2 * 0.06))
        ours = hashes(coefficients(np.asarray(grey, np.float32)[None], whole))[0]
        theirs = np.packbits(imagehash.phash(grey).hash.ravel()).view(np.uint64)[0]
        assert int(ours ^ theirs).bit_count() <= 3


def test_a_shift_is_the_window_it_is_named_for() -> None:
    noise = np.random.default_rng(0).random((1, 40, 40)).astype(np.float32)
    smooth = np.sum([np.roll(noise, (i, j), (1, 2)) for i in range(5) for j in range(5)], axis=0)
    here, there = smooth[:, 4:36, 4:36], smooth[:, 4:36, 5:37]
    moved = coefficients(there, Window(dx=-1 / 32))
    np.testing.assert_allclose(moved, coefficients(here, MIDDLE), atol=1e-5)


def plant(
    pictures: list[Image.Image], miniature: Callable[[Image.Image], bytes], seed: int
) -> tuple[list[bytes], list[int]]:
    """Return miniatures of pictures and of one near duplicate of each kind, and whose each is."""
    random = Random(seed)
    found = [(miniature(picture), number) for number, picture in enumerate(pictures)]
    for number, picture in enumerate(pictures):
        found += [(miniature(change(picture, random)), number) for change in planted.KINDS.values()]
    random.shuffle(found)
    return [mini for mini, _ in found], [number for _, number in found]


def recall_and_precision(minis: list[bytes], whose: list[int], look: Look) -> tuple[float, float]:
    pairs = [pair for pair in find_lookalikes(minis, look) if not pair.mirrored]
    right = sum(whose[pair.first] == whose[pair.second] for pair in pairs)
    return right / (len(whose) - len(set(whose))), right / len(pairs)


def chosen(folder: Path, count: int, seed: int) -> list[Image.Image]:
    _, paths = planted.halves(folder.rglob("*.[jp][pn]g"))
    return [open_image(path) for path in Random(seed).sample(paths, min(count, len(paths)))]


@pytest.mark.parametrize(
    ("folder", "miniature", "look"),
    [
        ("clothing-photos", photo, PHOTOS),
        ("chairv2/trainB", photo, PHOTOS),
        ("chairv2/trainA", drawing, DRAWINGS),
        ("clothes-v1-figures/trainA", drawing, DRAWINGS),
    ],
)
def test_planted_near_duplicates_are_found_and_nothing_else(
    shared_data: Path, folder: str, miniature: Callable[[Image.Image], bytes], look: Look
) -> None:
    minis, whose = plant(chosen(shared_data / folder, 150, 77), miniature, 78)
    recall, precision = recall_and_precision(minis, whose, look)
    assert recall >= 0.99
    assert precision >= 0.99


def test_a_drawing_that_fills_its_paper_is_found_shifted_and_cropped(shared_data: Path) -> None:
    tight = []
    for picture in chosen(shared_data / "chairv2" / "trainA", 150, 5):
        box = ImageOps.invert(picture.convert("L")).getbbox()
        tight.append(picture.crop(box))
    recall, precision = recall_and_precision(*plant(tight, drawing, 6), DRAWINGS)
    assert recall >= 0.99
    assert precision == 1


def test_mirror_images_are_found_apart(shared_data: Path) -> None:
    pictures = chosen(shared_data / "clothing-photos", 60, 3)
    minis = [photo(picture) for picture in pictures]
    minis += [photo(planted.compressed(ImageOps.mirror(p), Random(1))) for p in pictures]
    pairs = find_lookalikes(minis, PHOTOS)
    assert {(pair.first, pair.second) for pair in pairs} == {(n, n + 60) for n in range(60)}
    # A garment as good as symmetric is its own mirror image.
    assert sum(pair.mirrored for pair in pairs) >= 57


def shirt(color: str, logo: str | None = None) -> Image.Image:
    picture = Image.new("RGB", (300, 300), "white")
    draw = ImageDraw.Draw(picture)
    outline = [(90, 40), (210, 40), (270, 100), (240, 130), (220, 110), (220, 270),
               (80, 270), (80, 110), (60, 130), (30, 100)]  # fmt: skip
    draw.polygon(outline, fill=color, outline="black")
    if logo:
        draw.ellipse((120, 100, 180, 160), fill=logo)
    return picture


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (shirt("#303030"), shirt("#606060")),
        (shirt("#c03030"), shirt("#30509a")),
        (shirt("#806060"), shirt("#608060")),
        (shirt("#303030"), shirt("#303030", "white")),
        (shirt("#a0a0a0", "#c02020"), shirt("#a0a0a0", "#2020c0")),
    ],
)
def test_two_plain_shirts_are_not_one(one: Image.Image, other: Image.Image) -> None:
    assert find_lookalikes([photo(one), photo(other)], PHOTOS) == []
    again = photo(planted.compressed(one, Random(0)))
    assert len(find_lookalikes([photo(one), again], PHOTOS)) == 1


def test_flat_and_tiny_images_look_like_nothing(tmp_path: Path) -> None:
    flat = [photo(Image.new("RGB", (width, 90), "white")) for width in (1, 2, 90, 500)]
    assert find_lookalikes(flat, PHOTOS) == []
    assert find_lookalikes([drawing(Image.new("L", (9, 9), 200))] * 2, DRAWINGS) == []
    assert find_lookalikes([], PHOTOS) == []


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(6)))
def test_the_order_of_images_does_not_change_the_groups(order: list[int], tmp_path: Path) -> None:
    minis = []
    for number in range(6):
        draw_picture(tmp_path / f"{number}.png", number % 4, photo=True)
        minis.append(inspect(tmp_path / f"{number}.png", Side.PHOTO).miniature)
    found = find_lookalikes([minis[number] for number in order], PHOTOS)
    groups = Groups((order[pair.first], order[pair.second]) for pair in found).together()
    assert groups == [[0, 4], [1, 5]]


def test_a_crowd_that_resembles_but_differs_takes_few_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One garment photographed in many colors, and drawings that share a template."""
    rounds: list[int] = []
    real = lookalikes._agree

    def counted(*arguments: Any, **settings: Any) -> Any:
        rounds.append(1)
        return real(*arguments, **settings)

    monkeypatch.setattr(lookalikes, "_agree", counted)
    random = np.random.default_rng(0)
    garment = np.asarray(shirt("#808080", "white").convert("L").resize((32, 32)), np.uint8)
    crowd = [
        garment.tobytes() + bytes([40 + 15 * blue] * 64 + [40 + 15 * red] * 64)
        for blue in range(11)
        for red in range(11)
    ]
    assert find_lookalikes(crowd, PHOTOS) == []
    template = np.asarray(Image.fromarray(garment).convert("L"), np.int16)
    noisy = [
        np.clip(template + 40 * (random.random((32, 32)) - 0.5), 0, 255).astype(np.uint8).tobytes()
        for _ in range(120)
    ]
    find_lookalikes(noisy, DRAWINGS)
    assert len(rounds) < 80


@given(st.integers(0, 2**16), st.lists(st.integers(0, 4), min_size=0, max_size=8))
@settings(max_examples=25)
def test_the_lookalikes_of_one_are_those_that_pair_with_it(seed: int, kinds: list[int]) -> None:
    """Copies, shifted, cropped and worked over, among other drawings."""
    chance = Random(seed)
    own = scribble(chance)
    makers: list[Callable[[Image.Image], Image.Image]] = [
        lambda picture: picture,
        lambda picture: planted.shifted(picture, chance),
        lambda picture: planted.cropped(picture, chance),
        lambda picture: planted.resized(picture, chance),
        lambda _picture: scribble(chance),
    ]
    others = [drawing(makers[kind](own)) for kind in kinds]
    mini = drawing(own)
    expected = [i for i, other in enumerate(others) if find_lookalikes([mini, other], DRAWINGS)]
    assert lookalikes_of(mini, others, DRAWINGS) == expected
    assert {i for i, kind in enumerate(kinds) if kind == 0} <= set(expected)


def scribble(chance: Random) -> Image.Image:
    picture = Image.new("RGB", (160, 160), "white")
    draw = ImageDraw.Draw(picture)
    for _ in range(8):
        draw.line([chance.randrange(15, 145) for _ in range(4)], fill="black", width=4)
    return picture
