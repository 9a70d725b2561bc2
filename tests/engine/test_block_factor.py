"""The factor in block rows against the dense one, and against itself by every other way to come to it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import LinAlgError

from hpo_engine.parameters import FloatArray
from hpo_engine.surrogate import block_factor
from hpo_engine.surrogate.block_factor import BlockFactor, RowBlock, spans


def covariance(n: int, seed: int = 0) -> FloatArray:
    G = np.random.default_rng(seed).normal(size=(n, n))
    return np.asarray(G @ G.T / n + 0.1 * np.eye(n))


def rows_of(K: FloatArray) -> RowBlock:
    return lambda start, stop: K[start:stop, :stop]


@given(st.integers(0, 300))
def test_segments_cover_the_rows_once_and_grow_from_the_front(n: int) -> None:
    covered = list(spans(n))
    assert [start for start, _ in covered] == [0, *(stop for _, stop in covered)][: len(covered)]
    assert all(start < stop for start, stop in covered)
    assert covered[-1][1] == n if n else not covered
    assert all(b[1] - b[0] <= a[1] - a[0] for a, b in pairwise(covered))


@pytest.mark.parametrize("n", [1, 7, 8, 63, 64, 65, 200, 600])
def test_factor_and_both_solves_are_the_dense_ones(n: int) -> None:
    K, B = covariance(n), np.random.default_rng(1).normal(size=(n, 3))
    factor, dense = BlockFactor().grown(n, rows_of(K)), np.linalg.cholesky(K)
    assert np.allclose(factor.dense, dense, atol=1e-10)
    assert np.allclose(factor.forward(B), np.linalg.solve(dense, B), atol=1e-10)
    assert np.allclose(factor.backward(B), np.linalg.solve(dense.T, B), atol=1e-10)


def test_solves_by_blocks_are_those_of_the_whole_triangle(monkeypatch: pytest.MonkeyPatch) -> None:
    K, B = covariance(150), np.random.default_rng(1).normal(size=(150, 3))
    factor = BlockFactor().grown(150, rows_of(K))
    whole = factor.forward(B), factor.backward(B)
    monkeypatch.setattr(block_factor, "DENSE", 0)
    assert np.allclose(factor.forward(B), whole[0], atol=1e-12)
    assert np.allclose(factor.backward(B), whole[1], atol=1e-12)


@given(st.lists(st.integers(0, 90), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_however_it_grew_and_shrank_it_is_the_same_to_the_last_bit(sizes: list[int], seed: int) -> None:
    K = covariance(90, seed)
    factor = BlockFactor()
    for n in sizes:
        factor = factor.grown(n, rows_of(K))
        once = BlockFactor().grown(n, rows_of(K))
        assert factor.rows == once.rows == n
        assert factor.dense.tobytes() == once.dense.tobytes()


def test_growing_shares_all_whole_segments() -> None:
    K = covariance(200)
    small = BlockFactor().grown(130, rows_of(K))
    large = small.grown(200, rows_of(K))
    assert all(a is b for a, b in zip(small.segments[:2], large.segments[:2], strict=True))
    assert small.truncated(100).segments == small.segments[:1]
    assert sum(s.left.size + s.corner.size for s in large.segments) < 0.7 * 200**2


def test_an_append_asks_for_its_own_rows_only() -> None:
    """O(n² m): what is evaluated and multiplied grows with the rows that are new, not with all."""
    K, asked = covariance(2001), list[tuple[int, int]]()
    grown = BlockFactor().grown(2000, rows_of(K))

    def rows(start: int, stop: int) -> FloatArray:
        asked.append((start, stop))
        return K[start:stop, :stop]

    grown.grown(2001, rows)
    assert asked == [(2000, 2001)]


def test_a_matrix_that_is_not_positive_definite_is_refused() -> None:
    K = covariance(80)
    K[70, 70] = -1.0
    with pytest.raises(LinAlgError):
        BlockFactor().grown(80, rows_of(K))
    K[70, 70] = np.nan
    with pytest.raises(LinAlgError):
        BlockFactor().grown(80, rows_of(K))
    assert BlockFactor().grown(70, rows_of(K)).rows == 70
