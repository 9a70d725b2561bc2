"""What an earlier study tells of times: of its trials' own clocks, and of its Pods.

Of a Pod's time some is spent before training, importing and loading, and the rest on units of the resource:
T = c + u s(x), with u units trained and s(x) the seconds of one with configuration x.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpo_engine.space import Space
from hpo_engine.trial import Parameters
from hpo_operator.api import engine_study
from hpo_operator.api.study import Study, StudySpec
from hpo_operator.api.trial import HpoTrial
from hpo_operator.manifests.names import RUNG_LABEL, TRIAL_LABEL
from hpo_operator.reconcile import clock
from hpo_operator.reconcile.pod_facts import PodState, gpu_count, read_pod

Raw = Mapping[str, Any]
START_SECONDS = 2.0
"""From a Pod's creation to its start, with the image on the node."""


class NoTimesError(ValueError):
    """An earlier study says nothing about what this one costs; the message says why."""


@dataclass(frozen=True)
class Timed:
    """The Pod of one rung: ``units`` it trained, ``seconds`` it says it took. ``trial`` is an index."""

    trial: int
    units: int
    seconds: float


@dataclass(frozen=True)
class Timings:
    """At least one of ``timed``, with the ``parameters`` of its trial.

    ``unreported``: seconds of a Pod that its trainer does not count. ``start_seconds``: from a Pod's creation to its
    start. ``whole``: there is no fidelity, so that what is timed are trials.
    """

    space: Space
    parameters: Mapping[int, Parameters]
    timed: tuple[Timed, ...]
    unreported: float
    start_seconds: float
    whole: bool


def timings_of(earlier: Study, trials: Sequence[HpoTrial], pods: Sequence[Raw], wanted: StudySpec) -> Timings:
    """From the stored objects of a study.

    Raises:
        NoTimesError: it measured no times, or those of another resource than the ``wanted`` study's.
    """
    _require_same_resource(earlier.spec, wanted)
    resumes = earlier.spec.trainer.checkpoints is not None
    timed = [one for trial in trials for one in _timed(trial, resumes)]
    if not timed:
        raise NoTimesError("no trial of it has measured how long it took")
    known = {one.trial for one in timed}
    texts = {trial.spec.index: trial.spec.parameters for trial in trials if trial.spec.index in known}
    return Timings(
        engine_study.engine_study(earlier.spec).space,
        {index: engine_study.from_text(earlier.spec, text) for index, text in texts.items()},
        tuple(timed),
        _unreported(earlier, trials, pods),
        _start_seconds(pods),
        earlier.spec.fidelity is None,
    )


def _require_same_resource(earlier: StudySpec, wanted: StudySpec) -> None:
    then, now = (spec.fidelity.resource if spec.fidelity else "" for spec in (earlier, wanted))
    if then != now:
        shown = [f"seconds per unit of {r}" if r else "seconds per trial" for r in (then, now)]
        raise NoTimesError(f"it tells {shown[0]}, and this study needs {shown[1]}; give --seconds-per-epoch instead")


def _timed(trial: HpoTrial, resumes: bool) -> list[Timed]:
    found, before = [], 0
    for m in sorted(trial.status.measurements, key=lambda m: m.resource):
        if m.seconds is not None and m.seconds > 0:
            found.append(Timed(trial.spec.index, max(1, m.resource - before), m.seconds))
        before = m.resource if resumes else 0
    return found


def _unreported(earlier: Study, trials: Sequence[HpoTrial], pods: Sequence[Raw]) -> float:
    """Mean seconds of a measured Pod that its trainer does not count: before it looked at the clock first."""
    said = {(t.name, m.rung): m.seconds for t in trials for m in t.status.measurements if m.seconds is not None}
    beyond = [whole - said[key] for key, whole in _pod_seconds(pods).items() if key in said]
    if not beyond:
        template = earlier.spec.trainer.pod_template
        limits = earlier.spec.trainer.resources.dump()
        gpus = gpu_count(template["spec"] if template else {"containers": [{"resources": limits}]})
        whole = [t for t in trials if t.status.measurements and not t.status.interruptions and t.status.gpu_seconds]
        beyond = [
            (t.status.gpu_seconds / gpus - sum(m.seconds or 0.0 for m in t.status.measurements))
            / len(t.status.measurements)
            for t in whole
        ]
    return max(0.0, float(np.mean(beyond))) if beyond else 0.0


def _pod_seconds(pods: Sequence[Raw]) -> dict[tuple[str, int], float]:
    """By trial and rung, how long the Pod that ended well ran; whole seconds, too little as often as too much."""
    found = {}
    for raw in pods:
        facts, labels = read_pod(raw), raw["metadata"].get("labels") or {}
        if facts.state is PodState.SUCCEEDED and TRIAL_LABEL in labels:
            found[labels[TRIAL_LABEL], int(labels[RUNG_LABEL])] = clock.seconds_between(facts.started, facts.finished)
    return found


def _start_seconds(pods: Sequence[Raw]) -> float:
    waited = [
        clock.seconds_between(raw["metadata"].get("creationTimestamp"), facts.started)
        for raw in pods
        if (facts := read_pod(raw)).started is not None
    ]
    return float(np.mean(waited)) if waited else START_SECONDS
