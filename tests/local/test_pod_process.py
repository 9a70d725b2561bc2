"""A Pod as a process, against what a kubelet does: every test runs real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hpo_operator.local.pod_launch import ImageConfig, base_environment, parse_bytes
from hpo_operator.local.pod_process import NodeSettings, PodProcess
from hpo_operator.local.pod_volumes import ContainerWaitingError
from hpo_operator.local.process_group import ProcessHost
from hpo_operator.local.variables import expand

SOURCE_ROOTS = [Path(entry) for entry in sys.path if entry.endswith(("operator", "trainer-image"))]
PRINT_ENV = ["python", "-c", "import json,os; open(os.environ['OUT'],'w').write(json.dumps(dict(os.environ)))"]
OUT = {"name": "OUT", "value": "/dev/termination-log"}


def manifest(command: list[str], spec: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "probe", "namespace": "here", "uid": "uid-1", "labels": {"app": "x", "a.b/c": "y"}},
        "spec": {"containers": [{"name": "main", "image": "img", "command": command, **container}], **(spec or {})},
    }


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[NodeSettings]:
    with ProcessHost() as host:
        environment = base_environment(os.environ, SOURCE_ROOTS)
        yield NodeSettings(tmp_path / "pods", host, environment, node_name="node-7", retry_seconds=0.05)


class Recorder:
    """Collects statuses; tells when a phase was reached."""

    def __init__(self) -> None:
        self.statuses: list[dict[str, Any]] = []
        self._changed = asyncio.Event()

    async def __call__(self, status: dict[str, Any]) -> None:
        self.statuses.append(status)
        self._changed.set()

    async def phase(self, phase: str) -> dict[str, Any]:
        while not self.statuses or self.statuses[-1]["phase"] != phase:
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 20)
        return self.statuses[-1]


async def run(settings: NodeSettings, pod: dict[str, Any]) -> dict[str, Any]:
    """The terminated state of the Pod's container, with the phase."""
    final = await PodProcess(pod, settings, "127.1.2.3").run(Recorder())
    return {"phase": final["phase"], **final["containerStatuses"][0]["state"]["terminated"]}


# --- expansion: the cases of k8s.io/kubernetes/third_party/forked/golang/expansion/expand_test.go


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


async def test_statuses_over_a_life(settings: NodeSettings) -> None:
    recorder = Recorder()
    process = PodProcess(manifest(["sh", "-c", "echo out; echo err >&2; exit 3"]), settings, "127.1.2.3")
    final = await process.run(recorder)
    assert [status["phase"] for status in recorder.statuses] == ["Running", "Failed"]
    running = recorder.statuses[0]
    assert running["podIP"] == "127.1.2.3"
    assert {c["type"]: c["status"] for c in running["conditions"]}["Ready"] == "True"
    assert {c["type"]: c["status"] for c in final["conditions"]}["Ready"] == "False"
    state = final["containerStatuses"][0]["state"]["terminated"]
    assert (state["exitCode"], state["reason"], "message" in state) == (3, "Error", False)
    assert state["startedAt"] <= state["finishedAt"]
    assert process.log_path.read_text() == "out\nerr\n"
    process.remove()
    assert not process.directory.exists()


async def test_termination_message_is_cut_at_4096_bytes(settings: NodeSettings) -> None:
    command = ["python", "-c", "import os; open(os.environ['OUT'], 'w').write('x' * 5000)"]
    state = await run(settings, manifest(command, env=[OUT]))
    assert (state["reason"], state["message"]) == ("Completed", "x" * 4096)


async def test_termination_message_path_of_the_pods_choice(settings: NodeSettings) -> None:
    command = ["sh", "-c", 'echo hello > "$1"', "sh", "/run/done"]
    assert (await run(settings, manifest(command, terminationMessagePath="/run/done")))["message"] == "hello\n"


@pytest.mark.parametrize(("code", "lines", "written", "expected"), [
    (1, 100, "", "".join(f"line {n}\n" for n in range(20, 100))),
    (0, 100, "", None),
    (1, 100, "told", "told"),
])  # fmt: skip
async def test_fallback_to_logs(
    settings: NodeSettings, code: int, lines: int, written: str, expected: str | None
) -> None:
    script = f"import os; [print('line', n) for n in range({lines})]; open(os.environ['OUT'], 'w').write({written!r})"
    command = ["python", "-c", f"{script}; raise SystemExit({code})"]
    state = await run(settings, manifest(command, env=[OUT], terminationMessagePolicy="FallbackToLogsOnError"))
    assert state.get("message") == expected


