"""A forecast is what the study then does: its own decisions, at the prices given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hpo_operator.simulation.costs import StatedCosts
from hpo_operator.simulation.forecast import Outcome, forecast
from hpo_operator.simulation.summary import Spread, summary
from reconcile.disturbed import SCHEDULERS
from reconcile.objects import study
from reconcile.simulation import SimulatedCluster

COSTS = StatedCosts(seconds_per_unit=30.0, startup=10.0, start_seconds=0.0, spread=0.0, drift=0.0)
EPOCHS = {"resource": "epochs", "min": 1, "max": 9, "eta": 3}
RESUMING = {
    "segmentation": {},
    "data": {"claimName": "mri"},
    "checkpoints": {"claimName": "c"},
    "resources": {"limits": {"nvidia.com/gpu": 2}},
}


def made(scheduler: str = "None", trainer: Any = RESUMING, sampler: str = "Random", **spec: Any) -> dict[str, Any]:
    algorithm = {"sampler": {"type": sampler}, "scheduler": {"type": scheduler}}
    return study(algorithm=algorithm, fidelity=EPOCHS, trainer=trainer, **spec)


def outcome(raw: dict[str, Any], places: int | None = None) -> Outcome:
    (found,) = forecast(raw, COSTS, [0], places)
    return found


def test_full_trials_cost_what_arithmetic_says() -> None:
    found = outcome(made(budget={"trials": 7, "parallelism": 3}))
    each = 10 + 9 * 30
    assert (found.pods, found.trials, found.busy, found.reason) == (7, 7, 3, "TrialsCompleted")
    assert found.pod_seconds == 7 * each
    assert found.wall_seconds == 3 * each
    assert [(r.resource, r.trials, r.units) for r in found.rungs] == [(9, 7, 63)]


def test_without_fidelity_a_unit_is_a_trial() -> None:
    found = outcome(study(budget={"trials": 3, "parallelism": 1}))
    assert found.pod_seconds == found.wall_seconds == 3 * 40


def test_hyperband_by_its_brackets() -> None:
    """Li et al. 2018, "Hyperband", table 1 with R = 9 and η = 3: brackets of 9, 5 and 3 trials."""
    found = outcome(made("Hyperband", budget={"trials": 17, "parallelism": 1}))
    units = {1: 9 * 1, 3: 3 * 2 + 5 * 3, 9: (1 + 1) * 6 + 3 * 9}
    assert {r.resource: r.units for r in found.rungs} == units
    assert {r.resource: r.trials for r in found.rungs} == {1: 9, 3: 8, 9: 5}
    assert found.pod_seconds == 22 * 10 + sum(units.values()) * 30


def test_without_checkpoints_a_promotion_trains_anew() -> None:
    anew = {name: value for name, value in RESUMING.items() if name != "checkpoints"}
    found = outcome(made("Hyperband", anew, budget={"trials": 17, "parallelism": 1}))
    assert {r.resource: r.units for r in found.rungs} == {1: 9 * 1, 3: 8 * 3, 9: 5 * 9}


def test_the_places_hold_parallelism_down() -> None:
    raw = made(budget={"trials": 8, "parallelism": 8})
    few, many = outcome(raw, places=2), outcome(raw)
    assert (few.busy, many.busy) == (2, 8)
    assert few.wall_seconds == pytest.approx(4 * many.wall_seconds)
    assert few.pod_seconds == pytest.approx(many.pod_seconds)


def test_a_pod_waits_before_it_starts_and_is_not_paid_for_it() -> None:
    (found,) = forecast(made(budget={"trials": 3}), replace(COSTS, start_seconds=5.0), [0])
    assert found.pod_seconds == 3 * 280
    assert found.wall_seconds == 3 * 285


@pytest.mark.parametrize(
    ("limit", "reason"),
    [({"gpuHours": 2 * 3 * 280 / 3600}, "GPUHoursExhausted"), ({"wallClock": "14m"}, "WallClockExhausted")],
)
def test_a_limit_of_the_budget_ends_it(limit: dict[str, Any], reason: str) -> None:
    found = outcome(made(budget={"trials": 50, "parallelism": 1} | limit))
    assert found.reason == reason
    assert found.trials in (3, 4)
    assert 3 * 280 <= found.wall_seconds <= 3 * 280 + 5


@pytest.mark.parametrize("scheduler", ["ASHAStopping", "MedianStopping"])
def test_trials_that_fall_behind_are_stopped(scheduler: str) -> None:
    found = forecast(made(scheduler, budget={"trials": 20, "parallelism": 4}), COSTS, range(3))
    for one in found:
        assert one.reason == "TrialsCompleted"
        assert 0 < sum(r.trials for r in one.rungs) < 20
        assert one.pod_seconds < 20 * 280


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_the_same_seed_is_the_same_forecast(scheduler: str) -> None:
    raw = made(scheduler, sampler="GP", budget={"trials": 9, "parallelism": 2})
    assert forecast(raw, COSTS, [3]) == forecast(raw, COSTS, [3])


def test_draws_differ_where_the_results_decide() -> None:
    raw = made("ASHA", budget={"trials": 20, "parallelism": 4})
    assert len({one.pod_seconds for one in forecast(raw, COSTS, range(6))}) > 1


def test_what_the_values_cannot_mean_is_left_out() -> None:
    """A target, a Prometheus query and constraints end or forbid nothing; a suspended study is not."""
    raw = made(budget={"trials": 3}, suspend=True, constraints=[{"metric": "latency", "max": 5.0}])
    raw["spec"]["objective"] |= {"target": -100.0, "prometheus": {"query": "dice"}}
    raw["status"] = {"completionTime": "2026-01-01T00:00:00Z"}
    assert outcome(raw).reason == "TrialsCompleted"
    assert outcome(raw).trials == 3


def test_as_many_pods_as_the_study_then_makes() -> None:
    """Promotions of Hyperband depend on values, their number does not: the tests' own landscape needs as many."""
    raw = made("Hyperband", budget={"trials": 17, "parallelism": 3})
    cluster = SimulatedCluster(raw)
    cluster.run()
    assert outcome(raw).pods == len(cluster.created_pods)


def test_a_summary_is_median_and_interval() -> None:
    outcomes = [Outcome(3600.0 * i, 100.0 * i, i, i, 2, (), "TrialsCompleted") for i in range(1, 12)]
    found = summary(outcomes, gpus_per_pod=2)
    assert found.gpu_hours == Spread(pytest.approx(12.0), pytest.approx(2.4), pytest.approx(21.6))
    assert found.wall_seconds.text(lambda s: f"{s:.0f} s") == "600 s (120 s to 1080 s)"
    assert found.as_json()["endings"] == {"TrialsCompleted": 11}


def test_an_interval_that_says_nothing_is_not_shown() -> None:
    assert Spread.of([100.0, 100.5, 99.9]).text(lambda v: f"{v:.1f}") == "100.0"
