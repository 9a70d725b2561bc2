"""The search benchmark's cluster and its bookkeeping: costs add up, workers are never overbooked, resuming is cheap."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata
from search.cluster import ANYTIME, Cluster, Decision, Job
from search.methods import make
from search.methods.ask_tell import Ask, AskTell
from search.problems import problem
from search.problems.base import Curve, uniform
from search.queue import due
from search.stats import ranking, regret_at
from search.store import Key, Run, Store
from search.worker import thinned

from hpo_engine.space import FloatParameter, Space
from hpo_engine.trial import Parameters

LINE = Space((FloatParameter("x", 0.0, 1.0),))


@dataclass
class Toy:
    """Loss x + 1/t over 4 units; a unit costs 1/4 of a training, twice that where x >= 0.5; NaN after 2 at x = 1."""

    name: str = "toy"
    dev: bool = True
    space: Space = LINE
    max_resource: int = 4
    best: float = 0.25
    typical: float = 0.75
    diverged: float = 99.0

    def curve(self, parameters: Parameters, seed: int) -> Curve:
        x = float(parameters["x"])
        truth = x + 1 / np.arange(1.0, 5.0)
        if x == 1.0:
            truth[2:] = np.nan
        return Curve(truth, truth, 0.5 if x >= 0.5 else 0.25)


@dataclass
class Script:
    """Begins the jobs of a list in turn; ``verdict`` says whether a trial goes on after a report."""

    jobs: list[Job]
    takes_nan: bool = True
    verdict: Callable[[int, int], bool] = lambda trial, resource: True
    stops: dict[tuple[int, int], int] = field(default_factory=dict)
    told: list[tuple[int, int, float]] = field(default_factory=list)
    over: list[int] = field(default_factory=list)
    _stop: list[int] = field(default_factory=list)

    def decide(self, free: int) -> Decision:
        start, self.jobs = self.jobs[:free], self.jobs[free:]
        stop, self._stop = self._stop, []
        return Decision(start, stop)

    def report(self, trial: int, resource: int, loss: float) -> bool:
        self.told.append((trial, resource, loss))
        if (trial, resource) in self.stops:
            self._stop.append(self.stops[trial, resource])
        return self.verdict(trial, resource)

    def ended(self, trial: int) -> None:
        self.over.append(trial)


def job(trial: int, x: float, resource: int = 4) -> Job:
    return Job(trial, {"x": x}, resource)


def simulate(script: Script, workers: int = 1, budget: float = 10.0) -> Cluster:
    cluster = Cluster(Toy(), script, workers, budget, seed=0)
    cluster.run()
    return cluster


def test_costs_add_up():
    cluster = simulate(Script([job(0, 0.1), job(1, 0.6)]))
    assert cluster.outcome.units == 8
    assert cluster.outcome.busy == pytest.approx((4 * 0.25 + 4 * 0.5) / 10)
    spent = [step[0] for step in cluster.outcome.steps]
    assert spent == pytest.approx([0.25, 0.5, 0.75, 1.0])  # the second configuration is never better


def test_budget_counts_every_worker_and_ends_the_run():
    cluster = simulate(Script([job(i, 0.0) for i in range(100)]), workers=4, budget=6.0)
    assert cluster.outcome.units == 24
    assert cluster.outcome.steps[0][0] == pytest.approx(4 * 0.25)


def test_jobs_run_side_by_side():
    cluster = simulate(Script([job(0, 0.1), job(1, 0.6), job(2, 0.2)]), workers=2)
    begun = {trial: i for i, (trial, resource, _) in enumerate(cluster.method.told) if resource == 1}
    ends = {trial: i for i, (trial, resource, _) in enumerate(cluster.method.told) if resource == 4}
    assert begun[1] < ends[0] < begun[2] < ends[1]  # the third begins when the first ends, while the slow one runs


def test_resuming_costs_only_the_rest():
    cluster = simulate(Script([job(0, 0.1, 1), job(1, 0.2, 1), job(0, 0.1, 4)]))
    assert [told[:2] for told in cluster.method.told] == [(0, 1), (1, 1), (0, 2), (0, 3), (0, 4)]
    assert cluster.outcome.trials == 2
    assert cluster.outcome.busy == pytest.approx(5 * 0.25 / 10)


def test_a_verdict_and_a_stop_free_the_worker_at_once():
    paused = simulate(Script([job(0, 0.1), job(1, 0.2)], verdict=lambda trial, resource: trial == 1 or resource < 2))
    assert [told[:2] for told in paused.method.told][:3] == [(0, 1), (0, 2), (1, 1)]
    stopped = simulate(Script([job(0, 0.1), job(1, 0.6), job(2, 0.2)], stops={(0, 2): 1}), workers=2)
    assert [told[:2] for told in stopped.method.told if told[0] == 1] == [(1, 1)]
    assert (2, 4) in [told[:2] for told in stopped.method.told]
    assert stopped.method.over == [1, 0, 2]


def test_divergence_is_nan_or_a_bad_loss_and_costs_what_was_trained():
    nan = simulate(Script([job(0, 1.0), job(1, 0.1)]))
    assert nan.method.told[:2] == [(0, 1, 2.0), (0, 2, 1.5)]
    assert nan.method.told[2][:2] == (0, 3) and math.isnan(nan.method.told[2][2])
    bad = simulate(Script([job(0, 1.0), job(1, 0.1)], takes_nan=False))
    assert bad.method.told[2:4] == [(0, 3, 99.0), (0, 4, 99.0)]
    assert bad.outcome.busy == nan.outcome.busy == pytest.approx((3 * 0.5 + 4 * 0.25) / 10)


@pytest.mark.parametrize("jobs", ([job(0, 0.1), job(0, 0.1)], [job(0, 0.1, 5)], [job(0, 0.1, 0)]))
def test_impossible_jobs_are_refused(jobs):
    with pytest.raises(RuntimeError, match="trial 0"):
        simulate(Script(jobs), workers=2)


class Peer(AskTell):
    """Asks for one configuration at 1, 4 and 1 units again, all under one checkpoint."""

    def __init__(self) -> None:
        super().__init__("peer", Toy(), 1, 0)
        self.resources = [1, 4, 1]
        self.heard: list[float] = []

    def ask(self) -> Ask | None:
        if self.running or not self.resources:
            return None
        return Ask({"x": 0.5}, self.resources.pop(0), continues="a")

    def tell(self, asked: Ask) -> None:
        self.heard.append(asked.loss)


def test_a_peer_goes_on_from_its_checkpoint_and_repeats_from_scratch():
    peer = Peer()
    cluster = Cluster(Toy(), peer, 1, 10.0, 0)
    outcome = cluster.run()
    assert peer.heard == pytest.approx([1.5, 0.75, 1.5])
    assert (outcome.trials, outcome.units) == (2, 5)


def run_of(steps: list[tuple[float, float, float]], name: str = "branin+curve", seed: int = 0) -> Run:
    return Run("m", "", name, 4, seed, 40.0, steps, 1, 1, 1, 1.0, 0.0, 0.0)


def test_regret_is_of_the_true_loss_of_what_looked_best():
    p = problem("branin+curve")
    run = run_of([(1.0, 5.0, p.typical), (3.0, -9.0, p.best)])
    assert regret_at(run, 0.5) == math.inf
    assert [regret_at(run, b) for b in (1.0, 2.9, 3.0, 40.0)] == pytest.approx([1.0, 1.0, 0.0, 0.0])


def test_ranks_are_those_of_the_regrets_and_intervals_hold_them():
    p = problem("branin+curve")
    losses = np.random.default_rng(0).random((3, 8)) + p.best + np.array([[0.0], [0.5], [1.0]])
    keys = [Key("branin+curve", 4, seed) for seed in range(8)]
    runs = {
        f"m{i}": {k: run_of([(1.0, loss, loss)], seed=k.seed) for k, loss in zip(keys, row, strict=True)}
        for i, row in enumerate(losses)
    }
    result = ranking(runs, list(runs), keys, 20)
    assert result.mean == pytest.approx(rankdata(losses, axis=0).mean(axis=1))
    assert np.all((result.low <= result.mean) & (result.mean <= result.high))
    assert result.ahead[0, 0] == pytest.approx(result.mean[0] - min(result.mean[1:]))


def test_store_keeps_the_last_whole_line_and_forgets(tmp_path: Path):
    store, first = Store(tmp_path), run_of([(1.0, 2.0, 2.0)])
    store.append(first)
    store.append(replace(first, trials=7))
    with store.path("m").open("a") as file:
        file.write('{"method": "m", "cut')
    assert store.load("m")[first.key].trials == 7
    batches = due(store, {"m": "m"}, ["branin+curve"], [4, 1], range(2))
    assert [key for batch in batches for key in batch.keys] == [Key("branin+curve", 4, 1)] + [
        Key("branin+curve", 1, seed) for seed in range(2)
    ]
    store.forget("m", {first.key})
    assert store.load("m") == {}


@pytest.mark.parametrize("name", ("branin+curve", "hartmann6+curve", "mixed+curve"))
def test_problems_are_reproducible_and_best_is_best(name: str):
    p = problem(name)
    for parameters in uniform(p.space, 50, seed=3):
        curve, again, other = p.curve(parameters, 0), p.curve(parameters, 0), p.curve(parameters, 1)
        assert np.array_equal(curve.observed, again.observed, equal_nan=True)
        assert np.array_equal(curve.truth, other.truth, equal_nan=True)
        assert not np.array_equal(curve.observed, other.observed, equal_nan=True)
        assert curve.observed.shape == (p.max_resource,)
        assert np.all(np.isnan(curve.truth) | (curve.truth >= p.best - 1e-4))


@pytest.mark.parametrize("name", ("random", "ours-Random-None", "ours-TPE-Hyperband"))
def test_methods_of_this_repository_spend_their_budget_the_same_way_twice(name: str):
    p = problem("mixed+curve")
    one, two = (Cluster(p, make(name, p, 4, 5), 4, 6.0, 5).run() for _ in range(2))
    assert one.steps == two.steps and one.steps
    assert one.busy > 0.9
    assert [step[1] for step in one.steps] == sorted((step[1] for step in one.steps), reverse=True)


def test_thinned_steps_read_the_same_at_every_budget_of_the_report():
    generator = np.random.default_rng(1)
    spent = np.sort(generator.uniform(0.01, 100, 500))
    losses = np.sort(generator.random(500))[::-1] + 0.4
    steps = [(s, loss, loss) for s, loss in zip(spent.tolist(), losses.tolist(), strict=True)]
    few = thinned(steps)
    assert len(few) < 150
    for budget in ANYTIME:
        assert regret_at(run_of(few), budget) == pytest.approx(regret_at(run_of(steps), budget), rel=1e-5)
