"""Lower Cholesky factors that grow and shrink with the data.

Pending trials come and go with every suggestion; appending m rows to a factor of n costs O(n² m) instead of O(n³), and
truncating is a slice.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, solve_triangular

from hpo_engine.parameters import FloatArray

JITTERS = (0.0, 1e-10, 1e-8, 1e-6, 1e-4)
"""Tried in turn, relative to the mean of the diagonal."""


def factor(K: FloatArray) -> tuple[FloatArray, float]:
    """L (n, n) with L Lᵀ = K + jitter I, and the smallest of JITTERS (absolute) that made it possible.

    Raises:
        LinAlgError: K is not positive definite within the largest jitter, or holds a NaN.
    """
    scale = float(np.mean(np.diag(K))) if len(K) else 1.0
    for relative in JITTERS:
        try:
            L = np.linalg.cholesky(K + relative * scale * np.eye(len(K)) if relative else K)
        except LinAlgError:
            continue
        if np.all(np.isfinite(L)):
            return np.asarray(L, dtype=np.float64), relative * scale
    raise LinAlgError("the covariance matrix is not positive definite")


def append(L: FloatArray, cross: FloatArray, corner: FloatArray) -> FloatArray:
    """The factor (n + m, n + m) of [[L Lᵀ, cross], [crossᵀ, corner]]; ``cross`` (n, m), ``corner`` (m, m)."""
    n, m = cross.shape
    left = solve_triangular(L, cross, lower=True).T if n else np.empty((m, 0))
    corner_factor, _ = factor(corner - left @ left.T)
    return np.block([[L, np.zeros((n, m))], [left, corner_factor]])


def truncate(L: FloatArray, n: int) -> FloatArray:
    """The factor of the leading n rows and columns."""
    return L[:n, :n]
