"""Token matching against slow loops that read like the sentence."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from arnet.errors import ArnetError
from arnet.ink import BLANK
from arnet.losses import info_nce
from arnet.matching import TokenMatching, match, places_of
from tests.strategies import features

Cells = dict[int, Tensor]
"""Tokens by their cell of a grid of 4×4."""


def likeness(a: Tensor, here: int, b: Tensor, there: int, place: float) -> float:
    """What two tokens show, as a cosine, and how near they lie."""
    shows = float(a @ b / (a.norm() * b.norm()))
    down, across = ((x - y) / 4 for x, y in zip(divmod(here, 4), divmod(there, 4), strict=True))
    lies = (math.cos(math.pi * down) + math.cos(math.pi * across)) / 2
    return (1 - place) * shows + place * lies


def slow_match(sketch: Cells, photo: Cells, place: float) -> float:
    """For each token of a side the most alike of the other, or 0; both ways."""
    means = []
    for side, other in ((sketch, photo), (photo, sketch)):
        best = [
            max(0.0, *(likeness(a, here, b, there, place) for there, b in other.items()))
            for here, a in side.items()
        ]
        means.append(sum(best) / len(best))
    return sum(means) / 2


def white(count: int) -> Tensor:
    return torch.ones(count, 3, 32, 32)


def inked(cells: set[int]) -> Tensor:
    """Draw a dot in each of these cells of a grid of 4×4."""
    image = white(1)
    for cell in cells:
        row, column = divmod(cell, 4)
        image[0, :, row * 8 + 3, column * 8 + 5] = 0.2
    return image


some_cells = st.sets(st.integers(0, 15), min_size=1)


@settings(max_examples=25)
@given(some_cells, some_cells, st.integers(0, 2**31), st.sampled_from([0.0, 0.2, 0.9]))
def test_matching_is_the_sentence(
    drawn: set[int], shown: set[int], seed: int, place: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    module = TokenMatching(6, (4, 4), width=5, place=place)
    sketch, photo = torch.randn((2, 16, 6), generator=generator)
    with torch.inference_mode():
        found = match(
            module.sketch(sketch[None], inked(drawn)), module.photo(photo[None], inked(shown))
        )
        ours, theirs = (
            {cell: module.project(side[cell]) for cell in cells}
            for side, cells in ((sketch, drawn), (photo, shown))
        )
    assert found.item() == pytest.approx(slow_match(ours, theirs, place), abs=1e-5)


def test_every_scale_counts_the_same() -> None:
    module = TokenMatching(6, (4, 4), (1, 2), width=5).eval()
    images = white(1)
    images[:, :, 2, 2] = 0.0
    patches = torch.randn(1, 16, 6)
    tokens = module.sketch(patches, images)
    lengths = tokens.norm(dim=2)[0]
    # One inked token at each scale, each half of the whole.
    assert sorted(lengths.tolist(), reverse=True)[:3] == pytest.approx([0.5, 0.5, 0.0], abs=1e-6)
    photo = module.photo(patches, torch.zeros_like(images))
    assert photo.shape == (1, 20, 5)
    coarse = patches[0].view(2, 2, 2, 2, 6).mean(dim=(1, 3)).flatten(0, 1)
    pooled = torch.nn.functional.normalize(module.project(coarse), dim=1)
    # Tokens come in order of ink, which is the same everywhere here: any order.
    found = photo[0, 16:]
    assert torch.allclose(found[found[:, 0].argsort()], pooled[pooled[:, 0].argsort()] / 8)


def test_a_coarse_token_lies_in_the_middle_of_what_it_covers() -> None:
    fine, coarse = places_of((4, 4), 1).view(4, 4, 4), places_of((4, 4), 2).view(2, 2, 4)
    middle = fine[2:, :2].mean(dim=(0, 1))
    assert torch.allclose(middle / middle.norm(), coarse[1, 0], atol=1e-6)
    assert torch.allclose(coarse.norm(dim=2), torch.ones(2, 2))
    # Half an image away in one direction only.
    assert float(coarse[0, 0] @ coarse[0, 1]) == pytest.approx(0.5, abs=1e-6)


def test_the_tokens_with_the_most_ink_stay_within_the_budget() -> None:
    module = TokenMatching(6, (4, 4), width=5, budget=3)
    images = white(1)
    for cell in range(16):
        row, column = divmod(cell, 4)
        images[0, :, row * 8, column * 8] = 1 - (cell + 1) / 20
    patches = torch.randn(1, 16, 6)
    kept = module.sketch(patches, images)[0]
    assert kept.shape == (3, 5)
    darkest = torch.nn.functional.normalize(module.project(patches[0, [15, 14, 13]]), dim=1) / 3
    assert torch.allclose(kept, darkest, atol=1e-5)


def test_a_blank_sketch_matches_nothing_and_breaks_nothing() -> None:
    module = TokenMatching(6, (4, 4), width=5)
    patches = torch.randn(2, 16, 6)
    faint = white(2)
    faint[1] -= BLANK / 2
    photos = module.photo(patches, torch.zeros_like(faint))
    assert match(module.sketch(patches, faint), photos).abs().max() == 0
    assert match(photos, module.photo(patches, faint)).abs().max() == 0


def test_many_queries_are_matched_as_few_are() -> None:
    module = TokenMatching(6, (4, 4), width=5)
    sketches = module.sketch(torch.randn(70, 16, 6), torch.rand(70, 3, 32, 32))
    photos = module.photo(torch.randn(3, 16, 6), torch.rand(3, 3, 32, 32))
    together = match(sketches, photos)
    alone = torch.cat([match(sketch[None], photos) for sketch in sketches])
    assert torch.allclose(together, alone, atol=1e-6)


def test_a_grid_smaller_than_the_coarsest_scale_is_refused() -> None:
    with pytest.raises(ArnetError, match="grid of 4×4"):
        TokenMatching(8, (4, 4), (1, 7))


@given(features())
def test_info_nce_is_the_equation(drawn: tuple[Tensor, Tensor, Tensor]) -> None:
    a, b, ids = drawn
    scores = a @ b.T
    count, total = len(a), 0.0
    for one, other in ((scores, ids), (scores.T, ids)):
        for i in range(count):
            own = math.exp(one[i, i] / 0.7)
            rest = sum(math.exp(one[i, j] / 0.7) for j in range(count) if other[i] != other[j])
            total += -math.log(own / (own + rest))
    assert info_nce(scores, ids, 0.7).item() == pytest.approx(total / (2 * count), abs=1e-5)
