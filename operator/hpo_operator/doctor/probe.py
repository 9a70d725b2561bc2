"""The Pod of a study's first trial, for a dry run: as the operator would make it, but owned by nobody."""

from __future__ import annotations

from hpo_engine.planner import plan
from hpo_operator.api import engine_study
from hpo_operator.api.parse import parse_study
from hpo_operator.api.study import GROUP, VERSION, Study
from hpo_operator.api.trial import HpoTrial, TrialSpec, TrialStatus
from hpo_operator.doctor.facts import Raw
from hpo_operator.manifests.names import trial_name
from hpo_operator.manifests.pod import PodSettings, pod_manifest

IMAGE = "hpo-trainer:latest"
UID = "00000000-0000-0000-0000-000000000000"
"""A dry run pulls nothing, and the study need not be there."""


def first_pod(study: Study) -> Raw:
    """What the API server would be asked for first."""
    study = study.model_copy(update={"uid": UID})
    suggestion = plan(engine_study.engine_study(study.spec), [], 1).start[0]
    spec = TrialSpec(
        study=study.name,
        index=suggestion.index,
        parameters=engine_study.to_text(suggestion.parameters),
        resource=suggestion.resource,
    )
    name = trial_name(study.name, suggestion.index)
    trial = HpoTrial(name=name, uid=UID, generation=1, spec=spec, status=TrialStatus())
    pod = pod_manifest(study, trial, PodSettings(IMAGE))
    metadata = {key: value for key, value in pod["metadata"].items() if key != "ownerReferences"}
    return pod | {"metadata": metadata}


def any_study(namespace: str) -> Study:
    """The least that every study asks for, where none is given: a Pod with one GPU."""
    container = {"name": "trainer", "image": IMAGE, "resources": {"limits": {"nvidia.com/gpu": 1}}}
    return parse_study(
        {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "HPOStudy",
            "metadata": {"name": "hpo-doctor", "namespace": namespace},
            "spec": {
                "objective": {"metric": "loss", "direction": "Minimize"},
                "parameters": [{"name": "x", "float": {"min": 0.0, "max": 1.0}}],
                "algorithm": {"sampler": {"type": "Sobol"}},
                "budget": {"trials": 1},
                "trainer": {"podTemplate": {"spec": {"containers": [container]}}},
            },
        }
    )
