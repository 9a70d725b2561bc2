"""The chart on a real API server: installed, upgraded under a running study, rolled back, removed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpo_operator.manifests.rbac import LEASE_RULES, RULES
from stand.build import Assets
from stand.cluster import start_process_node
from stand.control_plane import ControlPlane
from stand.daemons import Daemon
from stand.helm import Helm, HelmError
from stand.rights import granted
from stand.studies import Studies, toy_study

pytestmark = pytest.mark.cluster
Raw = dict[str, Any]
NAMESPACE, RELEASE = "hpo-system", "hpo-operator"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"
MONITORING = ("ServiceMonitor", "PodMonitor", "PrometheusRule")


@pytest.fixture(scope="module")
def plane(stand_assets: Assets, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of its own: CRDs and cluster roles that Helm did not make would not be Helm's to change."""
    with ControlPlane(tmp_path_factory.mktemp("helm-stand"), stand_assets) as plane:
        plane.kubectl("create", "namespace", "hpo-studies")  # named by the ci/ values
        yield plane


@pytest.fixture(scope="module")
def node(plane: ControlPlane) -> Daemon:
    return start_process_node(plane)


@pytest.fixture
def cluster_helm(plane: ControlPlane, helm_binary: Path, tmp_path: Path) -> Iterator[Helm]:
    """Helm as the cluster's administrator; what a test leaves installed is removed."""
    helm = Helm(helm_binary, tmp_path, plane.kubeconfig)
    yield helm
    if json.loads(helm("list", "--namespace", NAMESPACE, "--output", "json")):
        helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait")


def install(helm: Helm, verb: str, chart: Path, *arguments: str | Path, values: Raw | None = None) -> Raw:
    """Install or upgrade the release; returns what Helm says of it."""
    where = ("--namespace", NAMESPACE, "--output", "json", "--timeout", "120s")
    create = ("--create-namespace",) if verb == "install" else ()
    told: Raw = json.loads(helm(verb, RELEASE, chart, *where, *create, *arguments, values=values))
    return told


def running(plane: ControlPlane, **values: Any) -> Raw:
    """Values with which the operator's Pod runs on a process node, which hands Pods no token: it brings a kubeconfig.

    The service account must be there. The port is this machine's, so each roll-out needs another.
    """
    kubeconfig = plane.kubeconfig_for(NAMESPACE, RELEASE)
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    return {
        "port": port,
        "sampleSeconds": 0.5,
        "extraEnv": [{"name": "HPO_OPERATOR_KUBECONFIG", "value": f"/etc/hpo/{kubeconfig.name}"}],
        "extraVolumes": [{"name": "kubeconfig", "hostPath": {"path": str(kubeconfig.parent)}}],
        "extraVolumeMounts": [{"name": "kubeconfig", "mountPath": "/etc/hpo", "readOnly": True}],
    } | values


def rights(plane: ControlPlane, namespace: str) -> set[tuple[str, str, str]]:
    """What RBAC lets the operator do in a namespace: group, resource, verb. What everybody may do is left out."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    told = plane.kubectl("create", f"--as={ACCOUNT}", "-o", "json", "-f", "-", input_text=json.dumps(review))
    rules = json.loads(told)["status"]["resourceRules"]
    return {right for right in granted(rules) if right[0] != "authorization.k8s.io"}


def previous_version(chart: Path, folder: Path) -> Path:
    """The chart as an earlier release: another version, other images, a CRD without its printer columns."""
    old = Path(shutil.copytree(chart, folder / "previous"))
    about = yaml.safe_load((old / "Chart.yaml").read_text())
    (old / "Chart.yaml").write_text(yaml.safe_dump(about | {"version": "0.0.9", "appVersion": "0.0.9"}))
    path = old / "files/crds/hpostudies.yaml"
    crd = yaml.safe_load(path.read_text())
    del crd["spec"]["versions"][0]["additionalPrinterColumns"]
    path.write_text(yaml.safe_dump(crd))
    return old


def columns(plane: ControlPlane) -> list[str]:
    """Of `kubectl get hpostudies`, as the CRD in the cluster says."""
    crd = plane.request("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/hpostudies.hpo.study")
    return [column["name"] for column in crd["spec"]["versions"][0].get("additionalPrinterColumns") or []]


def deployed(plane: ControlPlane) -> tuple[str, str]:
    """Chart and image of the Deployment."""
    found = plane.request("GET", f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{RELEASE}")
    (container,) = found["spec"]["template"]["spec"]["containers"]
    return found["metadata"]["labels"]["helm.sh/chart"], container["image"]


def holder(plane: ControlPlane) -> str:
    lease = plane.request("GET", f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{RELEASE}")
    return str(lease["spec"]["holderIdentity"])


@pytest.mark.parametrize("name", ["default", "namespaced", "full"])
def test_the_ci_values_install(plane: ControlPlane, cluster_helm: Helm, chart: Path, name: str) -> None:
    for kind in MONITORING if name == "full" else ():
        plane.kubectl("apply", "-f", "-", input_text=yaml.safe_dump(monitoring_crd(kind)))
    told = install(cluster_helm, "install", chart, "--values", chart / f"ci/{name}-values.yaml")
    assert told["info"]["status"] == "deployed"
    assert len(told["info"]["notes"].split("kubectl")) > 3


def monitoring_crd(kind: str) -> Raw:
    """Enough of the Prometheus operator's CRD for its objects to be accepted."""
    plural, group = f"{kind.lower()}s", "monitoring.coreos.com"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def test_rights_are_the_generated_rules_and_no_more(plane: ControlPlane, cluster_helm: Helm, chart: Path) -> None:
    install(cluster_helm, "install", chart, values={"replicaCount": 0})
    assert rights(plane, "default") == granted(RULES)
    assert rights(plane, NAMESPACE) == granted(RULES) | granted(LEASE_RULES)
    plane.kubectl("create", "rolebinding", "bob", "--clusterrole=edit", "--user=bob")
    may = {verb: plane.kubectl("auth", "can-i", verb, "hpostudies", "--as=bob").strip() for verb in ("create", "watch")}
    assert may == {"create": "yes", "watch": "yes"}
    install(cluster_helm, "upgrade", chart, values={"replicaCount": 0, "watchNamespaces": ["default"]})
    assert rights(plane, "default") == granted(RULES)
    assert rights(plane, NAMESPACE) == granted(LEASE_RULES)
    assert rights(plane, "kube-system") == set()


