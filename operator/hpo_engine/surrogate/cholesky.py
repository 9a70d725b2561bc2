"""The lower Cholesky factor of a small matrix, with as little jitter as it takes.

The factor of all data, which grows and shrinks with them, is in block_factor.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError

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
