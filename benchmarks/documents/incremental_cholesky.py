"""Appending to a Cholesky factor against making it anew (thesis, section 2.3 and appendix A).

python -m documents.incremental_cholesky [--appended 8] [--largest 8192] [--repeats 5]

The factor is the one that the surrogate uses (``surrogate.block_factor``); "anew" is the same code from the first row,
and LAPACK's own factorisation stands beside it. The covariance is a Matérn 5/2 of random points in eight dimensions.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from scipy.linalg import lapack
from threadpoolctl import threadpool_limits

from documents.report import table, write
from hpo_engine.parameters import FloatArray
from hpo_engine.surrogate.block_factor import BlockFactor
from hpo_engine.surrogate.kernels import Kernel, Metric

DIMENSION, NOISE, SMALLEST = 8, 1e-2, 512


def covariance(n: int) -> FloatArray:
    X = np.random.default_rng(0).random((n, DIMENSION))
    kernel = Kernel("Matern52", (Metric.LINEAR,) * DIMENSION, np.full(DIMENSION, 0.7), 1.0)
    return np.asarray(kernel(X, X) + NOISE * np.eye(n))


def seconds(action: Callable[[], object], repeats: int) -> float:
    """Of the processor, the fastest of ``repeats``."""

    def once() -> float:
        begin = time.process_time()
        action()
        return time.process_time() - begin

    return min(once() for _ in range(repeats))


def measured(n: int, appended: int, repeats: int) -> dict[str, float]:
    K = covariance(n + appended)

    def rows(start: int, stop: int) -> FloatArray:
        return K[start:stop, :stop]

    before = BlockFactor().grown(n, rows)
    after, whole = before.grown(n + appended, rows), lapack.dpotrf(K, lower=1)[0]
    return {
        "n": n,
        "append": seconds(lambda: before.grown(n + appended, rows), repeats),
        "anew": seconds(lambda: BlockFactor().grown(n + appended, rows), min(repeats, 2)),
        "lapack": seconds(lambda: lapack.dpotrf(K, lower=1), min(repeats, 2)),
        "apart": float(np.max(np.abs(after.dense - np.tril(whole)))),
        "truncated": float(np.max(np.abs(after.truncated(n).dense - before.dense))),
    }


def growth(sizes: FloatArray, values: FloatArray) -> float:
    """The exponent of a power law through the upper half of the sizes."""
    upper = len(sizes) // 2
    return float(np.polyfit(np.log(sizes[upper:]), np.log(values[upper:]), 1)[0])


def main(appended: int, largest: int, repeats: int) -> None:
    sizes = [SMALLEST * 2**i for i in range(int(np.log2(largest / SMALLEST)) + 1)]
    found = [measured(n, appended, repeats) for n in sizes]
    rows = [
        [
            int(f["n"]), *(f"{1e3 * f[k]:.2f}" for k in ("append", "anew", "lapack")),
            f"{f['anew'] / f['append']:.0f}", f"{f['apart']:.1e}", f"{f['truncated']:.1e}",
        ]
        for f in found
    ]  # fmt: skip
    exponents = {k: growth(np.array(sizes, dtype=float), np.array([f[k] for f in found])) for k in ("append", "anew")}
    headings = ["n", f"append {appended}, ms", "anew, ms", "LAPACK, ms", "anew / append", "apart", "truncated"]
    words = (
        f"Growth over the larger half of the sizes: n^{exponents['append']:.2f} to append {appended} rows (in theory "
        f"2), n^{exponents['anew']:.2f} anew (3). Apart: the largest difference of an entry to LAPACK's factor of all; "
        "truncated: to the factor before, after the rows were taken away again."
    )
    write("incremental_cholesky", "Incremental Cholesky (thesis, 2.3)", [table(headings, rows), words], found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--appended", type=int, default=8)
    parser.add_argument("--largest", type=int, default=8192)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    with threadpool_limits(1):
        main(given.appended, given.largest, given.repeats)
