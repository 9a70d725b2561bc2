"""A short run of the fuzzer (``make fuzz`` is the long one): every layer answers each mutant, and none contradicts."""

from __future__ import annotations

import pytest
from fuzz.judge import judge
from fuzz.mutants import mutant

from api.test_layers import EXAMPLES, GOOD

FIRST, CHUNKS, CHUNK = 1_000_000, 4, 60


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_mutants(chunk: int) -> None:
    studies = tuple((EXAMPLES | GOOD).values())
    seeds = range(FIRST + chunk * CHUNK, FIRST + (chunk + 1) * CHUNK)
    verdicts = {seed: judge(mutant(studies, seed)) for seed in seeds}
    assert {seed: verdict.problem for seed, verdict in verdicts.items() if verdict.problem} == {}
    accepted = sum(verdict.accepted for verdict in verdicts.values())
    assert 0 < accepted < CHUNK // 2


def test_a_seed_always_gives_the_same_mutant() -> None:
    studies = tuple((EXAMPLES | GOOD).values())
    assert repr([mutant(studies, seed) for seed in range(50)]) == repr([mutant(studies, seed) for seed in range(50)])
