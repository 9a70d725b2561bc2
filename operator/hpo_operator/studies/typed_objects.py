"""A study's objects for what computes with them: typed for a replay, or as the engine sees them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from hpo_operator.api.errors import InvalidObject
from hpo_operator.api.parse import parse_study
from hpo_operator.api.study import Study
from hpo_operator.api.trial import HpoTrial
from hpo_operator.mistakes import Mistake
from hpo_operator.reconcile.manual_trials import owned_and_strays
from hpo_operator.reconcile.readings import read_trials
from hpo_operator.report.stored_study import StoredStudy, understood
from hpo_operator.studies.objects import StudyObjects
from hpo_operator.studies.stored_objects import Source


@dataclass(frozen=True)
class TypedStudy:
    """A study with its trials in the order of their numbers."""

    study: Study
    trials: tuple[HpoTrial, ...]


def typed_study(source: Source, target: str) -> TypedStudy:
    """Complete: nothing of it is left out.

    Raises:
        Mistake: it is not there, or something about it cannot be read.
    """
    found = source.read(target)
    try:
        parsed = parse_study(found.study)
        read, broken = read_trials(parsed, owned_and_strays(found.study, found.trials)[0])
    except InvalidObject as error:
        raise Mistake(f"{found.where}: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise Mistake(f"{found.where}: expected objects that the operator wrote, found others ({error})") from None
    if broken:
        raise Mistake(f"{found.where}: {'; '.join(map(str, broken))}")
    return TypedStudy(parsed, tuple(each.trial for each in read))


def engine_view(found: StudyObjects) -> StoredStudy:
    """As the engine sees it; trials that it cannot read are left out and told of. Raises Mistake: its spec is none."""
    try:
        return understood(found.study, found.trials, datetime.now(UTC))
    except InvalidObject as error:
        raise Mistake(f"{found.name}: {error}") from None