def test_a_wrong_value_reaches_no_cluster(plane: ControlPlane, cluster_helm: Helm, chart: Path) -> None:
    with pytest.raises(HelmError, match="'watchNamespace' not allowed"):
        install(cluster_helm, "install", chart, values={"watchNamespace": "default"})
    assert json.loads(cluster_helm("list", "--namespace", NAMESPACE, "--output", "json")) == []


def test_upgrade_under_a_running_study_rollback_uninstall(
    plane: ControlPlane, node: Daemon, cluster_helm: Helm, chart: Path, tmp_path: Path
) -> None:
    old = previous_version(chart, tmp_path)
    install(cluster_helm, "install", old, values={"replicaCount": 0})
    install(cluster_helm, "upgrade", old, "--wait", values=running(plane))
    assert columns(plane) == []
    studies = Studies(plane, "default", tmp_path)
    studies.apply(toy_study("in-flight", trials=8, parallelism=2, mode="slower"))
    studies.until_pods("in-flight", 2)
    first = holder(plane)

    values = running(plane)
    install(cluster_helm, "upgrade", chart, "--wait", values=values)
    assert deployed(plane) == ("hpo-operator-0.1.0", "hpo-operator:0.1.0")
    assert "BEST" in [column.upper() for column in columns(plane)]
    done = studies.wait("in-flight")
    assert done["status"]["trials"]["succeeded"] == 8
    pods = {pod["metadata"]["name"] for pod in studies.all("pods", "in-flight")}
    assert pods == {f"in-flight-{index}-r0-a0" for index in range(8)}  # none was lost, none was run twice
    assert holder(plane) != first

    (probe,) = [each for each in cluster_helm.template(chart) if each["kind"] == "Pod"]
    command = probe["spec"]["containers"][0]["command"]
    told = subprocess.check_output([sys.executable, *command[1:3], f"http://127.0.0.1:{values['port']}"], text=True)
    assert told.splitlines()[-1] == "ready"

    cluster_helm("rollback", RELEASE, "2", "--namespace", NAMESPACE, "--wait", "--timeout", "120s")
    assert deployed(plane) == ("hpo-operator-0.0.9", "hpo-operator:0.0.9")
    studies.apply(toy_study("rolled-back", trials=2))
    studies.wait("rolled-back")

    cluster_helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "120s")
    assert plane.kubectl("-n", NAMESPACE, "get", "deployments,roles,services", "-o", "name").split() == []
    assert len(studies.all("hpotrials", "in-flight")) == 8
    install(cluster_helm, "install", chart, values={"replicaCount": 0})  # the CRDs that were kept are its own again


def test_watched_namespaces_only(
    plane: ControlPlane, node: Daemon, cluster_helm: Helm, chart: Path, tmp_path: Path
) -> None:
    for name in ("watched", "unwatched"):
        plane.kubectl("create", "namespace", name)
    watch = {"watchNamespaces": ["watched"]}
    install(cluster_helm, "install", chart, values=watch | {"replicaCount": 0})
    install(cluster_helm, "upgrade", chart, "--wait", values=running(plane, **watch))
    other = Studies(plane, "unwatched", tmp_path)
    other.apply(toy_study("nobodys", trials=2))
    studies = Studies(plane, "watched", tmp_path)
    studies.apply(toy_study("mine", trials=2))
    assert studies.wait("mine")["status"]["trials"]["succeeded"] == 2
    assert not other.get("hpostudies", "nobodys").get("status", {}).get("phase")
