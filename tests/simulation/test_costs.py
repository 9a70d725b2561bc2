"""Costs that are learned from an earlier study are those that it had."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hpo_operator.api.engine_study import engine_study
from hpo_operator.api.parse import parse_study, parse_trial
from hpo_operator.api.study import Study
from hpo_operator.api.trial import HpoTrial
from hpo_operator.simulation.costs import MeasuredCosts, StatedCosts, measured_costs
from hpo_operator.simulation.plain import Run
from hpo_operator.simulation.startup import likely_startup
from hpo_operator.simulation.timings import NoTimesError, Timed, Timings, timings_of
from reconcile.objects import measured, study
from reconcile.simulation import Raw, SimulatedCluster
from reconcile.studies import HYPERBAND

LOADING = 20.0
RESUMING = {"segmentation": {}, "data": {"claimName": "mri"}, "checkpoints": {"claimName": "c"}}


def per_epoch(parameters: dict[str, Any]) -> float:
    """Four times as long at depth 4 as at depth 2."""
    return 5.0 * 2 ** (parameters["depth"] - 2)


def ran(reported: bool = True, **spec: Any) -> tuple[Study, list[HpoTrial], list[Raw]]:
    """The objects of a Hyperband study of 17 trials, whose rungs train from checkpoints. ``reported``: the trainer
    tells what it took; else only its Pods do."""
    reached: dict[str, int] = {}

    def train(parameters: dict[str, Any], resource: int) -> Run:
        key = repr(parameters)
        units, reached[key] = resource - reached.get(key, 0), resource
        value = 1 / (1 + abs(math.log10(parameters["learningRate"]) + 2))
        seconds = LOADING + units * per_epoch(parameters)
        message = measured(value)
        message = message.replace('"seconds": 12.5', f'"seconds": {seconds}') if reported else measured_silently(value)
        return Run(message, seconds=seconds)

    cluster = SimulatedCluster(study(**HYPERBAND, budget={"trials": 17}, trainer=RESUMING, **spec), train)
    cluster.run()
    return (
        parse_study(cluster.study),
        [parse_trial(raw) for raw in cluster.trials.values()],
        list(cluster.pods.values()),
    )


def measured_silently(value: float) -> str:
    return measured(value).replace(', "seconds": 12.5', "")


@pytest.fixture(scope="module", params=[True, False])
def costs(request: pytest.FixtureRequest) -> MeasuredCosts:
    earlier, trials, pods = ran(request.param)
    return measured_costs(timings_of(earlier, trials, pods, earlier.spec), None)


SPACE = engine_study(parse_study(study()).spec).space


def test_the_time_before_training_is_found(costs: MeasuredCosts) -> None:
    assert costs.before.known
    assert costs.startup == pytest.approx(LOADING, rel=0.1)


def test_a_configuration_that_was_timed_costs_the_same(costs: MeasuredCosts) -> None:
    exact = replace(costs, drift=0.0)
    for seed in range(3):
        prices = exact.drawn(SPACE, np.random.default_rng(seed))
        for parameters in costs.timings.parameters.values():
            assert prices.per_unit(parameters) == pytest.approx(per_epoch(parameters), rel=0.2)


def test_another_costs_what_its_like_has_cost(costs: MeasuredCosts) -> None:
    drawn = [costs.drawn(SPACE, np.random.default_rng(seed)) for seed in range(40)]
    for depth in (2, 3, 4):
        parameters = {"learningRate": 0.003, "depth": depth}
        median = np.median([prices.per_unit(parameters) for prices in drawn])
        assert median == pytest.approx(per_epoch(parameters), rel=0.1)


def test_a_draw_gives_a_configuration_one_price(costs: MeasuredCosts) -> None:
    prices = costs.drawn(SPACE, np.random.default_rng(0))
    parameters = {"learningRate": 0.003, "depth": 2}
    assert prices.per_unit(parameters) == prices.per_unit(dict(parameters))


def test_a_configuration_outside_of_the_earlier_space_costs_the_average(costs: MeasuredCosts) -> None:
    parameters = {"learningRate": 0.003, "depth": 9}
    drawn = [costs.drawn(SPACE, np.random.default_rng(seed)).per_unit(parameters) for seed in range(60)]
    assert np.median(drawn) == pytest.approx(costs.typical, rel=0.3)
    assert np.std(np.log(drawn)) > 0.2


def test_a_stated_startup_counts() -> None:
    earlier, trials, pods = ran()
    costs = measured_costs(timings_of(earlier, trials, pods, earlier.spec), 3.0)
    assert costs.startup == pytest.approx(3.0)
    assert costs.before.known


def timings(timed: list[Timed]) -> Timings:
    return Timings(SPACE, {}, tuple(timed), unreported=0.0, start_seconds=0.0, whole=False)


def test_startup_by_hand() -> None:
    """7 s, then 2 s a unit for trial 0 and 5 s for trial 1."""
    timed = [Timed(0, 1, 9.0), Timed(0, 4, 15.0), Timed(1, 1, 12.0), Timed(1, 4, 27.0)]
    found = likely_startup(timings(timed), None)
    assert found.known
    assert found.mean == pytest.approx(7.0, abs=0.5)
    assert np.exp(found.logs(7.0)) == pytest.approx([2.0, 5.0])


@pytest.mark.parametrize("timed", [[Timed(0, 1, 9.0), Timed(0, 4, 15.0)], [Timed(i, 3, 9.0 + i) for i in range(9)]])
def test_startup_is_assumed_from_too_little(timed: list[Timed]) -> None:
    found = likely_startup(timings(timed), None)
    assert not found.known
    assert 0 < found.mean < 9.0


def test_without_a_fidelity_a_trial_is_one_unit() -> None:
    found = likely_startup(replace(timings([Timed(0, 1, 9.0)]), whole=True), None)
    assert found.mean == 0
    assert np.exp(found.logs(0.0)) == pytest.approx([9.0])


def test_stated_seconds_are_the_average_of_the_space() -> None:
    """Of any draw, whatever the spread; and dear configurations do better more often than not."""
    costs, gains = StatedCosts(40.0, drift=0.0), []
    sample = [SPACE.decode(u) for u in np.random.default_rng(0).random((400, SPACE.dimension))]
    for seed in range(20):
        prices = costs.drawn(SPACE, np.random.default_rng(seed))
        seconds = np.array([prices.per_unit(parameters) for parameters in sample])
        assert seconds.mean() == pytest.approx(40.0, rel=0.15)
        assert seconds.std() > 1
        gains.append(np.corrcoef(seconds, [prices.gain(parameters) for parameters in sample])[0, 1])
    assert 0 < np.mean(np.array(gains) > 0) < 1


def test_a_study_without_times_is_refused() -> None:
    earlier, trials, pods = ran()
    untimed = [
        trial.model_copy(update={"status": trial.status.model_copy(update={"measurements": []})}) for trial in trials
    ]
    with pytest.raises(NoTimesError, match="no trial of it has measured how long it took"):
        timings_of(earlier, untimed, pods, earlier.spec)


def test_times_of_whole_trials_say_nothing_about_an_epoch() -> None:
    earlier, trials, pods = ran()
    whole = parse_study(study())
    with pytest.raises(
        NoTimesError, match="it tells seconds per trial, and this study needs seconds per unit of epoch"
    ):
        timings_of(whole, trials, pods, earlier.spec)
