"""A Pod as a process, against what a kubelet does: every test runs real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hpo_operator.local.pod_launch import base_environment
from hpo_operator.local.pod_process import NodeSettings, PodProcess
from local.pods import OUT, SOURCE_ROOTS, Recorder, manifest, run


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