async def test_fallback_is_cut_at_2048_bytes(settings: NodeSettings) -> None:
    command = ["python", "-c", "print('y' * 9000, end=''); raise SystemExit(1)"]
    state = await run(settings, manifest(command, terminationMessagePolicy="FallbackToLogsOnError"))
    assert state["message"] == "y" * 2048


# --- stopping


PATIENT = (
    "import signal,sys,time; signal.signal(signal.SIGTERM, lambda *_: {}); print('up', flush=True); time.sleep(60)"
)


async def _started(
    settings: NodeSettings, pod: dict[str, Any], says: str
) -> tuple[PodProcess, asyncio.Task[dict[str, Any]]]:
    """A Pod that runs and has written ``says`` to its log."""
    process = PodProcess(pod, settings, "127.1.2.3")
    task = asyncio.create_task(process.run(Recorder()))
    async with asyncio.timeout(20):
        while not process.log_path.exists() or says not in process.log_path.read_text():
            assert not task.done()
            await asyncio.sleep(0.02)
    return process, task


def _terminated(status: dict[str, Any]) -> dict[str, Any]:
    return dict(status["containerStatuses"][0]["state"]["terminated"])


async def test_stop_gives_time_to_end_well(settings: NodeSettings) -> None:
    command = ["python", "-c", PATIENT.format("sys.exit(75)")]
    process, task = await _started(settings, manifest(command), "up")
    process.stop(20)
    state = _terminated(await asyncio.wait_for(task, 10))
    assert (state["exitCode"], state["reason"]) == (75, "Error")


async def test_stop_kills_after_the_grace_period(settings: NodeSettings) -> None:
    process, task = await _started(settings, manifest(["python", "-c", PATIENT.format("None")]), "up")
    began = time.monotonic()
    process.stop(0.5)
    state = _terminated(await asyncio.wait_for(task, 10))
    assert time.monotonic() - began >= 0.5
    assert (state["exitCode"], state["signal"]) == (137, 9)


async def test_a_second_stop_can_shorten_the_grace_period(settings: NodeSettings) -> None:
    process, task = await _started(settings, manifest(["python", "-c", PATIENT.format("None")]), "up")
    process.stop()
    await asyncio.sleep(0.1)
    process.stop(0)
    assert _terminated(await asyncio.wait_for(task, 5))["exitCode"] == 137


async def test_only_the_first_process_is_told_but_all_end(settings: NodeSettings) -> None:
    """A data loader that got the SIGTERM too would take the trainer down before its checkpoint is written."""
    worker = "import signal,time; signal.signal(signal.SIGTERM, lambda *_: print('worker told')); time.sleep(60)"
    lead = (
        "import signal,subprocess,sys,time\n"
        f"child = subprocess.Popen([sys.executable, '-u', '-c', {worker!r}])\n"
        "def end(*_):\n    time.sleep(0.3)\n    sys.exit(5 if child.poll() is None else 6)\n"
        "signal.signal(signal.SIGTERM, end)\nprint('child', child.pid, flush=True)\ntime.sleep(60)\n"
    )
    process, task = await _started(settings, manifest(["python", "-c", lead]), "child")
    child = int(process.log_path.read_text().split()[1])
    process.stop(20)
    assert _terminated(await asyncio.wait_for(task, 10))["exitCode"] == 5
    assert "worker told" not in process.log_path.read_text()
    await _gone(child)


async def test_cancelling_kills(settings: NodeSettings) -> None:
    process, task = await _started(settings, manifest(["sh", "-c", "echo pid $$$$; sleep 60"]), "pid")
    pid = int(process.log_path.read_text().split()[1])
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _gone(pid)


async def test_active_deadline(settings: NodeSettings) -> None:
    spec = {"activeDeadlineSeconds": 1, "terminationGracePeriodSeconds": 5}
    final = await PodProcess(manifest(["sleep", "60"], spec), settings, "127.1.2.3").run(Recorder())
    assert (final["phase"], final["reason"]) == ("Failed", "DeadlineExceeded")
    assert _terminated(final)["exitCode"] == 143


# --- memory


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory limits are read from /proc (Linux)")
async def test_memory_limit(settings: NodeSettings) -> None:
    hog = (
        "import subprocess,sys; sys.exit(subprocess.call([sys.executable, '-c', 'b = bytearray(300 << 20); input()']))"
    )
    hog = hog.replace("input()", "import time; time.sleep(60)")
    limits = {"limits": {"memory": "128Mi"}}
    state = await asyncio.wait_for(run(settings, manifest(["python", "-c", hog], resources=limits)), 30)
    assert (state["phase"], state["exitCode"], state["reason"]) == ("Failed", 137, "OOMKilled")


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory limits are read from /proc (Linux)")
async def test_memory_shared_by_forks_counts_once(settings: NodeSettings) -> None:
    """Four processes that share 120 MB after a fork have 480 MB of resident sets, and use 120."""
    script = "import os,time; b = bytearray(120 << 20); os.fork(); os.fork(); time.sleep(2.5); os._exit(0)"
    limits = {"limits": {"memory": "256Mi"}}
    assert (await run(settings, manifest(["python", "-c", script], resources=limits)))["reason"] == "Completed"


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


