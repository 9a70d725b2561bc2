"""The test stand itself: a real control plane, and a node whose Pods are processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import urllib.error
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio import client

from stand.api import Api, ApiError
from stand.cluster import SOURCE_ROOTS, start_process_node
from stand.control_plane import ControlPlane, ControlPlaneError
from stand.daemons import Daemon, process_state
from stand.debian import source_entries
from stand.volumes import make_claim

pytestmark = pytest.mark.cluster

OUT = {"name": "OUT", "value": "/dev/termination-log"}
GROUP = "stand.example.org"


def pod(name: str, command: list[str], spec: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    main = {"name": "main", "image": "img", "command": command, **container}
    settings = {"restartPolicy": "Never", "automountServiceAccountToken": False, **(spec or {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [main], **settings},
    }


class Pods:
    """The Pods of the test's namespace."""

    def __init__(self, kube: client.ApiClient, namespace: str) -> None:
        self.api = Api(kube)
        self.path = f"/api/v1/namespaces/{namespace}/pods"

    async def create(self, manifest: dict[str, Any]) -> dict[str, Any]:
        return await self.api.create(self.path, manifest)

    async def get(self, name: str) -> dict[str, Any] | None:
        try:
            return await self.api.get(f"{self.path}/{name}")
        except ApiError as error:
            if error.code != 404:
                raise
            return None

    async def reach(self, name: str, *phases: str) -> dict[str, Any]:
        """The Pod once it is in one of the phases."""

        async def there() -> dict[str, Any] | None:
            found = await self.get(name)
            return found if found is not None and found["status"]["phase"] in phases else None

        found: dict[str, Any] = await eventually(there)
        return found

    async def end(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Create a Pod, let it end; its phase and the terminated state."""
        await self.create(manifest)
        ended = await self.reach(manifest["metadata"]["name"], "Succeeded", "Failed")
        return {"phase": ended["status"]["phase"], **ended["status"]["containerStatuses"][0]["state"]["terminated"]}


async def eventually(look: Callable[[], Awaitable[Any]], seconds: float = 30) -> Any:
    """What ``look`` finds, as soon as it is something."""
    async with asyncio.timeout(seconds):
        while True:
            found = await look()
            if found:
                return found
            await asyncio.sleep(0.05)


@pytest.fixture
def pods(kube: client.ApiClient, namespace: str, process_node: Daemon) -> Pods:
    return Pods(kube, namespace)


# --- control plane


async def test_api_server_answers(control_plane: ControlPlane, kube: client.ApiClient) -> None:
    version = await Api(kube).get("/version")
    assert version["minor"].rstrip("+") == str(control_plane.minor_version)
    assert control_plane.kubectl("get", "namespaces", "-o", "name").splitlines()[0] == "namespace/default"


async def test_custom_resources_work(control_plane: ControlPlane, kube: client.ApiClient, namespace: str) -> None:
    """Also the proof that the API server was built with a JSON library that works under its Go."""
    schema = {
        "type": "object",
        "properties": {
            "spec": {"type": "object", "properties": {"size": {"type": "integer", "minimum": 1}}},
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [version | {"subresources": {"status": {}}}],
        },
    }
    api = Api(kube)
    path = f"/apis/{GROUP}/v1/namespaces/{namespace}/widgets"
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    await api.create(definitions, definition)

    async def established() -> bool:
        conditions = (await api.get(f"{definitions}/widgets.{GROUP}"))["status"].get("conditions") or []
        return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

    await eventually(established)
    widget = {"apiVersion": f"{GROUP}/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 3}}
    made = await api.create(path, widget)
    await api.patch(f"{path}/w/status", {"status": {"map": {"a": [1, {"b": 2.5}]}}})
    stored = await api.get(f"{path}/w")
    assert stored["status"] == {"map": {"a": [1, {"b": 2.5}]}}
    assert stored["metadata"]["generation"] == made["metadata"]["generation"] == 1
    with pytest.raises(ApiError, match=r"spec\.size") as refused:
        await api.create(path, widget | {"metadata": {"name": "x"}, "spec": {"size": 0}})
    assert refused.value.code == 422
    await api.delete(f"{definitions}/widgets.{GROUP}")


def test_service_account_may_do_what_its_role_says_and_no_more(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("-n", namespace, "create", "serviceaccount", "worker")
    kubeconfig = control_plane.kubeconfig_for(namespace, "worker")

    def list_pods() -> str:
        return control_plane.kubectl(f"--kubeconfig={kubeconfig}", "-n", namespace, "get", "pods")

    with pytest.raises(ControlPlaneError, match=f"system:serviceaccount:{namespace}:worker.*cannot list.*pods"):
        list_pods()
    control_plane.kubectl("-n", namespace, "create", "role", "reader", "--verb=list", "--resource=pods")
    binding = ("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={namespace}:worker")
    control_plane.kubectl("-n", namespace, *binding)
    assert list_pods() == ""
    with pytest.raises(ControlPlaneError, match=r"cannot list.*secrets"):
        control_plane.kubectl(f"--kubeconfig={kubeconfig}", "-n", namespace, "get", "secrets")


def test_a_refusal_carries_its_code(control_plane: ControlPlane) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        control_plane.request("GET", "/api/v1/namespaces/no-such")
    refused.value.close()


# --- process node


async def test_a_pod_for_a_gpu_runs_to_its_end(pods: Pods) -> None:
    command = ["python", "-c", "import os; open(os.environ['OUT'], 'w').write(os.environ['IP'] + ' $(A)')"]
    address = {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    env = [OUT, address, {"name": "A", "value": "ä"}]
    state = await pods.end(pod("gpu", command, env=env, resources={"limits": {"nvidia.com/gpu": 1}}))
    stored = await pods.get("gpu")
    assert stored is not None
    assert stored["spec"]["nodeName"] == "process-node-0"
    assert (state["phase"], state["exitCode"], state["reason"]) == ("Succeeded", 0, "Completed")
    assert state["message"] == f"{stored['status']['podIP']} ä"
    assert stored["status"]["podIP"].startswith("127.")


async def test_more_gpus_than_there_are_wait(pods: Pods) -> None:
    await pods.create(pod("greedy", ["true"], resources={"limits": {"nvidia.com/gpu": 9}}))

    async def condition() -> dict[str, Any] | None:
        found = await pods.get("greedy")
        assert found is not None
        return next((each for each in found["status"].get("conditions") or [] if each["status"] == "False"), None)

    unscheduled = await eventually(condition)
    assert unscheduled["reason"] == "Unschedulable"
    assert "Insufficient nvidia.com/gpu" in unscheduled["message"]


async def test_exit_code(pods: Pods) -> None:
    state = await pods.end(pod("three", ["sh", "-c", "exit 3"]))
    assert (state["phase"], state["exitCode"], state["reason"]) == ("Failed", 3, "Error")


async def test_out_of_memory(pods: Pods) -> None:
    command = ["python", "-c", "import time; b = bytearray(300 << 20); time.sleep(60)"]
    state = await pods.end(pod("hog", command, resources={"limits": {"memory": "128Mi"}}))
    assert (state["phase"], state["exitCode"], state["reason"]) == ("Failed", 137, "OOMKilled")


async def test_deletion_sends_sigterm_and_grants_the_grace_period(pods: Pods, tmp_path: Path) -> None:
    script = (
        "import signal,sys,time,pathlib\n"
        "def end(*_):\n    time.sleep(0.5)\n    pathlib.Path('/out/saved').touch()\n    sys.exit(75)\n"
        "signal.signal(signal.SIGTERM, end)\npathlib.Path(sys.argv[1]).touch()\ntime.sleep(60)\n"
    ).replace("/out", str(tmp_path))
    volumes = {"volumes": [{"name": "out", "hostPath": {"path": str(tmp_path)}}], "terminationGracePeriodSeconds": 20}
    mounts = [{"name": "out", "mountPath": "/out"}]
    saver = pod("saver", ["python", "-c", script], volumes, args=["/out/up"], volumeMounts=mounts)
    saver["metadata"]["finalizers"] = [f"{GROUP}/last-look"]  # keeps the object when the node has let go of it
    await pods.create(saver)
    await eventually(lambda: _exists(tmp_path / "up"))
    await pods.api.delete(f"{pods.path}/saver")

    async def let_go() -> dict[str, Any] | None:
        found = await pods.get("saver")
        assert found is not None
        return found if found["metadata"]["deletionGracePeriodSeconds"] == 0 else None

    last = await eventually(let_go)
    assert last["status"]["phase"] == "Failed"
    assert last["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 75
    assert (tmp_path / "saved").exists()
    await pods.api.patch(f"{pods.path}/saver", {"metadata": {"finalizers": None}})
    await eventually(lambda: _is_gone(pods, "saver"))


async def test_a_pod_that_ignores_sigterm_is_killed(pods: Pods, tmp_path: Path) -> None:
    command = ["sh", "-c", "trap '' TERM; echo $$$$ > $0; while :; do sleep 1; done", str(tmp_path / "pid")]
    await pods.create(pod("deaf", command, {"terminationGracePeriodSeconds": 1}))
    await eventually(lambda: _exists(tmp_path / "pid"))
    await pods.api.delete(f"{pods.path}/deaf")
    await eventually(lambda: _is_gone(pods, "deaf"))
    assert _ended(int((tmp_path / "pid").read_text()))


async def test_claims_are_directories_of_the_host(
    pods: Pods, kube: client.ApiClient, namespace: str, tmp_path: Path
) -> None:
    await pods.create(
        pod(
            "writer",
            ["python", "-c", "import pathlib,sys; pathlib.Path(sys.argv[1]).write_text('kept')"],
            {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "work"}}]},
            args=["/scratch/file"],
            volumeMounts=[{"name": "v", "mountPath": "/scratch", "subPath": "a/b"}],
        )
    )
    await make_claim(kube, namespace, "work", tmp_path)  # after the Pod: it has to wait for it
    assert (await pods.reach("writer", "Succeeded", "Failed"))["status"]["phase"] == "Succeeded"
    assert (tmp_path / "a" / "b" / "file").read_text() == "kept"


async def test_a_missing_directory_is_told_in_status_and_events(pods: Pods, namespace: str, tmp_path: Path) -> None:
    volumes = {"volumes": [{"name": "v", "hostPath": {"path": str(tmp_path / "none")}}]}
    await pods.create(pod("stuck", ["true"], volumes, volumeMounts=[{"name": "v", "mountPath": "/v"}]))

    async def event() -> dict[str, Any] | None:
        selector = {"fieldSelector": "involvedObject.name=stuck,reason=FailedMount"}
        items = (await pods.api.get(f"/api/v1/namespaces/{namespace}/events", selector))["items"]
        return items[0] if items else None

    assert "is not a directory" in (await eventually(event))["message"]
    stuck = await pods.reach("stuck", "Pending")
    assert stuck["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ContainerCreating"


async def test_two_pods_listen_on_the_same_port(pods: Pods, tmp_path: Path) -> None:
    script = (
        "import os,socket,sys,time,pathlib\n"
        "server = socket.create_server((os.environ['IP'], 9464))\n"
        "pathlib.Path(sys.argv[1]).touch()\ntime.sleep(60)\n"
    )
    env = [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    for name in ("one", "two"):
        await pods.create(pod(name, ["python", "-c", script, str(tmp_path / name)], env=env))
    for name in ("one", "two"):
        await eventually(lambda: _exists(tmp_path / name))  # noqa: B023
        found = await pods.reach(name, "Running")
        _, writer = await asyncio.open_connection(found["status"]["podIP"], 9464)
        writer.close()
        await writer.wait_closed()
        await pods.api.delete(f"{pods.path}/{name}", {"gracePeriodSeconds": 0})


async def test_running_pods_survive_a_restart_of_the_api_server(
    control_plane: ControlPlane, pods: Pods, tmp_path: Path
) -> None:
    """What ends while the API server is down is told once it is back, and new Pods run."""
    command = ["sh", "-c", "until test -e $0; do sleep 0.05; done; exit 4", str(tmp_path / "go")]
    await pods.create(pod("across", command))
    await pods.reach("across", "Running")
    restart = asyncio.create_task(asyncio.to_thread(control_plane.restart_apiserver, 0.5))
    await asyncio.sleep(0.2)
    (tmp_path / "go").touch()
    await restart
    ended = await pods.reach("across", "Failed")
    assert ended["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 4
    assert (await pods.end(pod("after", ["true"])))["phase"] == "Succeeded"


async def test_the_garbage_collector_takes_pods_of_a_deleted_owner(pods: Pods, namespace: str) -> None:
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    owner = await pods.api.create(maps, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}})
    owned = pod("owned", ["sleep", "60"], {"terminationGracePeriodSeconds": 1})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    owned["metadata"]["ownerReferences"] = [reference]
    await pods.create(owned)
    await pods.reach("owned", "Running")
    await pods.api.delete(f"{maps}/owner")
    await eventually(lambda: _is_gone(pods, "owned"))


async def test_pods_of_a_crashed_node_are_reported_lost(
    control_plane: ControlPlane, pods: Pods, tmp_path: Path
) -> None:
    await pods.create(pod("lost", ["sh", "-c", "echo $$$$ > $0; sleep 60", str(tmp_path / "pid")]))
    await eventually(lambda: _exists(tmp_path / "pid"))
    await pods.reach("lost", "Running")
    await asyncio.to_thread(control_plane.kill, "process-node-0")
    await asyncio.to_thread(start_process_node, control_plane)
    ended = await pods.reach("lost", "Failed")
    terminated = ended["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (137, "ContainerStatusUnknown")
    assert _ended(int((tmp_path / "pid").read_text()))
    assert (await pods.end(pod("next", ["true"])))["phase"] == "Succeeded"


def _ended(pid: int) -> bool:
    """Gone, or a zombie whose new parent does not reap."""
    state = process_state(pid)
    return state is None or state[0] == "Z"


async def _is_gone(pods: Pods, name: str) -> bool:
    return await pods.get(name) is None


async def _exists(path: Path) -> bool:
    return path.exists()  # noqa: ASYNC240 (a local file system)


# --- command line


def test_up_status_down(stand_assets: object, tmp_path: Path) -> None:
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, SOURCE_ROOTS))}

    def stand(command: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "stand", command, "--dir", str(tmp_path / "c")]
        return subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)

    try:
        up = stand("up")
        assert (up.returncode, up.stdout) == (0, f"export KUBECONFIG={tmp_path}/c/kubeconfig\n"), up.stderr
        assert "process-node-0           running" in (status := stand("status")).stdout
        assert status.returncode == 0
        assert "already" in stand("up").stderr
        assert stand("status").returncode == 0, "a refused second start leaves the first alone"
    finally:
        down = stand("down")
    assert down.returncode == 0
    assert stand("status").returncode == 1
    assert not (tmp_path / "c" / "kubeconfig").exists()


# --- package sources


def test_source_entries_of_both_formats() -> None:
    one_line = (
        "# comment\n"
        "deb [signed-by=/k.gpg] http://mirror/debian bookworm main contrib # trailing\n"
        "deb http://other/apt cloud-sdk-bookworm main\n"
        "deb-src http://mirror/security bookworm-security main\n"
    )
    assert source_entries(one_line, "bookworm", deb822=False).splitlines() == [
        "deb [signed-by=/k.gpg] http://mirror/debian bookworm main contrib",
        "deb-src [signed-by=/k.gpg] http://mirror/debian bookworm main contrib",
        "deb http://mirror/security bookworm-security main",
        "deb-src http://mirror/security bookworm-security main",
    ]
    deb822 = (
        "Types: deb\n# comment\nURIs: http://mirror/debian\nSuites: bookworm bookworm-updates trixie\n"
        "Components: main\nSigned-By:\n -----BEGIN\n .\n AAAA\n"
        "\nTypes: deb\nURIs: http://node\nSuites: nodistro\nComponents: main\n"
        "\nTypes: deb\nURIs: http://off\nSuites: bookworm\nComponents: main\nEnabled: no\n"
    )
    assert source_entries(deb822, "bookworm", deb822=True).splitlines() == [
        "Types: deb deb-src",
        "Suites: bookworm bookworm-updates",
        "URIs: http://mirror/debian",
        "Components: main",
        "Signed-By: ",
        " -----BEGIN",
        " .",
        " AAAA",
    ]
