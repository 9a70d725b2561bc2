"""``hpo doctor`` on a real control plane of its own: healthy, and broken in one way after another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stand.build import Assets
from stand.cluster import start_process_node
from stand.command import hpo
from stand.control_plane import ControlPlane
from stand.old_server import OldServer
from stand.operator_process import OperatorProcess, install, install_crds
from stand.studies import Raw, Studies, toy_study

pytestmark = pytest.mark.cluster

STORAGE_CLASS: Raw = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "example.com/none",
}
POD_MONITOR: Raw = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "podmonitors.monitoring.coreos.com"},
    "spec": {
        "group": "monitoring.coreos.com",
        "names": {"kind": "PodMonitor", "plural": "podmonitors"},
        "scope": "Namespaced",
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}
LEASE = "/apis/coordination.k8s.io/v1/namespaces/hpo-system/leases/hpo-operator"
NODE = "/api/v1/nodes/process-node-0/status"


@pytest.fixture(scope="module")
def healthy(stand_assets: Assets, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster to which nothing is lacking."""
    with ControlPlane(tmp_path_factory.mktemp("doctor"), stand_assets) as plane:
        install(plane)
        plane.kubectl("apply", "-f", "-", input_text=yaml.safe_dump_all([STORAGE_CLASS, POD_MONITOR]))
        plane.wait_until(lambda: plane.answers("/apis/monitoring.coreos.com/v1"), "PodMonitors are not served")
        start_process_node(plane)
        operator = OperatorProcess(plane)
        operator.start()
        plane.wait_until(lambda: plane.answers(LEASE), "the operator holds no Lease")
        yield plane


