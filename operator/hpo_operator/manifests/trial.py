"""The HPOTrial object of a suggestion."""

from __future__ import annotations

from typing import Any

from hpo_engine.planner import Suggestion
from hpo_operator.api import engine_study
from hpo_operator.api.study import GROUP, VERSION, Study
from hpo_operator.api.trial import Rationale, Step, TrialSpec
from hpo_operator.manifests import names


def trial_manifest(study: Study, suggestion: Suggestion, step: Step) -> dict[str, Any]:
    """What ``kubectl get hpotrial -o yaml`` shows of a trial just suggested. ``step``: the decision to start it."""
    spec = TrialSpec(
        study=study.name,
        index=suggestion.index,
        parameters=engine_study.to_text(suggestion.parameters),
        resource=suggestion.resource,
        rationale=rationale(suggestion),
        steps=[step],
    )
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "HPOTrial",
        "metadata": {
            "name": names.trial_name(study.name, suggestion.index),
            "namespace": study.namespace,
            "labels": names.common_labels(study.name),
            "ownerReferences": [names.owner_reference("HPOStudy", study.name, study.uid)],
        },
        "spec": spec.dump(),
    }


def rationale(suggestion: Suggestion) -> Rationale:
    """Why it was suggested, as it is stored."""
    why = suggestion.rationale
    return Rationale(
        origin=why.origin, bracket=why.bracket, mean=why.mean, sigma=why.sigma, acquisition=why.acquisition
    )
