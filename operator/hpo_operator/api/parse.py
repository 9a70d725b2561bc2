"""Dicts from outside into typed objects, once, at the edge; every mistake with its full path.

Three layers judge a study, and all are reported together where that is possible: the types (pydantic), the rules
beside the types (the Python twins of the CEL rules), and the engine, which knows spaces and fidelities.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from hpo_engine.errors import StudyError
from hpo_operator.api import engine_study, task_rules
from hpo_operator.api.crd import MAX_STUDY_NAME
from hpo_operator.api.errors import InvalidObject, SpecError
from hpo_operator.api.model import ApiModel
from hpo_operator.api.plain import require_plain
from hpo_operator.api.pod_template import pod_template_errors
from hpo_operator.api.sentences import parse_model
from hpo_operator.api.study import GROUP, VERSION, Study, StudySpec
from hpo_operator.api.study_status import StudyStatus
from hpo_operator.api.trial import HpoTrial, TrialSpec, TrialStatus
from hpo_operator.api.words import clip, show

Raw = Mapping[str, Any]


def parse_study(raw: Raw) -> Study:
    """An HPOStudy as the API server (or a file) holds it.

    Raises:
        InvalidObject: with every error found, paths beginning at ``spec`` (or ``metadata``, ``kind``).
    """
    require_plain(raw)
    errors = list(_envelope_errors(raw))
    spec = parse_model(StudySpec, raw["spec"], "spec", errors) if "spec" in raw else None
    if spec is not None:
        errors.extend(study_errors(spec))
    if errors or spec is None:
        raise InvalidObject(sorted(set(errors)))
    meta = raw["metadata"]
    return Study(
        name=meta["name"],
        namespace=meta.get("namespace", "default"),
        uid=meta.get("uid", ""),
        generation=meta.get("generation", 1),
        spec=spec,
        status=parse_study_status(raw),
    )


def study_errors(spec: StudySpec) -> list[SpecError]:
    """What is wrong with a spec whose types are right."""
    errors: list[SpecError] = []
    if spec.trainer.pod_template is not None:
        errors.extend(pod_template_errors(spec.trainer.pod_template, "spec.trainer.podTemplate"))
    broken = list(_rule_errors(spec, "spec"))
    if broken:  # the engine and the tasks rely on the rules
        return errors + broken
    try:
        engine_study.engine_study(spec)
    except StudyError as error:
        errors.append(SpecError(f"spec.{error.field}", error.message))
    return errors + list(task_rules.parameter_errors(spec))


def parse_study_status(raw: Raw) -> StudyStatus:
    """The status; one that this version cannot read counts as empty, since it is folded anew from the trials."""
    try:
        return StudyStatus.model_validate(raw.get("status") or {})
    except ValidationError:
        return StudyStatus()


def parse_trial_status(raw: Raw) -> TrialStatus:
    """The status of a trial; one that cannot be read counts as empty."""
    try:
        return TrialStatus.model_validate(raw.get("status") or {})
    except ValidationError:
        return TrialStatus()


def parse_trial(raw: Raw) -> HpoTrial:
    """An HPOTrial as the API server holds it.

    Raises:
        InvalidObject: a trial that was written or edited by hand into something unreadable.
    """
    errors = list(_metadata_errors(raw.get("metadata")))
    spec = parse_model(TrialSpec, raw.get("spec"), "spec", errors)
    status = parse_model(TrialStatus, raw.get("status") or {}, "status", errors)
    if spec is not None:
        errors.extend(_rule_errors(spec, "spec"))
    if errors or spec is None or status is None:
        raise InvalidObject(sorted(set(errors)))
    meta = raw["metadata"]
    return HpoTrial(
        name=meta["name"], uid=meta.get("uid", ""), generation=meta.get("generation", 1), spec=spec, status=status
    )


def _envelope_errors(raw: Raw) -> Iterator[SpecError]:
    for key, expected in (("apiVersion", f"{GROUP}/{VERSION}"), ("kind", "HPOStudy")):
        if raw.get(key) != expected:
            yield SpecError(key, f"expected {expected}, found {show(raw.get(key))}")
    for key in raw:
        if key not in ("apiVersion", "kind", "metadata", "spec", "status"):
            yield SpecError(clip(key), "unknown field; expected apiVersion, kind, metadata, spec")
    if "spec" not in raw:
        yield SpecError("spec", "required, but missing")
    yield from _metadata_errors(raw.get("metadata"))
    if isinstance(meta := raw.get("metadata"), Mapping):
        yield from _name_errors(meta.get("name"))


def _metadata_errors(meta: object) -> Iterator[SpecError]:
    """What of the metadata is read here; an API server has judged it already, a file has not been judged."""
    if not isinstance(meta, Mapping):
        yield SpecError("metadata", f"expected an object with a name, found {show(meta)}")
        return
    if not isinstance(meta.get("name"), str) or not meta["name"]:
        yield SpecError("metadata.name", f"expected a name, found {show(meta.get('name'))}")
    for key, kind, expected in (
        ("namespace", str, "text"),
        ("uid", str, "text"),
        ("generation", int, "a whole number"),
    ):
        if key in meta and (not isinstance(meta[key], kind) or isinstance(meta[key], bool)):
            yield SpecError(f"metadata.{key}", f"expected {expected}, found {show(meta[key])}")


def _name_errors(name: object) -> Iterator[SpecError]:
    if not isinstance(name, str):
        return
    if len(name) > MAX_STUDY_NAME:
        yield SpecError(
            "metadata.name",
            f"expected at most {MAX_STUDY_NAME} characters, so that the names of its Pods fit, found {len(name)}",
        )
    elif name and not re.fullmatch("[a-z0-9]([-a-z0-9]*[a-z0-9])?", name):
        yield SpecError("metadata.name", f"expected lower-case letters, digits and inner dashes, found {show(name)}")


def _rule_errors(value: Any, path: str) -> Iterator[SpecError]:
    """The rules of ``value`` and of everything inside it."""
    if isinstance(value, ApiModel):
        for rule in value.rules:
            if not rule.holds(value):
                yield SpecError(rule.path(value, path), rule.sentence(value))
        for name, field in type(value).model_fields.items():
            yield from _rule_errors(getattr(value, name), f"{path}.{field.alias or name}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _rule_errors(item, f"{path}[{i}]")