def examined(kubeconfig: Path, *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    """Exit code and what was found, by the check."""
    done = hpo(kubeconfig, "doctor", "-o", "json", *arguments)
    assert done.stderr == ""
    return done.returncode, {each["check"]: each for each in json.loads(done.stdout)}


def diagnosis(kubeconfig: Path, *arguments: str | Path) -> dict[str, str]:
    """What is wrong with a cluster that is not ready, by the check."""
    code, found = examined(kubeconfig, *arguments)
    assert code == 1
    failed = {check: each for check, each in found.items() if each["state"] == "failed"}
    assert all(each["advice"] for each in failed.values())
    return {check: each["message"] for check, each in failed.items()}


def test_all_is_well(healthy: ControlPlane) -> None:
    code, found = examined(healthy.kubeconfig)
    assert {check: each["state"] for check, each in found.items()} == {
        "API server": "ok",
        "CRDs": "ok",
        "operator": "ok",
        "operator's rights": "ok",
        "your rights": "ok",
        "GPUs": "ok",
        "storage class": "ok",
        "a trial's Pod": "ok",
        "monitoring": "ok",
    }, found
    assert code == 0
    assert found["GPUs"]["message"] == "8 nvidia.com/gpu, free: 8 nvidia.com/gpu"
    text = hpo(healthy.kubeconfig, "doctor")
    assert text.returncode == 0
    assert [line[0] for line in text.stdout.splitlines()] == ["✓"] * len(found)


def test_no_gpu_plugin(healthy: ControlPlane) -> None:
    without = {"nvidia.com/gpu": None}
    healthy.request("PATCH", NODE, {"status": {"capacity": without, "allocatable": without}})
    assert diagnosis(healthy.kubeconfig) == {"GPUs": "none of 1 node offers a GPU"}
    eight = {"nvidia.com/gpu": "8"}
    healthy.request("PATCH", NODE, {"status": {"capacity": eight, "allocatable": eight}})
    assert examined(healthy.kubeconfig)[0] == 0


def test_no_storage_class(healthy: ControlPlane) -> None:
    healthy.kubectl("delete", "storageclass", "fast")
    (said,) = diagnosis(healthy.kubeconfig).items()
    assert said == ("storage class", "none: claims for data and checkpoints find no volume")
    healthy.kubectl("apply", "-f", "-", input_text=yaml.safe_dump(STORAGE_CLASS))


def test_an_old_server(healthy: ControlPlane) -> None:
    with OldServer(healthy, 19) as old:
        healthy.kubectl("create", "serviceaccount", "owner")
        healthy.kubectl(
            "create", "clusterrolebinding", "owner", "--clusterrole=cluster-admin", "--serviceaccount=default:owner"
        )
        kubeconfig = healthy.kubeconfig_for("default", "owner", old.url)
        assert diagnosis(kubeconfig) == {"API server": "Kubernetes 1.19.0 is too old"}


def test_denied_rights(healthy: ControlPlane) -> None:
    healthy.kubectl("create", "serviceaccount", "nobody")
    code, found = examined(healthy.kubeconfig_for("default", "nobody"))
    assert code == 1
    assert found["your rights"]["message"].startswith("in default you may not create hpostudies, get hpostudies, ")
    failed = [check for check, each in found.items() if each["state"] == "failed"]
    assert failed == ["your rights"]
    unknown = [check for check, each in found.items() if each["state"] == "warning"]
    assert unknown == ["operator", "operator's rights", "GPUs", "storage class", "a trial's Pod"]


def test_the_operator_lacks_a_right(healthy: ControlPlane) -> None:
    role = json.loads(healthy.kubectl("get", "clusterrole", "hpo-operator", "-o", "json"))
    less = role | {"rules": [rule for rule in role["rules"] if "pods" not in rule["resources"]]}
    healthy.kubectl("replace", "-f", "-", input_text=json.dumps(less))
    (said,) = diagnosis(healthy.kubeconfig).items()
    assert said[0] == "operator's rights"
    assert said[1].startswith("hpo-system:hpo-operator may not list pods, watch pods, create pods, delete pods")
    del role["metadata"]["resourceVersion"]
    healthy.kubectl("replace", "-f", "-", input_text=json.dumps(role))


def test_what_a_study_needs(healthy: ControlPlane, tmp_path: Path) -> None:
    file, space = tmp_path / "study.yaml", Studies(healthy, "default", tmp_path)
    study = toy_study("needy", trials=4, parallelism=3)
    template = study["spec"]["trainer"]["podTemplate"]
    template["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": "9", "cpu": "1"}}
    template["metadata"] = {"labels": {"kueue.x-k8s.io/queue-name": "research"}}
    study["spec"]["trainer"]["checkpoints"] = {"claimName": "scratch"}
    file.write_text(yaml.safe_dump(study))
    assert diagnosis(healthy.kubeconfig, "--study", file) == {
        "a node for a trial": "nvidia.com/gpu: a trial asks for 9, the largest node has 8",
        "claim scratch": "there is none in default",
        "queue": "there is no LocalQueue research in default, or no Kueue",
    }

    template["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] = "2"
    del template["metadata"]
    file.write_text(yaml.safe_dump(study))
    (tmp_path / "scratch").mkdir()
    space.claim("scratch", tmp_path / "scratch")
    space.kubectl("wait", "--for=jsonpath={.status.phase}=Bound", "pvc/scratch", "--timeout=60s")
    code, found = examined(healthy.kubeconfig, "--study", file)
    assert (code, found["a node for a trial"]["message"]) == (0, "fits on 1 of 1 node")
    assert found["claim scratch"]["message"] == "bound, ReadWriteMany, ReadWriteOnce"

    quota = {"requests.nvidia.com/gpu": "4"}
    document = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team"}, "spec": {"hard": quota}}
    space.plane.kubectl("-n", "default", "apply", "-f", "-", input_text=json.dumps(document))
    healthy.wait_until(
        lambda: "hard" in space.get("resourcequota", "team").get("status", {}), "the quota is not in force"
    )
    code, found = examined(healthy.kubeconfig, "--study", file)
    assert (code, found["quota team"]["state"]) == (0, "warning")
    assert found["quota team"]["message"] == "requests.nvidia.com/gpu: room for 2 of 3 trials at once"
    template["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] = "5"
    file.write_text(yaml.safe_dump(study))
    assert diagnosis(healthy.kubeconfig, "--study", file)["a trial's Pod"].startswith("QuotaExceeded: ")
    space.kubectl("delete", "resourcequota", "team")


def test_an_operator_that_stopped_and_a_server_that_is_gone(healthy: ControlPlane, tmp_path: Path) -> None:
    healthy.end("operator")
    said = diagnosis(healthy.kubeconfig)["operator"]
    assert said == "hpo-system/hpo-operator has given its Lease back and is stopped"
    absent = diagnosis(healthy.kubeconfig, "--operator", "elsewhere/hpo")["operator"]
    assert absent == "elsewhere/hpo has no Lease: it never ran there"
    config = yaml.safe_load(healthy.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    nowhere = tmp_path / "kubeconfig"
    nowhere.write_text(yaml.safe_dump(config))
    (said,) = diagnosis(nowhere).values()
    assert "Cannot connect to host 127.0.0.1:1" in said
    assert "expected NAMESPACE/NAME" in hpo(healthy.kubeconfig, "doctor", "--operator", "hpo").stderr


def test_crds_of_another_version_and_none(healthy: ControlPlane) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/hpotrials.hpo.study"
    crd = healthy.request("GET", path)
    fields = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    fields["colour"] = {"type": "string"}
    del fields["rung"]
    healthy.request("PUT", path, crd)
    said = diagnosis(healthy.kubeconfig)["CRDs"]
    assert said == (
        "not those of this version: hpotrials: spec.colour is unknown to this version; hpotrials: spec.rung is missing"
    )
    healthy.kubectl("delete", "crd", "hpotrials.hpo.study", "hpostudies.hpo.study")
    healthy.wait_until(lambda: not healthy.answers("/apis/hpo.study/v1alpha1"), "the CRDs are still served")
    assert diagnosis(healthy.kubeconfig)["CRDs"] == "hpostudies.hpo.study, hpotrials.hpo.study not served as v1alpha1"
    install_crds(healthy)
    assert "CRDs" not in diagnosis(healthy.kubeconfig)  # what is left is the operator, ended by the test before
