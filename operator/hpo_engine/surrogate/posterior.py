"""A Gaussian process that has seen data: Rasmussen & Williams 2006, algorithm 2.1.

Notation: X (n, d) encoded points, y (n,) outputs, m the constant mean, σ_n² the noise, L the lower factor of
K = k(X, X) + σ_n² I, and α = K⁻¹ (y - m).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, solve_triangular

from hpo_engine.parameters import FloatArray, IntArray
from hpo_engine.surrogate.cholesky import append, factor
from hpo_engine.surrogate.kernels import Kernel

SMALLEST_VARIANCE = 1e-12


@dataclass(frozen=True)
class Posterior:
    """Beliefs about the noiseless function. Immutable: more data makes another one."""

    kernel: Kernel
    mean: float
    noise: float
    X: FloatArray
    y: FloatArray
    L: FloatArray
    alpha: FloatArray

    @classmethod
    def of(cls, kernel: Kernel, mean: float, noise: float, X: FloatArray, y: FloatArray) -> tuple[Posterior, float]:
        """The posterior, and the jitter that its covariance needed.

        Raises:
            LinAlgError: the covariance is not positive definite even with the largest jitter.
        """
        L, jitter = factor(kernel(X, X) + noise * np.eye(len(X)))
        return cls(kernel, mean, noise, X, y, L, cho_solve((L, True), y - mean)), jitter

    def predict(self, Z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means and standard deviations (q,) of the function at ``Z`` (q, d); eqs. 2.25 and 2.26."""
        cross = self.kernel(self.X, Z)
        V = solve_triangular(self.L, cross, lower=True, check_finite=False)
        variance = self.kernel.signal - np.einsum("ij,ij->j", V, V)
        return self.mean + cross.T @ self.alpha, np.sqrt(np.maximum(variance, SMALLEST_VARIANCE))

    def joint(self, Z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means (q,) and covariances (q, q) of the function at ``Z`` (q, d); eqs. 2.25 and 2.24."""
        cross = self.kernel(self.X, Z)
        V = solve_triangular(self.L, cross, lower=True, check_finite=False)
        return self.mean + cross.T @ self.alpha, self.kernel(Z, Z) - V.T @ V

    def predict_with_slopes(self, z: FloatArray, coordinates: IntArray) -> tuple[float, float, FloatArray, FloatArray]:
        """Mean and sd at one point ``z`` (d,), and the derivatives (c,) of both by some of its active coordinates."""
        cross, slopes = self.kernel.with_slopes(z, self.X, coordinates)
        solved = cho_solve((self.L, True), cross, check_finite=False)
        sd = max(self.kernel.signal - float(cross @ solved), SMALLEST_VARIANCE) ** 0.5
        return self.mean + float(cross @ self.alpha), sd, slopes @ self.alpha, -(slopes @ solved) / sd

    def with_data(self, X: FloatArray, y: FloatArray) -> Posterior:
        """After ``X`` (m, d) with outputs ``y`` (m,) as well, hyperparameters unchanged; O(n² m)."""
        if len(X) == 0:
            return self
        corner = self.kernel(X, X) + self.noise * np.eye(len(X))
        L = append(self.L, self.kernel(self.X, X), corner)
        all_y = np.concatenate([self.y, y])
        alpha = cho_solve((L, True), all_y - self.mean)
        return Posterior(self.kernel, self.mean, self.noise, np.vstack([self.X, X]), all_y, L, alpha)
