"""What a worker performs can be decided again: whatever a step was decided from is stored before the step is."""

from __future__ import annotations

from asyncio import get_running_loop, sleep
from datetime import datetime
from random import Random
from typing import Any

import pytest

from hpo_operator.api.parse import parse_study
from hpo_operator.kube.errors import ClusterError, TemporaryError
from hpo_operator.reconcile.actions import Action, CreateTrial, PatchTrialSpec, PutTrialStatus
from hpo_operator.reconcile.readings import read_trials
from hpo_operator.reconcile.record import observed_by
from hpo_operator.reconcile.replay import replay
from kube.in_memory import InMemoryCluster, served, simulate
from reconcile.simulation import Raw
from reconcile.studies import HYPERBAND, made


class SlowCluster(InMemoryCluster):
    """Each request takes its time. ``put``: when a trial's news were first stored, by the trial and the decision that
    knew them; ``stepped``: when the first step of a decision that was stored had been asked for."""

    def __init__(self, raw: Raw, chance: Random) -> None:
        super().__init__(raw)
        self.put: dict[tuple[str, int], float] = {}
        self.stepped: dict[int, float] = {}
        self._chance = chance

    async def perform(self, study: Any, action: Action, now: datetime) -> None:
        asked = get_running_loop().time()
        await sleep(self._chance.uniform(0, 0.1))
        await super().perform(study, action, now)
        for number in steps_of(action):
            self.stepped[number] = min(asked, self.stepped.get(number, asked))
        if isinstance(action, PutTrialStatus):
            for number in observed_by(action.status):
                self.put.setdefault((action.name, number), get_running_loop().time())


def steps_of(action: Action) -> list[int]:
    match action:
        case CreateTrial(manifest):
            return [step["decision"] for step in manifest["spec"]["steps"]]
        case PatchTrialSpec(_, changes):
            return [step["decision"] for step in changes.get("steps", [])][-1:]
        case _:
            return []


@pytest.mark.parametrize("seed", range(6))
def test_what_a_step_was_decided_from_is_stored_before_it(seed: int) -> None:
    chance = Random(seed)
    cluster = SlowCluster(made(13, 5, HYPERBAND), chance)

    def fault(_: Action) -> ClusterError | None:
        return TemporaryError("no answer") if chance.random() < 0.1 else None

    cluster.fault = fault
    simulate(cluster, served)
    assert cluster.objects.status["phase"] == "Succeeded"
    acted_on = [(name, number) for name, number in cluster.put if number in cluster.stepped]
    assert len(acted_on) > 13
    assert [put for put in acted_on if cluster.put[put] > cluster.stepped[put[1]]] == []
    study = parse_study(cluster.objects.study)
    trials, _ = read_trials(study, tuple(cluster.objects.trials.values()))
    again = replay(study, [read.trial for read in trials])
    assert (again.difference, again.notes) == (None, ())
