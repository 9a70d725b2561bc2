"""A Gaussian process that has seen data: Rasmussen & Williams 2006, algorithm 2.1.

Notation: X (n, d) encoded points, y (n,) outputs, m the constant mean, σ_n² the noise, L the lower factor of
K = k(X, X) + σ_n² I, and α = K⁻¹ (y - m).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy.linalg import LinAlgError

from hpo_engine.memory import Memory
from hpo_engine.parameters import FloatArray
from hpo_engine.surrogate.block_factor import DENSE, BlockFactor, RowBlock
from hpo_engine.surrogate.cholesky import JITTERS
from hpo_engine.surrogate.kernels import Embedded, Kernel

SMALLEST_VARIANCE = 1e-12
ASKED = 16
COLUMNS = 128
"""Points that are predicted at once: bounds the memory, and stays in the processor's caches."""


@dataclass(frozen=True)
class Posterior:
    """Beliefs about the noiseless function. Immutable: more data makes another one."""

    kernel: Kernel
    mean: float
    noise: float
    X: FloatArray
    y: FloatArray
    factor: BlockFactor
    alpha: FloatArray
    jitter: float = 0.0

    @classmethod
    def of(
        cls,
        kernel: Kernel,
        mean: float,
        noise: float,
        X: FloatArray,
        y: FloatArray,
        memory: Memory | None = None,
        name: str = "factor",
    ) -> tuple[Posterior, float]:
        """The posterior, and the jitter that its covariance needed.

        ``memory`` keeps the factor under ``name``: the next posterior of the same kernel and noise goes on from the
        points that both begin with.

        Raises:
            LinAlgError: the covariance is not positive definite even with the largest jitter.
        """
        known = _recalled(memory, name, kernel, noise, X)
        factor, jitter = _factor(kernel, noise, X, BlockFactor() if known is None else known.factor)
        residual = (y - mean)[:, None]
        solved = factor.forward(residual, None if known is None or jitter > 0 else known.solved(factor, residual))
        if memory is not None and jitter == 0:
            memory.keep(name, _Kept(kernel, noise, X, factor, residual, solved))
        return cls(kernel, mean, noise, X, y, factor, factor.backward(solved)[:, 0], jitter), jitter

    @property
    def L(self) -> FloatArray:  # noqa: N802 (the name that the formulas give it)
        """The factor as one array (n, n); for few points."""
        return self.factor.dense

    @cached_property
    def _embedded(self) -> Embedded:
        return self.kernel.embedded(self.X)

    @property
    def fitted(self) -> FloatArray:
        """The means (n,) at the points X themselves: K α = y - m, so they are y - (σ_n² + jitter) α."""
        return np.asarray(self.y - (self.noise + self.jitter) * self.alpha)

    def predict(self, Z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means and standard deviations (q,) of the function at ``Z`` (q, d); eqs. 2.25 and 2.26."""
        asked = self._asked.get(Z[0].tobytes()) if len(Z) == 1 else None
        if asked is not None:
            return np.array(asked[:1]), np.array(asked[1:])
        means, variances = np.empty(len(Z)), np.empty(len(Z))
        for start in range(0, len(Z), COLUMNS):
            part = slice(start, start + COLUMNS)
            cross = self.kernel(self._embedded, Z[part])
            means[part] = self.mean + cross.T @ self.alpha
            V = self.factor.forward(cross)
            variances[part] = self.kernel.signal - np.einsum("ij,ij->j", V, V)
        sds = np.sqrt(np.maximum(variances, SMALLEST_VARIANCE))
        if len(Z) <= ASKED:
            self._asked.clear()
            self._asked.update((z.tobytes(), (float(m), float(sd))) for z, m, sd in zip(Z, means, sds, strict=True))
        return means, sds

    @cached_property
    def _asked(self) -> dict[bytes, tuple[float, float]]:
        """The latest few points and their predictions: what is valued is chosen from, and then reported."""
        return {}

    def means(self, Z: FloatArray) -> FloatArray:
        """Means (q,) alone; O(n) for each point of ``Z`` (q, d)."""
        means = np.empty(len(Z))
        for start in range(0, len(Z), COLUMNS):
            part = slice(start, start + COLUMNS)
            means[part] = self.mean + self.kernel(Z[part], self._embedded) @ self.alpha
        return means

    def joint(self, Z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means (q,) and covariances (q, q) of the function at ``Z`` (q, d); eqs. 2.25 and 2.24."""
        cross = self.kernel(self.X, Z)
        V = self.factor.forward(cross)
        return self.mean + cross.T @ self.alpha, self.kernel(Z, Z) - V.T @ V

    def slopes(self, Z: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Means and sds (q,) at ``Z`` (q, d), and the derivatives (q, d) of both, 0 where nothing can be moved."""
        z, x = self.kernel.embedded(Z), self._embedded
        cross, radial = self.kernel.with_radial_slope(x, z)
        solved = self.factor.backward(self.factor.forward(cross))
        variance = self.kernel.signal - np.einsum("ij,ij->j", cross, solved)
        sd = np.sqrt(np.maximum(variance, SMALLEST_VARIANCE))
        mean_slopes = self.kernel.pulled(z, x, radial * self.alpha[:, None])
        sd_slopes = -self.kernel.pulled(z, x, radial * solved) / sd[:, None]
        return self.mean + cross.T @ self.alpha, sd, mean_slopes, sd_slopes

    def with_data(self, X: FloatArray, y: FloatArray) -> Posterior:
        """After ``X`` (m, d) with outputs ``y`` (m,) as well, hyperparameters unchanged; O(n² m)."""
        if len(X) == 0:
            return self
        all_X, all_y = np.vstack([self.X, X]), np.concatenate([self.y, y])
        factor, jitter = _factor(self.kernel, self.noise, all_X, self.factor, self.jitter)
        alpha = factor.backward(factor.forward((all_y - self.mean)[:, None]))[:, 0]
        return Posterior(self.kernel, self.mean, self.noise, all_X, all_y, factor, alpha, jitter)

    def believing(self, X: FloatArray) -> Posterior:
        """After outputs at ``X`` (m, d) exactly as predicted. No mean changes, so α stays and is 0 for the new points.

        Points are predicted one by one, lest rounding depend on how many are believed together.
        """
        if len(X) == 0:
            return self
        y = np.concatenate([self.y, *(self.means(x[None, :]) for x in X)])
        all_X = np.vstack([self.X, X])
        factor, jitter = _factor(self.kernel, self.noise, all_X, self.factor, self.jitter)
        alpha = np.concatenate([self.alpha, np.zeros(len(X))])
        return Posterior(self.kernel, self.mean, self.noise, all_X, y, factor, alpha, jitter)


@dataclass(frozen=True)
class Thinned(Posterior):
    """The exact means, with standard deviations by the ``part`` of the data alone.

    Fewer data never take away doubt, so these deviations are upper bounds; near enough data they are all but exact.
    A point costs O(n) instead of O(n²).
    """

    part: Posterior = field(kw_only=True)

    @classmethod
    def around(cls, whole: Posterior, places: FloatArray, size: int) -> Thinned:
        """With the data nearest to each of the encoded ``places`` (k, d), and as many spread over all; 2 ``size``."""
        each = max(1, size // max(1, len(places)))
        nearest = np.argpartition(whole.kernel.r2(places, whole._embedded), each, axis=1)[:, :each]
        chosen = np.unique(np.concatenate([nearest.ravel(), np.linspace(0, len(whole.X) - 1, size).astype(np.int64)]))
        part, _ = Posterior.of(whole.kernel, whole.mean, whole.noise, whole.X[chosen], whole.y[chosen])
        w = whole
        return cls(w.kernel, w.mean, w.noise, w.X, w.y, w.factor, w.alpha, w.jitter, part=part)

    def predict(self, Z: FloatArray) -> tuple[FloatArray, FloatArray]:
        return self.means(Z), self.part.predict(Z)[1]

    def slopes(self, Z: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        z, x = self.kernel.embedded(Z), self._embedded
        cross, radial = self.kernel.with_radial_slope(z, x)
        _, sd, _, sd_slopes = self.part.slopes(Z)
        return self.mean + cross @ self.alpha, sd, self.kernel.pulled(z, x, (radial * self.alpha).T), sd_slopes


def _factor(
    kernel: Kernel, noise: float, X: FloatArray, known: BlockFactor, jitter: float = 0.0
) -> tuple[BlockFactor, float]:
    """The factor of K + jitter I and the smallest jitter, from ``jitter`` on, with which there is one."""
    for relative in JITTERS:
        extra = relative * (kernel.signal + noise)
        if extra < jitter:
            continue
        try:
            return (known if extra == jitter else BlockFactor()).grown(len(X), _rows(kernel, noise + extra, X)), extra
        except LinAlgError:
            continue
    raise LinAlgError("the covariance matrix is not positive definite")


def _rows(kernel: Kernel, diagonal: float, X: FloatArray) -> RowBlock:
    """The covariances of ``X``, ``diagonal`` added on the diagonal."""

    places = kernel.embedded(X)

    def rows(start: int, stop: int) -> FloatArray:
        K = kernel(places[start:stop], places[:stop])
        K[np.arange(stop - start), np.arange(start, stop)] = kernel.signal + diagonal
        return K

    return rows


@dataclass(frozen=True)
class _Kept:
    """What a memory keeps: the factor of ``X``, and its forward solution ``forward`` of ``residual``, both (n, 1)."""

    kernel: Kernel
    noise: float
    X: FloatArray
    factor: BlockFactor
    residual: FloatArray
    forward: FloatArray

    def solved(self, factor: BlockFactor, residual: FloatArray) -> FloatArray | None:
        """The leading rows of the forward solution that ``factor`` would give as well; None with few data.

        Those of the segments that both factors share, as far as the residuals are the same.
        """
        if min(self.factor.rows, factor.rows) <= DENSE:
            return None
        same, shared = common_rows(self.residual, residual), 0
        for mine, its in zip(self.factor.segments, factor.segments, strict=False):
            if mine is not its or mine.stop > same:
                break
            shared = mine.stop
        return self.forward[:shared]


def _recalled(memory: Memory | None, name: str, kernel: Kernel, noise: float, X: FloatArray) -> _Kept | None:
    """What is remembered of the same kernel and noise, the factor cut to the points that its data and ``X`` share."""
    last = None if memory is None else memory.last(name)
    if memory is None or not isinstance(last, _Kept):
        return None
    if not (last.noise == noise and same_kernel(last.kernel, kernel)):
        memory.forget(name)  # before the new one is made, lest both be held at once
        return None
    return replace(last, factor=last.factor.truncated(common_rows(last.X, X)))


def same_kernel(a: Kernel, b: Kernel) -> bool:
    return (
        a.name == b.name
        and a.metrics == b.metrics
        and a.signal == b.signal
        and a.warp == b.warp
        and np.array_equal(a.lengthscales, b.lengthscales)
    )


def common_rows(A: FloatArray, B: FloatArray) -> int:
    """How many rows of ``A`` and ``B`` are equal from the first on; NaN equals NaN."""
    n = min(len(A), len(B))
    same = ((A[:n] == B[:n]) | (np.isnan(A[:n]) & np.isnan(B[:n]))).all(axis=1)
    return n if same.all() else int(np.argmin(same))
