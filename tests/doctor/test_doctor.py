"""Judgements of ``hpo doctor`` that a test cluster cannot be brought to; the others are made on a real one."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpo_operator.api.crd import study_crd, trial_crd
from hpo_operator.api.parse import parse_study
from hpo_operator.api.study import Study
from hpo_operator.doctor import access, capacity, installation, storage
from hpo_operator.doctor.amounts import amount, is_gpu, requested
from hpo_operator.doctor.checks import findings
from hpo_operator.doctor.facts import Fact, Facts, Finding, State, Wanted, rights_of
from hpo_operator.doctor.probe import any_study, first_pod
from hpo_operator.manifests.rbac import RULES
from hpo_operator.studies.study_file import read_study_files
from reconcile.restricted import violations

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def node(name: str = "a", ready: str = "True", taints: tuple[str, ...] = (), **allocatable: str) -> dict[str, Any]:
    offered = {"cpu": "8", "memory": "32Gi"} | {k.replace("gpu", "nvidia.com/gpu"): v for k, v in allocatable.items()}
    return {
        "metadata": {"name": name, "labels": {"zone": name}},
        "spec": {"taints": [{"key": key, "effect": "NoSchedule"} for key in taints]},
        "status": {"conditions": [{"type": "Ready", "status": ready}], "allocatable": offered},
    }


def listed(*items: Any) -> Fact:
    return Fact({"items": list(items)})


def discovered(*names: str) -> Fact:
    return Fact({"resources": [{"name": name} for name in names]})


STORAGE_CLASS = {"metadata": {"name": "fast", "annotations": {storage.DEFAULT: "true"}}}
HEALTHY = Facts(
    now=NOW,
    version=Fact({"major": "1", "minor": "31+", "gitVersion": "v1.31.2-eks"}),
    group=discovered("hpostudies", "hpotrials"),
    crds={"hpostudies": Fact(study_crd()), "hpotrials": Fact(trial_crd())},
    lease=Fact({"spec": {"holderIdentity": "pod-1", "renewTime": NOW.isoformat(), "leaseDurationSeconds": 15}}),
    deployment=Fact(),
    nodes=listed(node(gpu="4")),
    pods=listed(),
    storage_classes=listed(STORAGE_CLASS),
    claims={},
    namespace=Fact({"metadata": {"labels": {access.LABEL: "restricted"}}}),
    quotas=listed(),
    monitoring=discovered("podmonitors"),
    trial_pod=Fact({}),
    own_rights=dict.fromkeys((*access.NEEDED, *access.USEFUL), True),
    operator_rights=Fact(dict.fromkeys(rights_of(RULES), True)),
    account="hpo-system:hpo-operator",
)


def wanted(study: Study | None = None, parallelism: int = 1) -> Wanted:
    pod = first_pod(study or any_study("research"))
    return Wanted("research", ("hpo-system", "hpo-operator"), study, pod, parallelism)


def example(number: str, **trainer: Any) -> Study:
    (path,) = ROOT.glob(f"crds/examples/{number}-*.yaml")
    (raw,) = read_study_files(path)
    return parse_study(raw | {"spec": raw["spec"] | {"trainer": raw["spec"]["trainer"] | trainer}})


def one(found: Any, check: str | None = None) -> Finding:
    (finding,) = [each for each in found if check in (None, each.check)]
    assert isinstance(finding, Finding)
    return finding


def test_a_healthy_cluster_has_nothing_to_mend() -> None:
    found = list(findings(HEALTHY, wanted()))
    assert [each for each in found if each.state is not State.OK or each.advice] == []
    assert "Pod security: restricted" in one(found, "a trial's Pod").message


def test_the_oldest_server_is_the_charts() -> None:
    chart = yaml.safe_load((ROOT / "helm/hpo-operator/Chart.yaml").read_text())
    found = re.search(r"(\d+)\.(\d+)", chart["kubeVersion"])
    assert found is not None
    assert (int(found[1]), int(found[2])) == installation.OLDEST


@pytest.mark.parametrize(("minor", "state"), [("19", "failed"), ("20", "ok"), ("20+", "ok"), ("", "warning")])
def test_versions(minor: str, state: str) -> None:
    facts = replace(HEALTHY, version=Fact({"major": "1", "minor": minor, "gitVersion": "v"}))
    assert one(installation.server(facts)).state == state


def test_a_lease_that_is_old_or_that_nobody_may_see() -> None:
    late = {"spec": {"holderIdentity": "pod-1", "renewTime": (NOW - timedelta(minutes=2)).isoformat()}}
    stale = one(installation.operator(replace(HEALTHY, lease=Fact(late)), wanted()))
    assert (stale.state, "has not renewed the Lease hpo-system/hpo-operator for 120 s" in stale.message) == (
        "failed",
        True,
    )
    hidden = replace(HEALTHY, lease=Fact(refused="no"))
    ready = replace(hidden, deployment=Fact({"status": {"readyReplicas": 1}}))
    assert one(installation.operator(ready, wanted())).state == "ok"
    assert one(installation.operator(replace(hidden, deployment=Fact({"status": {}})), wanted())).state == "failed"
    assert one(installation.operator(replace(hidden, deployment=Fact(refused="no")), wanted())).state == "warning"


def test_an_operator_of_other_namespaces() -> None:
    env = [{"name": "HPO_OPERATOR_NAMESPACES", "value": "imaging, radiology"}]
    deployment = {"spec": {"template": {"spec": {"containers": [{"env": env}]}}}}
    facts = replace(HEALTHY, deployment=Fact(deployment))
    *_, last = installation.operator(facts, wanted())
    assert (last.state, last.message) == (
        "failed",
        "hpo-system/hpo-operator serves imaging, radiology, and not research",
    )


def test_gpus_that_are_taken_or_not_ready() -> None:
    pod = {"spec": {"nodeName": "a", "containers": [{"resources": {"limits": {"nvidia.com/gpu": "4"}}}]}}
    taken = replace(HEALTHY, pods=listed(pod | {"status": {"phase": "Running"}}))
    assert one(capacity.gpus(taken, wanted())).message == "4 nvidia.com/gpu, free: 0 nvidia.com/gpu"
    assert one(capacity.gpus(taken, wanted())).state == "warning"
    over = replace(HEALTHY, pods=listed(pod | {"status": {"phase": "Succeeded"}}))
    assert one(capacity.gpus(over, wanted())).state == "ok"
    silent = replace(HEALTHY, nodes=listed(node(ready="False", gpu="4")))
    assert one(capacity.gpus(silent, wanted())).state == "failed"
    assert one(capacity.gpus(silent, wanted(example("01")))).state == "ok"  # which asks for none


def test_nodes_that_do_not_fit() -> None:
    study = example("01", resources={"limits": {"nvidia.com/gpu": 2}}, nodeSelector={"zone": "b"})
    nodes = (node("a", gpu="4"), node("b", gpu="1"))
    small = one(capacity.fits(replace(HEALTHY, nodes=listed(*nodes)), wanted(study)))
    assert small.message == "nvidia.com/gpu: a trial asks for 2, the largest node has 1"
    none = one(capacity.fits(HEALTHY, wanted(study)))
    assert none.message == "none of 1 node is ready and has the labels zone=b"
    tainted = replace(HEALTHY, nodes=listed(node("b", taints=("gpus-only",), gpu="4")))
    assert one(capacity.fits(tainted, wanted(study))).state == "warning"
    many = one(capacity.gpus(replace(HEALTHY, nodes=listed(node("b", gpu="4"))), wanted(study, parallelism=3)))
    assert (many.state, "3 trials at once ask for 6 nvidia.com/gpu" in many.message) == ("warning", True)


@pytest.mark.parametrize(
    ("claim", "state", "said"),
    [
        ({"status": {"phase": "Bound", "accessModes": ["ReadWriteMany"]}}, "ok", "bound, ReadWriteMany"),
        ({"status": {"phase": "Bound", "accessModes": ["ReadWriteOnce"]}}, "warning", "all trials run on one node"),
        ({"status": {"phase": "Bound", "accessModes": ["ReadWriteOncePod"]}}, "failed", "one trial at a time"),
        ({"status": {"phase": "Lost"}}, "failed", "its volume is gone"),
        ({"status": {"phase": "Pending"}}, "failed", "it is not bound"),
        ({"spec": {"storageClassName": "late", "accessModes": ["ReadWriteMany"]}}, "ok", "when the first Pod comes"),
        (None, "failed", "there is none in research"),
    ],
)
def test_claims(claim: dict[str, Any] | None, state: str, said: str) -> None:
    late = {"metadata": {"name": "late"}, "volumeBindingMode": storage.LATE}
    fact = Fact(None if claim is None else {"spec": {}} | claim)
    facts = replace(HEALTHY, storage_classes=listed(late), claims={"brain-mri": fact, "checkpoints": fact})
    found = one(storage.storage(facts, wanted(example("01"), parallelism=2)), "claim brain-mri")
    assert (found.state, said in found.message) == (state, True), found


def test_storage_classes() -> None:
    none = replace(HEALTHY, storage_classes=listed())
    assert one(storage.storage(none, wanted())).state == "failed"
    bound = Fact({"spec": {}, "status": {"phase": "Bound", "accessModes": ["ReadWriteMany"]}})
    claimed = replace(none, claims={"brain-mri": bound, "checkpoints": bound})
    assert one(storage.storage(claimed, wanted(example("01"))), "storage class").state == "ok"
    plain = replace(HEALTHY, storage_classes=listed({"metadata": {"name": "slow"}}))
    assert one(storage.storage(plain, wanted())).state == "warning"


def test_a_pod_that_policy_refuses() -> None:
    said = 'pods "x" is forbidden: violates PodSecurity "restricted:latest": hostPath volumes'
    found = one(access.trial_pod(replace(HEALTHY, trial_pod=Fact(refused=said)), wanted()))
    assert (found.state, found.message) == ("failed", f"PodSecurityDenied: {said}")
    assert found.advice == "the template asks for more than the namespace allows"
    gone = one(access.trial_pod(replace(HEALTHY, namespace=Fact()), wanted()))
    assert gone.message == "there is no namespace research"


def test_the_pod_that_is_tried_is_the_operators() -> None:
    for study in (any_study("research"), example("01"), example("05")):
        pod = first_pod(study)
        assert violations(pod["spec"]) == []
        assert "ownerReferences" not in pod["metadata"]


@pytest.mark.parametrize(
    ("text", "value"), [("500m", 0.5), (2, 2.0), ("16Gi", 2.0**34), ("1e3", 1000.0), ("1k", 1000.0), ("100n", 1e-7)]
)
def test_amounts(text: str | int, value: float) -> None:
    assert math.isclose(amount(text), value)


def test_what_a_pod_asks_for() -> None:
    spec = {
        "containers": [
            {"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "nvidia.com/gpu": 1}}},
            {"resources": {"limits": {"cpu": "500m"}}},
        ],
        "initContainers": [{"resources": {"requests": {"cpu": "3"}}}],
    }
    assert requested(spec) == {"cpu": 3.0, "nvidia.com/gpu": 1.0}
    assert requested(spec, "limits") == {"cpu": 2.5, "nvidia.com/gpu": 1.0}
    with pytest.raises(ValueError, match="expected a quantity"):
        amount("many")
    assert [is_gpu(name) for name in ("nvidia.com/gpu", "nvidia.com/mig-1g.5gb", "cpu")] == [True, True, False]
