"""A study's objects as they are shown: checked, and what cannot be read is left out and told of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hpo_operator.api.errors import InvalidObject
from hpo_operator.api.parse import parse_trial
from hpo_operator.api.raw import mapping
from hpo_operator.api.study_status import StudyStatus
from hpo_operator.mistakes import Mistake
from hpo_operator.studies.stored_objects import RawObjects, Source

Raw = Mapping[str, Any]


@dataclass(frozen=True)
class StudyObjects:
    """``trials`` by their index. ``folder``: the state of a study that ran here; without it there are no Pods.

    ``notes``: what could not be read and is left out.
    """

    study: Raw
    trials: tuple[Raw, ...] = ()
    pods: tuple[Raw, ...] = ()
    folder: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return str(self.study["metadata"]["name"])

    @property
    def objective(self) -> Raw:
        """As far as the spec has one: a study that was refused is stored, too."""
        return mapping(self.study["spec"].get("objective"))

    @property
    def unit(self) -> str:
        """Of the fidelity; empty without one."""
        return str(mapping(self.study["spec"].get("fidelity")).get("resource", ""))


def find_study(source: Source, target: str) -> StudyObjects:
    """The study that ``target`` means to the source.

    Raises:
        Mistake: there is none, or it cannot be read. Trials that cannot be read are left out.
    """
    return study_objects(source.read(target))


def study_objects(found: RawObjects) -> StudyObjects:
    """The same of objects that were read already. Raises Mistake."""
    checked_study(found.study, found.where)
    trials, notes = [], []
    for item in found.trials:
        try:
            parse_trial(item)
            trials.append(item)
        except InvalidObject as error:
            notes.append(f"{mapping(item.get('metadata')).get('name', 'a trial')} is left out: {error}")
    trials.sort(key=lambda trial: (trial["spec"]["index"], trial["metadata"]["name"]))
    return StudyObjects(found.study, tuple(trials), tuple(found.pods), found.folder, tuple(notes))


def find_studies(source: Source) -> list[StudyObjects]:
    """All studies, without trials. Raises Mistake."""
    studies = source.studies()
    for study in studies:
        checked_study(study, "a study")
    return [StudyObjects(study) for study in studies]


def checked_study(study: Raw, where: str) -> None:
    """Raises Mistake unless it has a name, a spec and a status as the operator writes it."""
    name = mapping(study.get("metadata")).get("name")
    if not isinstance(name, str) or not isinstance(study.get("spec"), dict):
        raise Mistake(f"{where}: expected an HPOStudy with metadata.name and spec, found one without")
    try:
        StudyStatus.model_validate(study.get("status") or {})
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(map(str, ("status", *first["loc"])))
        raise Mistake(f"{where}: {name}: {path}: {first['msg']}") from None
