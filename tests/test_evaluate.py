from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from arnet.errors import ArnetError
from arnet.evaluate import Retrieval, ranks_of, wilson_interval
from tests.strategies import rankings


@given(rankings())
def test_ranks_count_ties_against(drawn: tuple[Tensor, Tensor]) -> None:
    scores, right = drawn
    ranks = ranks_of(scores, right)
    for query in range(len(scores)):
        own = scores[query, right[query]]
        rank = 1
        for photo in range(scores.shape[1]):
            if photo != right[query] and scores[query, photo] >= own:
                rank += 1
        assert ranks[query] == rank


@given(rankings())
def test_accuracy_grows_with_q_to_100(drawn: tuple[Tensor, Tensor]) -> None:
    scores, right = drawn
    found = Retrieval(ranks_of(scores, right), torch.empty(0), scores.shape[1])
    values = [found.accuracy(q) for q in range(1, scores.shape[1] + 1)]
    assert values == sorted(values)
    assert values[-1] == 100


def test_a_constant_embedding_is_the_worst() -> None:
    ranks = ranks_of(torch.ones(3, 10), torch.tensor([0, 4, 9]))
    assert ranks.tolist() == [10, 10, 10]


def test_scores_that_are_not_numbers_do_not_rank_first() -> None:
    with pytest.raises(ArnetError, match="not numbers"):
        ranks_of(torch.tensor([[math.nan, 0.5]]), torch.tensor([0]))


def test_wilson_interval_of_the_published_numbers() -> None:
    # Intervals worked out by hand for 262 of 275 and 212 of 281.
    assert wilson_interval(100 * 262 / 275, 275) == pytest.approx((92.1, 97.2), abs=0.1)
    assert wilson_interval(100 * 212 / 281, 281) == pytest.approx((70.1, 80.1), abs=0.1)


@given(st.floats(0, 100), st.integers(1, 10_000))
def test_wilson_interval_holds_the_share_and_shrinks(percent: float, n: int) -> None:
    low, high = wilson_interval(percent, n)
    assert 0 <= low <= percent + 1e-9
    assert percent - 1e-9 <= high <= 100
    closer = wilson_interval(percent, 4 * n)
    assert closer[1] - closer[0] < high - low