# --- the node's own end

NODE = """
import asyncio, sys
from pathlib import Path
from hpo_operator.local.pod_process import NodeSettings, PodProcess
from hpo_operator.local.process_group import ProcessHost

async def report(status):
    print(status["phase"], flush=True)

async def main():
    pod = {"metadata": {"name": "a", "uid": "u"}, "spec": {"containers": [
        {"name": "c", "command": ["sh", "-c", "sleep 100 & echo $$$$ $!; wait"]}]}}
    with ProcessHost() as host:
        await PodProcess(pod, NodeSettings(Path(sys.argv[1]), host, {"PATH": "/usr/bin:/bin"}), "127.1.2.3").run(report)

asyncio.run(main())
"""


@pytest.fixture
def dead_node(tmp_path: Path) -> tuple[Path, list[int]]:
    """Root and process numbers of a Pod whose node was killed with SIGKILL while it ran."""
    environ = base_environment(os.environ, SOURCE_ROOTS)
    node = subprocess.Popen([sys.executable, "-c", NODE, str(tmp_path)], env=environ, stdout=subprocess.PIPE)
    assert node.stdout is not None
    assert node.stdout.readline() == b"Running\n"
    log = tmp_path / "u" / "log"
    while len(log.read_text().split()) < 2:
        time.sleep(0.02)
    numbers = [int(word) for word in log.read_text().split()]
    for number in numbers:
        os.kill(number, 0)
    node.send_signal(signal.SIGKILL)
    node.wait()
    node.stdout.close()
    return tmp_path, numbers


async def _gone(pid: int) -> None:
    """A killed process is gone, or waits as a zombie for a parent that does not reap."""
    async with asyncio.timeout(5):
        while True:
            if _ended(pid):
                return
            await asyncio.sleep(0.02)


def _ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc (Linux)")
async def test_children_and_grandchildren_die_with_the_node(dead_node: tuple[Path, list[int]]) -> None:
    for number in dead_node[1]:
        await _gone(number)


async def test_a_later_node_reports_what_was_lost(dead_node: tuple[Path, list[int]], settings: NodeSettings) -> None:
    pod = manifest(["sh", "-c", "exit 0"])
    pod["metadata"]["uid"] = "u"
    again = NodeSettings(dead_node[0], settings.host, settings.environment)
    final = await PodProcess(pod, again, "127.9.9.9").run(Recorder())
    assert final["podIPs"] == [{"ip": "127.1.2.3"}], "the address that the Pod had"
    assert (final["phase"], _terminated(final)["reason"]) == ("Failed", "ContainerStatusUnknown")


async def test_a_later_node_finds_what_had_ended(settings: NodeSettings) -> None:
    first = await PodProcess(manifest(["sh", "-c", "exit 3"]), settings, "127.1.2.3").run(Recorder())
    recorder = Recorder()
    again = await PodProcess(manifest(["sh", "-c", "exit 0"]), settings, "127.9.9.9").run(recorder)
    assert again == first
    assert recorder.statuses == [first]


async def test_a_killed_guard_is_replaced(settings: NodeSettings) -> None:
    _, task = await _started(settings, manifest(["sh", "-c", "echo pid $$$$; sleep 60"]), "pid")
    settings.host._guard.kill()
    settings.host._guard.wait()
    pod = manifest(["true"])
    pod["metadata"]["uid"] = "uid-2"
    assert (await run(settings, pod))["exitCode"] == 0
    settings.host.close()
    assert _terminated(await asyncio.wait_for(task, 5))["exitCode"] == 137


async def test_many_quick_pods(settings: NodeSettings) -> None:
    """No thread for each Pod, and nothing left behind."""
    threads, descriptors = threading.active_count(), _open_descriptors()
    pods = [manifest(["true"]) | {"metadata": {"name": "p", "uid": f"many-{n}"}} for n in range(100)]
    states = await asyncio.gather(*(run(settings, pod) for pod in pods))
    assert {state["exitCode"] for state in states} == {0}
    assert (threading.active_count(), _open_descriptors()) == (threads, descriptors)


def _open_descriptors() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())
