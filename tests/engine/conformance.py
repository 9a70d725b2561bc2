"""What every combination of sampler and scheduler must do. A test class inherits it and names the combination.

The fixtures are small on purpose: each case is a whole study, simulated. ``Cluster.perform`` insists on what holds for
each single plan: no more running than slots, promotions of paused trials only, one rung up, to more of the resource.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from engine.studies import TINY, Cluster, Loss, learning_curve, make_study, tiny
from hpo_engine.memory import Memory
from hpo_engine.planner import Plan, Promotion, Suggestion, plan
from hpo_engine.space import Space
from hpo_engine.study import SamplerSettings, SchedulerName, Study
from hpo_engine.trial import Measurement, Trial, TrialState

ENDED = (TrialState.REPORTED, TrialState.STOPPED)


def every_third(index: int) -> bool:
    return index % 3 == 1


class PlanConformance:
    sampler: SamplerSettings
    scheduler: SchedulerName
    spaces: Sequence[tuple[Space, Loss]]
    """The last one is conditional, and larger than any study here."""
    trials: int = 12
    """Of a study; more than the sampler's initial ones."""

    def study(self, space: Space, trials: int | None = None, seed: int = 0) -> Study:
        study = make_study(space, self.sampler.name, self.scheduler, trials or self.trials, seed)
        return replace(study, sampler=self.sampler)

    def cluster(
        self, space: Space, loss: Loss, parallelism: int = 2, trials: int | None = None, seed: int = 0
    ) -> Cluster:
        study = self.study(space, trials, seed)
        return Cluster(study, learning_curve(loss), parallelism, fails=every_third, memory=Memory())

    def test_same_arguments_same_plan_and_a_memory_changes_nothing(self) -> None:
        """One process that remembers, and one that is started anew before every plan."""
        for space, loss in self.spaces:
            one, two = (self.cluster(space, loss) for _ in range(2))
            two.memory = None
            assert one.run(14).plans == two.run(14).plans

    def test_seeds_differ(self) -> None:
        for space, loss in self.spaces:
            one, two = (self.cluster(space, loss, seed=seed).run(1) for seed in (1, 2))
            assert one.plans[0].start[0].parameters != two.plans[0].start[0].parameters

    def test_shuffling_the_trials_changes_nothing(self) -> None:
        space, loss = self.spaces[-1]
        cluster = self.cluster(space, loss, parallelism=3).run(self.trials // 2 + 2)
        trials = list(cluster.trials.values())
        expected = plan(cluster.study, trials, 2)
        for seed in range(2):
            random.Random(seed).shuffle(trials)
            assert plan(cluster.study, trials, 2) == expected

    @pytest.mark.parametrize("parallelism", [1, 3, 64])
    def test_a_study_runs_to_its_end_and_planning_again_yields_nothing_new(self, parallelism: int) -> None:
        for space, loss in self.spaces:
            cluster = self.cluster(space, loss, parallelism)
            for _ in range(100):
                step = cluster.plan()
                if step.done:
                    break
                cluster.perform(step)
                again = cluster.plan()
                if not step.stop:  # whose slots are free now
                    assert (again.start, again.promote, again.stop) == ((), (), ())
                if cluster.running():
                    cluster.go_on(cluster.running()[-1])
            assert step.done
            assert cluster.plan() == step
            self.check_all_was_tried(cluster)

    def check_all_was_tried(self, cluster: Cluster) -> None:
        """Every index once; parameters that are active and within bounds, and never twice the same."""
        space = cluster.study.space
        assert sorted(cluster.trials) == list(range(cluster.study.trials))
        assert len({space.key(trial.parameters) for trial in cluster.trials.values()}) == cluster.study.trials
        for trial in cluster.trials.values():
            space.check(trial.parameters)
            assert trial.state in ((TrialState.FAILED,) if every_third(trial.index) else ENDED)

    def test_one_by_one_is_the_same_as_all_at_once(self) -> None:
        """A suggestion depends on the trials alone, so it cannot matter that a process was restarted in between."""
        for space, loss in self.spaces:
            cluster = self.cluster(space, loss).run(self.trials // 2)
            cluster.perform(cluster.plan())
            for index in cluster.running():
                cluster.end(index)
            cluster.parallelism = 3
            at_once = plan(cluster.study, tuple(cluster.trials.values()), 3)
            starts: list[Suggestion] = []
            promotions: list[Promotion] = []
            for _ in range(3):
                reloaded = [replace(trial, parameters=dict(trial.parameters)) for trial in cluster.trials.values()]
                step = plan(cluster.study, reloaded, 1)
                starts += step.start
                promotions += step.promote
                cluster.perform(step)
            assert (tuple(starts), tuple(promotions)) == (at_once.start, at_once.promote)

    def test_pending_trials_are_not_suggested_again(self) -> None:
        space, _ = self.spaces[-1]
        step = plan(self.study(space, trials=64), (), 64)
        assert [s.index for s in step.start] == list(range(64))
        assert len({space.key(s.parameters) for s in step.start}) == 64
        assert plan(self.study(space, trials=64), (), 0) == Plan()

    @pytest.mark.parametrize("parallelism", [1, 64])
    def test_a_tiny_space_is_tried_completely_and_no_more(self, parallelism: int) -> None:
        cluster = self.cluster(TINY, tiny, parallelism, trials=30).run()
        keys = [TINY.key(trial.parameters) for trial in cluster.trials.values()]
        assert sorted(keys) == sorted(TINY.key(c) for c in TINY.configurations())
        assert cluster.plans[-1].done
        assert cluster.plans[-1].notes == ("all 8 configurations of the space were tried",)

    def test_everything_may_fail(self) -> None:
        cluster = self.cluster(*self.spaces[-1])
        cluster.fails = lambda index: True
        cluster.run()
        assert len(cluster.trials) == self.trials
        assert cluster.plans[-1].done

    def test_gaps_are_filled_from_the_lowest_index(self) -> None:
        cluster = self.cluster(*self.spaces[-1], parallelism=4).run(self.trials // 2 + 2)
        for index in [1, 3]:
            cluster.trials.pop(index)
        promoted = len(plan(cluster.study, tuple(cluster.trials.values()), 3).promote)
        step = plan(cluster.study, tuple(cluster.trials.values()), 3 + promoted)
        assert [s.index for s in step.start][:2] == [1, 3]

    def test_a_stranger_among_the_trials_is_noted_and_survived(self) -> None:
        space, loss = self.spaces[-1]
        cluster = self.cluster(space, loss).run(self.trials // 2)
        stranger = Trial(self.trials - 1, {"optimizer": "LBFGS", "rank": 3}, TrialState.RUNNING, resource=1)
        step = plan(cluster.study, (*cluster.trials.values(), stranger), 2)
        said = f"trial {self.trials - 1} is left out of the search: parameters.rank: expected a parameter"
        assert step.notes[0].startswith(said)
        for s in step.start:
            space.check(s.parameters)

    def test_values_that_are_no_numbers_are_survived(self) -> None:
        space, loss = self.spaces[0]
        cluster = self.cluster(space, loss)
        usual, name = cluster.loss, space.parameters[0].name
        middle = float(space.parameters[0].decode(0.5))
        cluster.loss = lambda p, r: math.nan if float(p[name]) > middle else usual(p, r)
        cluster.run()
        assert len(cluster.trials) == self.trials
        assert any(math.isnan(m.value) for trial in cluster.trials.values() for m in trial.measurements)


class ManyObservations(PlanConformance):
    """Once for each sampler, as the scheduler has no say in it."""

    def test_thousands_of_observations(self) -> None:
        space, loss = self.spaces[-1]
        cluster = self.cluster(space, loss, parallelism=3, trials=3003)
        resource = 0 if cluster.study.fidelity is None else cluster.study.fidelity.maximum
        points = np.random.default_rng(0).random((20_000, space.dimension))
        different = {space.key(parameters): parameters for parameters in map(space.decode, points)}
        cluster.trials = {
            index: Trial(
                index,
                parameters,
                TrialState.REPORTED,
                resource=resource,
                measurements=(Measurement(resource, loss(parameters, resource)),),
            )
            for index, parameters in enumerate(list(different.values())[:3000])
        }
        step = cluster.plan()
        assert [s.index for s in step.start] == [3000, 3001, 3002]
        known = {space.key(trial.parameters) for trial in cluster.trials.values()}
        assert len(known | {space.key(s.parameters) for s in step.start}) == 3003
        for s in step.start:
            space.check(s.parameters)
