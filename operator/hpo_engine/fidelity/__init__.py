"""Schedulers by the name that a study gives them."""

from __future__ import annotations

from hpo_engine.fidelity.asha import ASHA
from hpo_engine.fidelity.base import LowestRung, Scheduler, SingleRung
from hpo_engine.fidelity.brackets import Table, hyperband_brackets, ladder
from hpo_engine.fidelity.hyperband import Hyperband
from hpo_engine.fidelity.stopping import ASHAStopping, MedianStopping
from hpo_engine.study import Study

FINEST = 48
"""Median stopping looks at a running trial at most about this often, so that what it saw can be kept whole."""


def build_scheduler(study: Study) -> Scheduler:
    """The study's scheduler."""
    if study.scheduler == "None":
        return SingleRung(study.fidelity)
    assert study.fidelity is not None  # Study refuses schedulers without one
    brackets, eta = hyperband_brackets(study.fidelity), study.fidelity.eta
    match study.scheduler:
        case "SuccessiveHalving":
            return Hyperband(Table(brackets[:1]), eta, study.objective, study.trials)
        case "Hyperband":
            return Hyperband(Table(brackets), eta, study.objective, study.trials)
        case "ASHA":
            return ASHA(Table(brackets[:1]), eta, study.objective, study.trials)
        case "AsyncHyperband":
            return ASHA(Table(brackets), eta, study.objective, study.trials)
        case "ASHAStopping":
            return ASHAStopping(study.fidelity, study.objective, rung_levels(study)[:-1])
        case "MedianStopping":
            return MedianStopping(study.fidelity, study.objective)
        case "FreezeThaw":
            return LowestRung(ladder(study.fidelity)[0])


def rung_levels(study: Study) -> tuple[int, ...]:
    """The resources, ascending, at which trials of this study are compared; empty without a fidelity."""
    if study.fidelity is None:
        return ()
    if study.scheduler == "None":
        return (study.fidelity.maximum,)
    return tuple(rung.resource for rung in hyperband_brackets(study.fidelity)[0].rungs)


def watched_levels(study: Study) -> tuple[int, ...]:
    """The resources, ascending, at which the scheduler looks at trials that still run; empty: at none."""
    if study.scheduler == "ASHAStopping":
        return rung_levels(study)
    if study.scheduler != "MedianStopping":
        return ()
    assert study.fidelity is not None  # Study refuses the scheduler without one
    most = study.fidelity.maximum
    stride = -(-most // FINEST)
    return tuple(sorted({*range(stride, most + 1, stride), *rung_levels(study)}))
