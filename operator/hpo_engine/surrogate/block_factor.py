"""A lower Cholesky factor in block rows, which grows and shrinks without a copy.

L is a tuple of segments, each a few rows of L: what is left of the diagonal, and the corner on it. To append is to add
segments and to share the earlier ones; to truncate is to drop them. Half of the square is never stored.

There is one way a factor comes about: rows 0-63, 64-127, ... as whole segments, of the rest as many segments of 8 rows
as fit, and what then remains one by one. Every segment is a function of the rows above it alone. So a factor that grew
with the data is the same, bit for bit, as one that was made at once, and remembering it cannot change a plan.

    row block i:  R_i = K_i,<i L_<i⁻ᵀ  segment by segment,  corner C_i C_iᵀ = K_ii - R_i R_iᵀ

(Golub & Van Loan, Matrix Computations, section 4.2.9; eq. 2.19 of the thesis is the case of two blocks.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile

import numpy as np
from scipy.linalg import LinAlgError
from scipy.linalg.blas import dtrsm

from hpo_engine.parameters import FloatArray

SIZES = (64, 8, 1)
"""Rows in a segment, the largest that fit first."""
DENSE = 512
"""Up to this many rows the triangle is also put together for solving: fewer and larger steps."""

RowBlock = Callable[[int, int], FloatArray]
"""``rows(start, stop)``: K[start:stop, :stop], the rows of the matrix to factor up to the diagonal, (m, stop)."""


@dataclass(frozen=True)
class Segment:
    """Rows [start, stop) of L: ``left`` (m, start), and the lower triangle ``corner`` (m, m)."""

    start: int
    stop: int
    left: FloatArray
    corner: FloatArray


@dataclass(frozen=True)
class BlockFactor:
    """L (n, n) with L Lᵀ = K."""

    segments: tuple[Segment, ...] = ()

    @property
    def rows(self) -> int:
        return self.segments[-1].stop if self.segments else 0

    def truncated(self, n: int) -> BlockFactor:
        """Of the leading ``n`` rows and columns, as far as that is made of the segments that a factor of n has."""
        pairs = zip(self.segments, spans(n), strict=False)
        return BlockFactor(tuple(s for s, _ in takewhile(lambda pair: (pair[0].start, pair[0].stop) == pair[1], pairs)))

    def grown(self, n: int, rows: RowBlock) -> BlockFactor:
        """The factor of the leading ``n`` rows of a matrix whose first rows are already in this one; O(n² m).

        Raises:
            LinAlgError: the matrix is not positive definite.
        """
        segments = list(self.truncated(n).segments)
        for start, stop in list(spans(n))[len(segments) :]:
            segments.append(_segment(segments, start, stop, rows(start, stop)))
        return BlockFactor(tuple(segments))

    def forward(self, B: FloatArray, known: FloatArray | None = None) -> FloatArray:
        """L⁻¹ B (n, q) for ``B`` (n, q).

        ``known`` (m, q): what an earlier call gave for the same m first rows of L and B, in the same segments.
        """
        if self.rows <= DENSE:
            return np.asarray(dtrsm(1.0, self.dense, B, lower=1))
        V = np.array(B, dtype=np.float64, order="C")
        first = 0
        if known is not None:
            V[: len(known)] = known
            first = sum(1 for s in self.segments if s.stop <= len(known))
        for s in self.segments[first:]:
            V[s.start : s.stop] = dtrsm(1.0, s.corner, V[s.start : s.stop] - s.left @ V[: s.start], lower=1)
        return V

    def backward(self, B: FloatArray) -> FloatArray:
        """L⁻ᵀ B (n, q) for ``B`` (n, q)."""
        if self.rows <= DENSE:
            return np.asarray(dtrsm(1.0, self.dense, B, lower=1, trans_a=1))
        V = np.array(B, dtype=np.float64, order="C")
        for s in reversed(self.segments):
            solved = dtrsm(1.0, s.corner, V[s.start : s.stop], lower=1, trans_a=1)
            V[s.start : s.stop] = solved
            V[: s.start] -= s.left.T @ solved
        return V

    @cached_property
    def dense(self) -> FloatArray:
        """L as one array (n, n)."""
        L = np.zeros((self.rows, self.rows), order="F")
        for s in self.segments:
            L[s.start : s.stop, : s.start] = s.left
            L[s.start : s.stop, s.start : s.stop] = s.corner
        return L


def spans(n: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of the segments of a factor of ``n`` rows."""
    start = 0
    for size in SIZES:
        while start + size <= n:
            yield start, start + size
            start += size


def _segment(above: list[Segment], start: int, stop: int, K: FloatArray) -> Segment:
    """The rows of L that belong to the rows ``K`` (m, stop) of the matrix."""
    left = np.empty((stop - start, start))
    for s in above:
        rest = K[:, s.start : s.stop] - left[:, : s.start] @ s.left.T
        left[:, s.start : s.stop] = dtrsm(1.0, s.corner, rest.T, lower=1).T
    corner = np.linalg.cholesky(K[:, start:] - left @ left.T)
    if not np.isfinite(np.diag(corner)).all():  # LAPACK lets NaN pass
        raise LinAlgError("the matrix holds a NaN")
    return Segment(start, stop, left, np.asfortranarray(corner))
