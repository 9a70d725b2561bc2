"""Objects that were read before are not read again: of thousands of trials few change from one decision to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from hpo_engine.memory import Memory
from hpo_engine.trial import Parameters
from hpo_operator.api import engine_study
from hpo_operator.api.errors import InvalidObject, SpecError
from hpo_operator.api.parse import parse_study, parse_study_status, parse_trial
from hpo_operator.api.study import Study
from hpo_operator.api.trial import HpoTrial
from hpo_operator.manifests import names
from hpo_operator.reconcile.record import least_decision
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


@dataclass(frozen=True, slots=True)
class TrialReading:
    """A trial, its parameters' values as the engine knows them, and the number that no later decision may be below."""

    trial: HpoTrial
    values: Parameters
    least: int


def read_study(raw: Raw, memory: Memory | None) -> Study:
    """The study; of one whose status alone is new, only that is parsed. Raises InvalidObject."""
    last: Any = memory.last("read study") if memory is not None else None
    if last is None or not _is_same_spec(last[0], raw):
        study = parse_study(raw)
    elif last[0] is raw:
        return cast(Study, last[1])
    else:
        study = last[1].model_copy(update={"status": parse_study_status(raw)})
    if memory is not None:
        memory.keep("read study", (raw, study))
    return study


def _is_same_spec(old: Raw, new: Raw) -> bool:
    """Whether the objects are equal but for the status, and for metadata that nobody reads."""
    read = ("name", "namespace", "uid", "generation")
    return {key: value for key, value in old.items() if key not in ("metadata", "status")} == {
        key: value for key, value in new.items() if key not in ("metadata", "status")
    } and all(old["metadata"].get(key) == new["metadata"].get(key) for key in read)


def read_trials(
    study: Study, raws: Sequence[Raw], memory: Memory | None = None
) -> tuple[list[TrialReading], list[SpecError]]:
    """The trials in the order of their numbers, and what is wrong with those that cannot be read."""
    found = read_each(memory, "read trials", (study.uid, study.generation), raws, lambda raw: _read_trial(study, raw))
    trials = [read for read in found if isinstance(read, TrialReading)]
    errors = [error for read in found if not isinstance(read, TrialReading) for error in read]
    return sorted(trials, key=lambda read: read.trial.spec.index), errors


def _read_trial(study: Study, raw: Raw) -> TrialReading | list[SpecError]:
    name = raw["metadata"]["name"]
    try:
        trial = parse_trial(raw)
        values = engine_study.from_text(study.spec, trial.spec.parameters)
        if name != names.trial_name(study.name, trial.spec.index):
            raise ValueError(f"spec.index: expected the number in the trial's name, found {trial.spec.index}")
    except InvalidObject as error:
        return [SpecError(f"hpotrial/{name}: {e.path}", e.message) for e in error.errors]
    except ValueError as error:
        return [SpecError(f"hpotrial/{name}", str(error))]
    return TrialReading(trial, values, least_decision(trial))
