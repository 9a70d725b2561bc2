"""Objects that were read before are not read again: of thousands of trials few change from one decision to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hpo_engine.memory import Memory
from hpo_operator.api import engine_study
from hpo_operator.api.errors import InvalidObject, SpecError
from hpo_operator.api.parse import parse_trial
from hpo_operator.api.study import Study
from hpo_operator.api.trial import HpoTrial
from hpo_operator.manifests import names
from hpo_operator.reconcile.snapshot import Raw

T = TypeVar("T")


def read_each(
    memory: Memory | None, name: str, version: object, raws: Sequence[Raw], read: Callable[[Raw], T]
) -> list[T]:
    """``read(raw)`` of each. What the memory holds under ``name`` of the very same object is not read again.

    ``version``: what ``read`` depends on beside the object; with another one everything is read anew.
    """
    last: Any = memory.last(name) if memory is not None else None
    before = last[1] if last is not None and last[0] == version else {}
    known: dict[int, tuple[Raw, T]] = {}
    for raw in raws:
        kept = before.get(id(raw))  # it holds the object, so that no other one can have its id
        known[id(raw)] = (raw, kept[1] if kept is not None else read(raw))
    if memory is not None:
        memory.keep(name, (version, known))
    return [value for _, value in known.values()]


def read_trials(
    study: Study, raws: Sequence[Raw], memory: Memory | None = None
) -> tuple[list[HpoTrial], list[SpecError]]:
    """The trials in the order of their numbers, and what is wrong with those that cannot be read."""
    found = read_each(memory, "read trials", (study.uid, study.generation), raws, lambda raw: _read_trial(study, raw))
    trials = [read for read in found if isinstance(read, HpoTrial)]
    errors = [error for read in found if not isinstance(read, HpoTrial) for error in read]
    return sorted(trials, key=lambda trial: trial.spec.index), errors


def _read_trial(study: Study, raw: Raw) -> HpoTrial | list[SpecError]:
    name = raw["metadata"]["name"]
    try:
        trial = parse_trial(raw)
        engine_study.from_text(study.spec, trial.spec.parameters)
        if name != names.trial_name(study.name, trial.spec.index):
            raise ValueError(f"spec.index: expected the number in the trial's name, found {trial.spec.index}")
    except InvalidObject as error:
        return [SpecError(f"hpotrial/{name}: {e.path}", e.message) for e in error.errors]
    except ValueError as error:
        return [SpecError(f"hpotrial/{name}", str(error))]
    return trial
