"""What every combination of sampler and scheduler must do. A test class inherits it and names the combination.

The fixtures are small on purpose: each case is a whole study, simulated.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from engine.studies import BRANIN, MIXED, TINY, Cluster, Loss, branin, learning_curve, make_study, mixed, tiny
from hpo_engine.planner import Plan, Promotion, Suggestion, plan
from hpo_engine.space import Space
from hpo_engine.study import SamplerName, SchedulerName, Study
from hpo_engine.trial import Trial, TrialState

SPACES: list[tuple[Space, Loss]] = [(BRANIN, branin), (MIXED, mixed)]


def every_third(index: int) -> bool:
    return index % 3 == 1


class PlanConformance:
    sampler: SamplerName
    scheduler: SchedulerName

    def study(self, space: Space, trials: int = 12, seed: int = 0) -> Study:
        return make_study(space, self.sampler, self.scheduler, trials, seed)

    def cluster(self, space: Space, loss: Loss, parallelism: int = 2, trials: int = 12, seed: int = 0) -> Cluster:
        study = self.study(space, trials, seed)
        return Cluster(study, learning_curve(loss), parallelism, fails=every_third)

    @pytest.mark.parametrize("space, loss", SPACES)
    def test_same_arguments_same_plan(self, space: Space, loss: Loss) -> None:
        one, two = (self.cluster(space, loss).run(11) for _ in range(2))
        assert one.plans == two.plans

    @pytest.mark.parametrize("space, loss", SPACES)
    def test_seeds_differ(self, space: Space, loss: Loss) -> None:
        one, two = (self.cluster(space, loss, seed=seed).run(1) for seed in (1, 2))
        assert one.plans[0].start[0].parameters != two.plans[0].start[0].parameters

    @pytest.mark.parametrize("space, loss", SPACES)
    def test_shuffling_the_trials_changes_nothing(self, space: Space, loss: Loss) -> None:
        cluster = self.cluster(space, loss, parallelism=3).run(8)
        trials = list(cluster.trials.values())
        expected = plan(cluster.study, trials, 2)
        for seed in range(2):
            random.Random(seed).shuffle(trials)
            assert plan(cluster.study, trials, 2) == expected

    @pytest.mark.parametrize("space, loss", SPACES)
    @pytest.mark.parametrize("parallelism", [1, 3, 64])
    def test_planning_again_yields_nothing_new(self, space: Space, loss: Loss, parallelism: int) -> None:
        cluster = self.cluster(space, loss, parallelism)
        for _ in range(60):
            step = cluster.plan()
            if step.done:
                break
            cluster.perform(step)
            again = cluster.plan()
            assert (again.start, again.promote, again.stop) == ((), (), ())
            cluster.end(cluster.running()[-1])
        assert step.done
        assert cluster.plan() == step

    @pytest.mark.parametrize("space, loss", SPACES)
    @pytest.mark.parametrize("parallelism", [1, 64])
    def test_a_study_runs_to_its_end(self, space: Space, loss: Loss, parallelism: int) -> None:
        cluster = self.cluster(space, loss, parallelism).run()
        assert sorted(cluster.trials) == list(range(12))
        keys = [space.key(trial.parameters) for trial in cluster.trials.values()]
        assert len(set(keys)) == 12
        for trial in cluster.trials.values():
            space.check(trial.parameters)
            assert trial.state is (TrialState.FAILED if every_third(trial.index) else TrialState.REPORTED)
        assert all(len(p.start) + len(p.promote) <= parallelism for p in cluster.plans)

    @pytest.mark.parametrize("space, loss", SPACES)
    def test_one_by_one_is_the_same_as_all_at_once(self, space: Space, loss: Loss) -> None:
        """A suggestion depends on the trials alone, so it cannot matter that a process was restarted in between."""
        cluster = self.cluster(space, loss).run(8)
        cluster.perform(cluster.plan())
        for index in cluster.running():
            cluster.end(index)
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
        step = plan(self.study(MIXED, trials=64), (), 64)
        assert [s.index for s in step.start] == list(range(64))
        assert len({MIXED.key(s.parameters) for s in step.start}) == 64
        assert plan(self.study(MIXED, trials=64), (), 0) == Plan()

    @pytest.mark.parametrize("parallelism", [1, 3, 64])
    def test_a_tiny_space_is_tried_completely_and_no_more(self, parallelism: int) -> None:
        cluster = self.cluster(TINY, tiny, parallelism, trials=30).run()
        keys = [TINY.key(trial.parameters) for trial in cluster.trials.values()]
        assert sorted(keys) == sorted(TINY.key(c) for c in TINY.configurations())
        assert cluster.plans[-1].done
        assert cluster.plans[-1].notes == ("all 8 configurations of the space were tried",)

    def test_everything_may_fail(self) -> None:
        cluster = self.cluster(MIXED, mixed)
        cluster.fails = lambda index: True
        cluster.run()
        assert len(cluster.trials) == 12
        assert cluster.plans[-1].done

    def test_gaps_are_filled_from_the_lowest_index(self) -> None:
        cluster = self.cluster(MIXED, mixed, parallelism=4).run(9)
        del cluster.trials[2], cluster.trials[5]
        step = plan(replace(cluster.study, scheduler="None"), tuple(cluster.trials.values()), 3)
        assert [s.index for s in step.start][:2] == [2, 5]

    def test_a_stranger_among_the_trials_is_noted_and_survived(self) -> None:
        cluster = self.cluster(MIXED, mixed).run(9)
        stranger = Trial(11, {"learningRate": 7.0, "optimizer": "LBFGS"}, TrialState.RUNNING, resource=1)
        step = plan(cluster.study, (*cluster.trials.values(), stranger), 2)
        assert step.notes[0].startswith(
            "trial 11 is left out of the search: parameters.learningRate: expected a number"
        )
        for s in step.start:
            MIXED.check(s.parameters)

    def test_values_that_are_no_numbers_are_survived(self) -> None:
        cluster = self.cluster(BRANIN, branin)
        usual = cluster.loss
        cluster.loss = lambda p, r: math.nan if float(p["x"]) > 5 else usual(p, r)
        cluster.run()
        assert len(cluster.trials) == 12
