"""What a process finds that stands in for a container, beside what a kubelet gives it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from hpo_operator.local.pod_launch import ImageConfig, parse_bytes
from hpo_operator.local.pod_process import NodeSettings, PodProcess
from hpo_operator.local.pod_volumes import ContainerWaitingError
from hpo_operator.local.variables import expand
from local.pods import OUT, PRINT_ENV, Recorder, manifest, run


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(VAR_A)", "A"),
        ("___$(VAR_B)___", "___B___"),
        ("$(VAR_A)-1", "A-1"),
        ("$(VAR_A)_$(VAR_B)", "A_B"),
        ("f000-$VAR_A", "f000-$VAR_A"),
        ("foo\\$(VAR_C)bar", "foo\\Cbar"),
        ("$$(VAR_A)", "$(VAR_A)"),
        ("$$$(VAR_A)", "$A"),
        ("$$$$(VAR_A)", "$$(VAR_A)"),
        ("$(VAR_A", "$(VAR_A"),
        ("$VAR_A)", "$VAR_A)"),
        ("${VAR_A}", "${VAR_A}"),
        ("$(UNKNOWN)-x", "$(UNKNOWN)-x"),
        ("$(VAR_REF)", "$(VAR_A)"),
        ("$(VAR_EMPTY)", ""),
        ("$$$VAR", "$$VAR"),
        ("foo$$", "foo$"),
        ("foo$", "foo$"),
        ("$()", "$()"),
        ("$?_boo_$(VAR_A)", "$?_boo_A"),
        ("$($$$$$(VAR_A)", "$($$$$$(VAR_A)"),
    ],
)
def test_expansion_is_the_kubelets(text: str, expected: str) -> None:
    variables = {"VAR_A": "A", "VAR_B": "B", "VAR_C": "C", "VAR_REF": "$(VAR_A)", "VAR_EMPTY": ""}
    assert expand(text, variables) == expected


async def test_environment_is_the_pods_alone(settings: NodeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "1")
    fields = {"IP": "status.podIP", "NAME": "metadata.name", "NS": "metadata.namespace", "NODE": "spec.nodeName"}
    fields |= {"APP": "metadata.labels['app']", "SLASH": "metadata.labels['a.b/c']", "NONE": "metadata.labels['z']"}
    env = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]
    plain = {"A": "1", "B": "$(A)-$(LATER)-$$(A)", "LATER": "2", "URL": "http://$(IP):9464"}
    env += [{"name": name, "value": value} for name, value in plain.items()]
    seen = json.loads((await run(settings, manifest(PRINT_ENV, env=[*env, OUT])))["message"])
    expected = {
        "IP": "127.1.2.3",
        "NAME": "probe",
        "NS": "here",
        "NODE": "node-7",
        "APP": "x",
        "SLASH": "y",
        "NONE": "",
    }
    expected |= {"A": "1", "B": "1-$(LATER)-$(A)", "LATER": "2", "URL": "http://127.1.2.3:9464"}
    assert {name: seen.get(name) for name in expected} == expected
    assert seen.keys() - expected.keys() <= {"PATH", "HOME", "LANG", "PYTHONPATH", "TMPDIR", "OUT", "LC_CTYPE"}
    assert Path(seen["TMPDIR"]).is_relative_to(settings.root)


async def test_trainer_package_is_importable(settings: NodeSettings) -> None:
    assert (await run(settings, manifest(["python", "-c", "import hpo_trainer"])))["exitCode"] == 0


# --- volumes


async def test_paths_become_the_hosts(settings: NodeSettings, tmp_path: Path) -> None:
    data, claim = tmp_path / "data", tmp_path / "claim"
    for each in (data, claim):
        each.mkdir()
    (data / "in.txt").write_text("42")

    async def claims(namespace: str, name: str) -> Path | None:
        return claim if (namespace, name) == ("here", "work") else None

    settings = NodeSettings(settings.root, settings.host, settings.environment, claims)
    script = "import sys,pathlib; pathlib.Path(sys.argv[2], 'out.txt').write_text(open(sys.argv[1]).read())"
    pod = manifest(
        ["python", "-c", script],
        {
            "volumes": [
                {"name": "data", "hostPath": {"path": str(data)}},
                {"name": "work", "persistentVolumeClaim": {"claimName": "work"}},
                {"name": "tmp", "emptyDir": {}},
            ]
        },
        args=["$(HPO_DATA_DIR)/in.txt", "/data/deep", "--log=/tmp/log", "/database"],
        env=[
            {"name": "HPO_DATA_DIR", "value": "/data"},
            {"name": "TRIAL", "value": "t-3"},
            {"name": "DEEPER", "value": "/data/deep/x"},
            {"name": "SIBLING", "value": "/database"},
            {"name": "LIST", "value": '["/data"]'},
        ],
        volumeMounts=[
            {"name": "data", "mountPath": "/data"},
            {"name": "work", "mountPath": "/data/deep", "subPathExpr": "runs/$(TRIAL)"},
            {"name": "tmp", "mountPath": "/tmp/"},
        ],
    )
    process = PodProcess(pod, settings, "127.1.2.3")
    final = await process.run(Recorder())
    assert final["phase"] == "Succeeded", process.log_path.read_text()
    assert (claim / "runs" / "t-3" / "out.txt").read_text() == "42"

    pod["spec"]["containers"][0].update(command=PRINT_ENV)
    pod["spec"]["containers"][0]["env"].append(OUT)
    pod["metadata"]["uid"] = "uid-2"
    seen = json.loads((await run(settings, pod))["message"])
    assert seen["DEEPER"] == str(claim / "runs" / "t-3" / "x")
    assert (seen["SIBLING"], seen["LIST"]) == ("/database", '["/data"]')
    assert seen["TMPDIR"] == str(settings.root / "uid-2" / "volumes" / "tmp")


async def test_host_paths_under_a_mount_path_are_not_rewritten_twice(settings: NodeSettings) -> None:
    """The host's own /tmp holds the Pod's directories, and /tmp is a mount of the Pod."""
    pod = manifest(
        ["sh", "-c", 'test -d "$DIR" && test -d "$1"', "sh", "$(DIR)"],
        {"volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "ckpt", "emptyDir": {}}]},
        env=[{"name": "DIR", "value": "/ckpt"}],
        volumeMounts=[{"name": "tmp", "mountPath": "/tmp"}, {"name": "ckpt", "mountPath": "/ckpt"}],
    )
    assert (await run(settings, pod))["exitCode"] == 0


@pytest.mark.parametrize("path", ["../outside", "/etc"])
async def test_sub_path_stays_inside(settings: NodeSettings, path: str) -> None:
    mounts = [{"name": "v", "mountPath": "/v", "subPath": path}]
    pod = manifest(["true"], {"volumes": [{"name": "v", "emptyDir": {}}]}, volumeMounts=mounts)
    state = await _waiting(settings, pod)
    assert state["reason"] == "CreateContainerConfigError"
    assert "outside" in state["message"]


async def _waiting(settings: NodeSettings, pod: dict[str, Any]) -> dict[str, Any]:
    """The waiting state that the Pod gets stuck in; it is stopped then, and must end without having run."""
    recorder, process = Recorder(), PodProcess(pod, settings, "127.1.2.3")
    task = asyncio.create_task(process.run(recorder))
    state: dict[str, Any] = (await recorder.phase("Pending"))["containerStatuses"][0]["state"]["waiting"]
    await asyncio.sleep(0.2)
    assert len(recorder.statuses) == 1, "tried again many times, told once"
    process.stop()
    assert (await asyncio.wait_for(task, 5))["phase"] == "Pending"
    return state


async def test_missing_volume_waits_and_then_starts(settings: NodeSettings, tmp_path: Path) -> None:
    late = tmp_path / "late"
    volumes = [{"name": "v", "hostPath": {"path": str(late)}}]
    pod = manifest(["true"], {"volumes": volumes}, volumeMounts=[{"name": "v", "mountPath": "/v"}])
    recorder, process = Recorder(), PodProcess(pod, settings, "127.1.2.3")
    task = asyncio.create_task(process.run(recorder))
    waiting = (await recorder.phase("Pending"))["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "ContainerCreating"
    assert waiting["message"].startswith("FailedMount: ")
    assert str(late) in waiting["message"]
    late.mkdir()
    assert (await asyncio.wait_for(task, 10))["phase"] == "Succeeded"


@pytest.mark.parametrize(
    ("change", "reason", "message"),
    [
        ({"command": []}, "ImagePullBackOff", "without a command"),
        ({"command": [], "args": ["x"]}, "ImagePullBackOff", "without a command"),
        ({"envFrom": [{"configMapRef": {"name": "c"}}]}, "CreateContainerConfigError", "envFrom"),
        ({"env": [{"name": "S", "valueFrom": {"secretKeyRef": {}}}]}, "CreateContainerConfigError", "secretKeyRef"),
        ({"resources": {"limits": {"memory": "much"}}}, "CreateContainerConfigError", "'much'"),
        ({"volumeMounts": [{"name": "c", "mountPath": "/c"}]}, "ContainerCreating", "here/gone"),
        ({"volumeMounts": [{"name": "s", "mountPath": "/s"}]}, "ContainerCreating", "no secret"),
    ],
)
async def test_what_cannot_start_says_why(
    settings: NodeSettings, change: dict[str, Any], reason: str, message: str
) -> None:
    claim = {"name": "c", "persistentVolumeClaim": {"claimName": "gone"}}
    pod = manifest(["true"], {"volumes": [claim, {"name": "s", "secret": {"secretName": "s"}}]})
    pod["spec"]["containers"][0].update(change)
    state = await _waiting(settings, pod)
    assert state["reason"] == reason
    assert message in state["message"]


async def test_more_than_one_container_is_not_admitted(settings: NodeSettings) -> None:
    pod = manifest(["true"])
    pod["spec"]["initContainers"] = [{"name": "first", "image": "img"}]
    final = await PodProcess(pod, settings, "127.1.2.3").run(Recorder())
    assert (final["phase"], final["reason"]) == ("Failed", "UnsupportedPod")
    assert "first, main" in final["message"]


# --- commands


async def test_images_entrypoint_and_arguments(settings: NodeSettings) -> None:
    images = {"img": ImageConfig(("python", "-c", "import sys; sys.exit(len(sys.argv) - 1)"), ("a", "b"))}
    settings = NodeSettings(settings.root, settings.host, settings.environment, images=images)
    codes = []
    for number, container in enumerate([{}, {"args": ["x"]}, {"command": ["sh", "-c", "exit 7"]}]):
        pod = manifest([])
        pod["spec"]["containers"][0].update(container)
        pod["metadata"]["uid"] = f"uid-{number}"
        codes.append((await run(settings, pod))["exitCode"])
    assert codes == [2, 1, 7]


async def test_command_that_does_not_exist(settings: NodeSettings) -> None:
    state = await run(settings, manifest(["no-such-program"]))
    assert (state["phase"], state["exitCode"], state["reason"]) == ("Failed", 128, "StartError")
    assert "no-such-program" in state["message"]


# --- endings


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("512Mi", 512 << 20),
        ("1.5G", 1_500_000_000),
        ("1e9", 10**9),
        ("128974848", 128974848),
        ("128974848000m", 128974848),
    ],
)
def test_quantities(text: str, value: int) -> None:
    assert parse_bytes(text) == value


@pytest.mark.parametrize("text", ["", "Mi", "1.2.3", "12MB", "1 Gi"])
def test_no_quantities(text: str) -> None:
    with pytest.raises(ContainerWaitingError, match="expected a quantity"):
        parse_bytes(text)
