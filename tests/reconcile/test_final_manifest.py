"""The Pods that make a final model and through which it is read: restricted, and no trial's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hpo_operator.api.crd import MAX_STUDY_NAME
from hpo_operator.api.parse import parse_study
from hpo_operator.local.variables import expand
from hpo_operator.manifests.final import Wanted, asked, fetch_manifest, final_folder, final_manifest
from hpo_operator.manifests.names import FINAL_LABEL, STUDY_LABEL, TRIAL_LABEL, trial_of_pod
from hpo_operator.reconcile.decide import decide
from hpo_operator.reconcile.snapshot import Snapshot
from reconcile.objects import NOW, SETTINGS, study
from reconcile.restricted import violations

Raw = dict[str, Any]
REQUEST: Raw = {
    "study": {"name": "demo", "spec": {"metric": "$(HPO_X) $$ costs"}},
    "candidates": [{"trial": "demo-1", "checkpoint": "demo-1", "value": 0.5, "resource": 9}],
    "mirroredPrediction": False,
}
PLAIN = Wanted(look=True, tolerance=1.0, folds=None)


def finished(**trainer: Any) -> Raw:
    """With a checkpoint volume."""
    raw = study()
    raw["spec"]["trainer"] |= {
        "checkpoints": {"claimName": "kept", "subPath": "lab"},
        "data": {"claimName": "mri", "subPath": "brains"},
        "nodeSelector": {"gpu": "a100"},
        "resources": {"requests": {"cpu": "3500m"}, "limits": {"cpu": "3500m", "nvidia.com/gpu": 2}},
        "terminationGracePeriodSeconds": 90,
    } | trainer
    return raw


def final_pod(raw: Raw | None = None, wanted: Wanted = PLAIN, request: Raw = REQUEST) -> Raw:
    return final_manifest(parse_study(raw or finished()), request, wanted, SETTINGS)


PODS = {"final": final_pod(), "fetch": fetch_manifest(parse_study(finished()), SETTINGS)}


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_it_is_as_restricted_as_a_trial(pod: Raw) -> None:
    assert violations(pod["spec"]) == []
    assert pod["spec"]["automountServiceAccountToken"] is False
    [container] = pod["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_it_is_the_studys_and_no_trials(pod: Raw) -> None:
    labels = pod["metadata"]["labels"]
    assert (labels[STUDY_LABEL], labels[FINAL_LABEL]) == ("demo", "demo")
    assert TRIAL_LABEL not in labels
    assert trial_of_pod(pod["metadata"]["name"]) is None
    [owner] = pod["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("HPOStudy", "demo", "study-uid")


def test_it_has_what_a_trial_of_the_study_has() -> None:
    spec = final_pod()["spec"]
    [container] = spec["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "3500m"},
        "limits": {"cpu": "3500m", "nvidia.com/gpu": 2},
    }
    assert (container["image"], container["imagePullPolicy"]) == (SETTINGS.trainer_image, "IfNotPresent")
    assert spec["nodeSelector"] == {"gpu": "a100"}
    assert spec["terminationGracePeriodSeconds"] == 90
    own = final_pod(finished(image="mine:2", imagePullPolicy="Always"))["spec"]["containers"][0]
    assert (own["image"], own["imagePullPolicy"]) == ("mine:2", "Always")


def test_of_the_volumes_it_sees_the_data_the_studys_folder_and_the_record_of_looks() -> None:
    spec = final_pod()["spec"]
    mounts = {mount.pop("mountPath"): mount for mount in spec["containers"][0]["volumeMounts"]}
    assert mounts["/data"] == {"name": "hpo-data", "readOnly": True, "subPath": "brains"}
    assert mounts["/checkpoints"] == {"name": "hpo-checkpoints", "subPath": "lab/study-uid"}
    assert mounts["/looks"] == {"name": "hpo-checkpoints", "subPath": "lab/test-looks"}
    assert set(mounts) == {"/data", "/checkpoints", "/looks", "/tmp", "/dev/shm"}
    claims = {v["persistentVolumeClaim"]["claimName"] for v in spec["volumes"] if "persistentVolumeClaim" in v}
    assert claims == {"mri", "kept"}
    volume = parse_study(finished()).spec.trainer.checkpoints
    assert volume is not None
    assert final_folder("study-uid", volume) == "lab/study-uid/final"


def test_what_is_asked_for_reaches_the_trainer_as_it_was_written() -> None:
    """Also with dollar signs, which Kubernetes would expand."""
    pod = final_pod(wanted=Wanted(look=False, tolerance=2.5, folds=3))
    [container] = pod["spec"]["containers"]
    given = {e["name"]: expand(e["value"], {}) for e in container["env"]}
    assert json.loads(given["HPO_FINAL"]) == REQUEST
    assert given["OMP_NUM_THREADS"] == "3"
    assert {"--tolerance=2.5", "--folds=3", "--retrained=/checkpoints/retrained"} <= set(container["args"])
    assert not any(text.startswith("--looks") for text in container["args"])
    assert "--looks=/looks/test-looks.json" in final_pod()["spec"]["containers"][0]["args"]


def test_two_pods_were_asked_for_the_same_if_options_and_candidates_are() -> None:
    """What the card says of the study besides may have changed."""
    told = REQUEST | {"study": {"name": "demo", "status": {"gpuHours": 3}}}
    assert asked(final_pod()) == asked(final_pod(request=told))
    assert asked(final_pod()) != asked(final_pod(wanted=Wanted(look=False, tolerance=1.0, folds=None)))
    assert asked(final_pod()) != asked(final_pod(request=REQUEST | {"candidates": []}))


def test_names_fit_and_a_reader_changes_nothing() -> None:
    raw = finished()
    raw["metadata"]["name"] = "s" * MAX_STUDY_NAME
    assert len(final_pod(raw)["metadata"]["name"]) <= 63
    pod = fetch_manifest(parse_study(raw), SETTINGS)
    assert len(pod["metadata"]["name"]) <= 63
    [mount] = pod["spec"]["containers"][0]["volumeMounts"]
    assert mount == {
        "name": "hpo-checkpoints",
        "mountPath": "/checkpoints",
        "subPath": "lab/study-uid",
        "readOnly": True,
    }
    assert "nvidia.com/gpu" not in str(pod)


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_the_operator_decides_as_if_it_were_not_there(pod: Raw) -> None:
    there = pod | {"status": {"phase": "Running"}}
    without, beside = (decide(Snapshot(study=finished(), pods=pods), SETTINGS, NOW) for pods in ((), (there,)))
    assert beside.actions == without.actions
