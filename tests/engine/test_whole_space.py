"""The best of every configuration, against a plain search through the list."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest

from engine.studies import BRANIN, FIELD_OF_VIEW, TINY
from hpo_engine.acquisition.functions import LCB, AcquisitionFunction, LogEI, LogPI
from hpo_engine.acquisition.whole_space import best_of_space
from hpo_engine.enumeration import Enumeration
from hpo_engine.parameters import FloatArray, IntArray
from hpo_engine.space import CategoricalParameter, Condition, FloatParameter, IntParameter, Space
from hpo_engine.surrogate.fitting import fit_surrogate
from hpo_engine.surrogate.kernels import metrics
from hpo_engine.surrogate.posterior import Posterior

CONDITIONAL = Space(
    (
        CategoricalParameter("optimizer", ("SGD", "Adam")),
        FloatParameter("momentum", 0.0, 0.9, step=0.1, condition=Condition("optimizer", ("SGD",))),
        IntParameter("layers", 1, 5),
        IntParameter("skips", 1, 4, condition=Condition("layers", low=3)),
    )
)


def posterior_of(space: Space, n: int, seed: int = 0) -> Posterior:
    enumeration, generator = Enumeration(space), np.random.default_rng(seed)
    X = enumeration.encoded(generator.choice(enumeration.size, n, replace=False))
    y = np.nansum((X - 0.4) ** 2, axis=1)
    return fit_surrogate("Matern52", metrics(space), X, (y - y.mean()) / y.std(), generator).posterior


@pytest.mark.parametrize("function", [LogEI(posterior_of(CONDITIONAL, 25), -1.0), LCB(posterior_of(CONDITIONAL, 9), 2)])
@pytest.mark.parametrize("block", [1, 7, 4096])
def test_the_best_of_the_list(function: AcquisitionFunction, block: int) -> None:
    ranked = sorted(CONDITIONAL.configurations(), key=lambda p: -float(function(CONDITIONAL.encode(p)[None, :])[0]))
    used: set[str] = set()
    for expected in ranked[:5]:
        choice = best_of_space(CONDITIONAL, function, used, block)
        assert choice is not None
        assert choice.parameters == expected
        assert choice.value == pytest.approx(float(function(choice.encoded[None, :])[0]), abs=1e-9)
        used.add(CONDITIONAL.key(choice.parameters))


def test_every_configuration_comes_once_and_then_none() -> None:
    function = LogPI(posterior_of(TINY, 4), -1.0)
    used: set[str] = set()
    while (choice := best_of_space(TINY, function, used, block=3)) is not None:
        assert TINY.key(choice.parameters) not in used
        used.add(TINY.key(choice.parameters))
    assert used == {TINY.key(p) for p in TINY.configurations()}


@dataclass(frozen=True)
class Flat:
    """The same value everywhere, NaN for one half of the space."""

    posterior: Posterior
    value: float

    def __call__(self, points: FloatArray) -> FloatArray:
        return np.where(points[:, 0] < 0.5, np.nan, self.value)

    def with_slopes(self, point: FloatArray, coordinates: IntArray) -> tuple[float, FloatArray]:
        return self.value, np.zeros(len(coordinates))


@pytest.mark.parametrize("value", [0.0, -np.inf])
def test_nan_loses_and_of_equal_ones_the_first_wins(value: float) -> None:
    choice = best_of_space(TINY, Flat(posterior_of(TINY, 4), value), ())
    assert choice is not None
    first = next(p for p in TINY.configurations() if p["norm"] == "instance" or value == -np.inf)
    assert choice.parameters == first


def test_a_continuum_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a finite space"):
        best_of_space(BRANIN, Flat(posterior_of(TINY, 4), 0.0), ())


def test_memory_is_that_of_a_block() -> None:
    """470 400 configurations would take 30 MB as encodings alone, and 226 MB as covariances with 60 points."""
    posterior = posterior_of(FIELD_OF_VIEW, 60)
    tracemalloc.start()
    choice = best_of_space(FIELD_OF_VIEW, LogEI(posterior, -1.0), (), block=2048)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert choice is not None
    assert peak < 12 * 2**20
