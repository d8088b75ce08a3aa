"""Losses and token recycling against slow references that read like the equations."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from arnet.errors import ArnetError
from arnet.losses import nt_xent, recycling
from arnet.mstr import MultiScaleTokenRecycling, contrast_map, pooled_grid
from tests.strategies import features


def cosine(a: Tensor, b: Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()))


def slow_nt_xent(
    a: Tensor,
    b: Tensor,
    ids: Tensor,
    temperature: float,
    all_positives: bool = False,
    within: bool = True,
) -> float:
    vectors, owners = [*a, *b], [*ids.tolist(), *ids.tolist()]
    views = [0] * len(a) + [1] * len(b)
    total = 0.0
    for anchor in range(len(vectors)):

        def likeness(other: int, anchor: int = anchor) -> float:
            return math.exp(cosine(vectors[anchor], vectors[other]) / temperature)

        partner = (anchor + len(a)) % len(vectors)
        across = [n for n in range(len(vectors)) if views[n] != views[anchor]]
        positives = [n for n in across if owners[n] == owners[anchor]] if all_positives else []
        positives = positives or [partner]
        negatives = [
            n
            for n in range(len(vectors))
            if owners[n] != owners[anchor] and (within or views[n] != views[anchor])
        ]
        whole = sum(likeness(n) for n in positives) + sum(likeness(n) for n in negatives)
        total += sum(-math.log(likeness(n) / whole) for n in positives) / len(positives)
    return total / len(vectors)


@given(features(), st.booleans(), st.booleans())
def test_nt_xent_is_the_equation(
    drawn: tuple[Tensor, Tensor, Tensor], all_positives: bool, within: bool
) -> None:
    a, b, ids = drawn
    expected = slow_nt_xent(a, b, ids, 0.5, all_positives, within)
    found = nt_xent(a, b, ids, 0.5, all_positives=all_positives, within=within)
    assert found.item() == pytest.approx(expected, abs=1e-5)


def test_the_same_photo_is_never_a_negative() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn((2, 3, 8), generator=generator)
    ids = torch.tensor([0, 0, 1])
    a.requires_grad_()
    torch.autograd.backward(nt_xent(a[:2], b[:2], ids[:2], 0.07))
    assert nt_xent(a[:2], b[:2], ids[:2], 0.07).item() == pytest.approx(0.0, abs=1e-6)
    assert a.grad is not None
    assert a.grad.abs().max() == 0


def test_nt_xent_does_not_depend_on_lengths() -> None:
    a, b = torch.randn((2, 4, 8), generator=torch.Generator().manual_seed(1))
    ids = torch.arange(4)
    assert torch.allclose(nt_xent(3 * a, b, ids, 0.1), nt_xent(a, 7 * b, ids, 0.1))


def slow_pool(patches: Tensor, grid: tuple[int, int], scale: int) -> Tensor:
    rows, columns = grid
    pooled = []
    for top in range(0, rows, scale):
        for left in range(0, columns, scale):
            cell = [
                patches[r * columns + c]
                for r in range(top, min(top + scale, rows))
                for c in range(left, min(left + scale, columns))
            ]
            pooled.append(torch.stack(cell).mean(dim=0))
    return torch.stack(pooled)


def slow_contrast_map(grid: tuple[int, int], scales: tuple[int, ...]) -> Tensor:
    """Count the base tokens that two tokens have in common."""
    areas = []
    for scale in scales:
        rows, columns = pooled_grid(grid, scale)
        for row in range(rows):
            for column in range(columns):
                area = {
                    (r, c)
                    for r in range(row * scale, min((row + 1) * scale, grid[0]))
                    for c in range(column * scale, min((column + 1) * scale, grid[1]))
                }
                areas += [(scale, area)]
    wanted = torch.zeros(len(areas), len(areas))
    for i, (scale_i, area_i) in enumerate(areas):
        for j, (scale_j, area_j) in enumerate(areas):
            if i == j:
                wanted[i, j] = 1.0
            elif scale_i != scale_j:
                shared = len(area_i & area_j) / min(len(area_i), len(area_j))
                wanted[i, j] = 0.5 * shared
    return wanted


@pytest.mark.parametrize(
    ("grid", "scales"),
    [((14, 14), (1, 2, 7)), ((7, 7), (1, 2, 7)), ((4, 6), (1, 2, 4)), ((5, 5), (1, 3))],
)
def test_the_contrast_map_follows_from_geometry(
    grid: tuple[int, int], scales: tuple[int, ...]
) -> None:
    wanted = contrast_map(grid, scales)
    assert torch.allclose(wanted, slow_contrast_map(grid, scales))
    assert torch.equal(wanted, wanted.T)
    assert wanted.diagonal().eq(1).all()


def test_the_published_grid_has_249_tokens_and_four_children_a_parent() -> None:
    wanted = contrast_map((14, 14), (1, 2, 7))
    assert wanted.shape == (249, 249)
    assert wanted[196, :196].eq(0.5).sum() == 4
    assert wanted[245, :196].eq(0.5).sum() == 49
    # A 7×7 cell holds 9 whole cells of 2×2 and parts of 7 more.
    assert wanted[245, 196:245].eq(0.5).sum() == 9
    assert wanted[245, 196:245].sum() == pytest.approx(0.5 * 49 / 4)


def test_pooling_is_two_dimensional() -> None:
    module = MultiScaleTokenRecycling(8, (5, 6), (1, 2, 4)).eval()
    for transformer in module.transformers:
        transformer.forward = lambda tokens: tokens
    patches = torch.randn(3, 30, 8, generator=torch.Generator().manual_seed(2))
    _, tokens = module(patches)
    for image in range(3):
        slow = torch.cat([slow_pool(patches[image], (5, 6), scale) for scale in (1, 2, 4)])
        assert torch.allclose(tokens[image], slow, atol=1e-6)


def test_the_recycled_vector_is_one_weight_a_token() -> None:
    module = MultiScaleTokenRecycling(8, (4, 4), (1, 2, 4)).eval()
    vector, tokens = module(torch.randn(2, 16, 8))
    slow = torch.zeros(2, 8)
    for token in range(tokens.shape[1]):
        slow += module.recycle.weight[0, token] * tokens[:, token]
    assert torch.allclose(vector, slow + module.recycle.bias, atol=1e-5)


def test_attention_stays_inside_one_image() -> None:
    module = MultiScaleTokenRecycling(16, (7, 7)).eval()
    patches = torch.randn(4, 49, 16)
    together = module(patches)[0]
    alone = torch.cat([module(image[None])[0] for image in patches])
    assert torch.allclose(together, alone, atol=1e-5)


def test_everything_of_mstr_is_registered() -> None:
    module = MultiScaleTokenRecycling(768, (14, 14))
    per_layer = 4 * 768 * 768 + 4 * 768 + 2 * 768 * 2048 + 2048 + 768 + 4 * 768
    # The published module has these 33,083,904 parameters outside its state dict.
    assert sum(p.numel() for p in module.transformers.parameters()) == 6 * per_layer == 33_083_904
    assert sum(p.numel() for p in module.parameters()) == 6 * per_layer + 250


@settings(max_examples=25)
@given(features())
def test_recycling_is_the_equation(drawn: tuple[Tensor, Tensor, Tensor]) -> None:
    a, b, _ = drawn
    tokens, count = torch.stack([a, b]), len(a)
    wanted = torch.eye(count) * 0.7 + 0.1
    for image, found in zip(tokens, recycling(tokens, wanted), strict=True):
        slow = 0.0
        for i in range(count):
            for j in range(count):
                slow += (cosine(image[i], image[j]) - float(wanted[i, j])) ** 2
        assert found.item() == pytest.approx(slow / count**2, abs=1e-5)


def test_a_grid_smaller_than_the_coarsest_scale_is_refused() -> None:
    with pytest.raises(ArnetError, match=r"7×7 tokens.*grid of 5×5.*scales=1,2,4"):
        MultiScaleTokenRecycling(8, (5, 5))
    with pytest.raises(ArnetError, match="ascending"):
        MultiScaleTokenRecycling(8, (14, 14), (2, 1))
