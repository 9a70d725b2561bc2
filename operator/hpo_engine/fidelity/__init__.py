"""Schedulers by the name that a study gives them."""

from __future__ import annotations

from hpo_engine.fidelity.base import Scheduler, SingleRung
from hpo_engine.fidelity.hyperband import Hyperband
from hpo_engine.study import Study


def build_scheduler(study: Study) -> Scheduler:
    """The study's scheduler."""
    if study.scheduler == "None":
        return SingleRung(study.fidelity)
    assert study.fidelity is not None  # Study refuses schedulers without one
    return Hyperband(study.fidelity, study.objective, study.trials)
