"""The two CustomResourceDefinitions, generated from the typed objects. ``make manifests`` writes them to ``crds/``."""

from __future__ import annotations

from typing import Any

from hpo_operator.api.schema import Schema, structural_schema
from hpo_operator.api.study import GROUP, IMMUTABLE, VERSION, StudySpec
from hpo_operator.api.study_status import StudyStatus
from hpo_operator.api.trial import TRIAL_IMMUTABLE, TrialSpec, TrialStatus

MAX_STUDY_NAME = 63 - len("-99999-r99-a999")
"""A Pod's name is the study's and this suffix, and must fit a label value (63)."""

Column = tuple[str, str, str, int, str]  # name, type, JSONPath, priority, description

STUDY_COLUMNS: tuple[Column, ...] = (
    ("Algorithm", "string", ".status.algorithm", 0, "Sampler and fidelity scheduler."),
    ("Best", "number", ".status.best.value", 0, "Objective of the incumbent."),
    ("Trials", "string", ".status.progress", 0, "Trials that ended, of the budget."),
    ("Running", "integer", ".status.trials.running", 0, "Trials that train now."),
    ("Failed", "integer", ".status.trials.failed", 0, "Trials that failed for good."),
    ("Reason", "string", ".status.reason", 0, "Why the study stands where it does."),
    ("Age", "date", ".metadata.creationTimestamp", 0, "Time since the study was created."),
    ("Metric", "string", ".spec.objective.metric", 1, "What is optimised."),
    ("Best-Trial", "string", ".status.best.trial", 1, "Name of the incumbent."),
    ("Pending", "integer", ".status.trials.pending", 1, "Trials that wait for a Pod, a node or an image."),
    ("Parallelism", "integer", ".spec.budget.parallelism", 1, "Trials that may run at once."),
    ("GPU-Hours", "number", ".status.gpuHours", 1, "GPU-hours used."),
    ("Message", "string", ".status.message", 1, "The reason in a sentence."),
)

TRIAL_COLUMNS: tuple[Column, ...] = (
    ("Phase", "string", ".status.phase", 0, "Pending, Running, Waiting, Succeeded, Failed or Stopped."),
    ("Objective", "number", ".status.objective", 0, "Latest value of the objective."),
    ("Resource", "integer", ".status.resource", 0, "Fidelity of that value."),
    ("Rung", "integer", ".spec.rung", 0, "Promotions so far."),
    ("Reason", "string", ".status.reason", 0, "Why the trial stands where it does."),
    ("Age", "date", ".metadata.creationTimestamp", 0, "Time since the trial was created."),
    ("Study", "string", ".spec.study", 1, "Its study."),
    ("Pod", "string", ".status.pod", 1, "Its current or last Pod."),
    ("Interruptions", "integer", ".status.interruptions", 1, "Attempts lost to preemption and the like."),
    ("Message", "string", ".status.message", 1, "The reason in a sentence."),
)


def study_crd() -> dict[str, Any]:
    """The CRD of HPOStudy."""
    spec = structural_schema(StudySpec)
    spec.setdefault("x-kubernetes-validations", []).extend(_immutable(IMMUTABLE, spec["required"]))
    root_rules = [
        {
            "rule": f"size(self.metadata.name) <= {MAX_STUDY_NAME}",
            "message": f"expected a name of at most {MAX_STUDY_NAME} characters, so that the names of its Pods fit",
        }
    ]
    return _crd(
        "HPOStudy",
        "hpostudies",
        "hpo",
        "A hyper-parameter study: the search space, the algorithm, the budget and the trainer; its status holds the results.",
        spec,
        structural_schema(StudyStatus),
        STUDY_COLUMNS,
        root_rules,
        {
            "specReplicasPath": ".spec.budget.parallelism",
            "statusReplicasPath": ".status.trials.running",
            "labelSelectorPath": ".status.selector",
        },
    )


def trial_crd() -> dict[str, Any]:
    """The CRD of HPOTrial."""
    spec = structural_schema(TrialSpec)
    spec.setdefault("x-kubernetes-validations", []).extend(
        _immutable(TRIAL_IMMUTABLE, (*spec["required"], "parameters"))
    )
    return _crd(
        "HPOTrial",
        "hpotrials",
        "hpot",
        "One configuration of a study, how far it shall be trained, and what came of it.",
        spec,
        structural_schema(TrialStatus),
        TRIAL_COLUMNS,
        [],
        None,
    )


def _immutable(sections: tuple[str, ...], always_there: Any) -> list[dict[str, str]]:
    """Transition rules: such a section may neither change, nor come, nor go."""
    rules = []
    for name in sections:
        same = f"self.{name} == oldSelf.{name}"
        if name not in always_there and name not in ("algorithm", "seed"):
            same = f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || {same})"
        rules.append(
            {"rule": same, "message": f"{name} may not change once the object exists; create a new study instead"}
        )
    return rules


def _crd(
    kind: str,
    plural: str,
    short: str,
    description: str,
    spec: Schema,
    status: Schema,
    columns: tuple[Column, ...],
    root_rules: list[dict[str, str]],
    scale: dict[str, str] | None,
) -> dict[str, Any]:
    root: Schema = {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}"},
            "kind": {"type": "string", "description": kind},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
    }
    if root_rules:
        root["x-kubernetes-validations"] = root_rules
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": root},
        "subresources": {"status": {}} | ({"scale": scale} if scale else {}),
        "additionalPrinterColumns": [
            {"name": name, "type": kind_, "jsonPath": path, "priority": priority, "description": text}
            for name, kind_, path, priority, text in columns
        ],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}", "labels": {"app.kubernetes.io/name": "hpo-operator"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["automl"],
            },
            "versions": [version],
        },
    }
