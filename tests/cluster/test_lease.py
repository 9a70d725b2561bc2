"""Two operators by mistake, or on purpose: one acts. Killed, frozen or told to stop, it is followed by the other."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from stand.control_plane import ControlPlane
from stand.operator_process import NAMESPACE, OperatorProcess
from stand.studies import Studies, toy_study

pytestmark = pytest.mark.cluster


def holder(plane: ControlPlane) -> str:
    path = "{.items[*].spec.holderIdentity}"
    return plane.kubectl("-n", NAMESPACE, "get", "lease", "-o", f"jsonpath={path}")


def until(true: Callable[[], bool], otherwise: str, seconds: float = 60.0) -> None:
    """As the control plane's, but operators may have ended."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)


def page(operator: OperatorProcess, path: str) -> str:
    """Empty while nothing answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{operator.port}{path}", timeout=10) as response:
            return str(response.read().decode())
    except urllib.error.URLError:
        return ""


@pytest.fixture
def second(operator: OperatorProcess, control_plane: ControlPlane) -> Iterator[OperatorProcess]:
    """Another operator, standing by while the first one acts; afterwards the first one acts again."""
    if not operator.daemon.alive():
        operator.start()
    until(lambda: holder(control_plane) == "operator", "the first operator does not act")
    process = OperatorProcess(control_plane, sample_seconds=0.5, name="second")
    process.start()
    until(lambda: page(process, "/readyz") == "standing by\n", "the second operator is not ready")
    yield process
    control_plane.end("second")
    if not operator.daemon.alive():
        operator.start()
    until(lambda: holder(control_plane) == "operator", "the first operator does not act again")


def test_the_one_that_stands_by_takes_over_from_one_that_was_killed(
    studies: Studies, operator: OperatorProcess, second: OperatorProcess, control_plane: ControlPlane
) -> None:
    studies.apply(toy_study("followed", trials=12, parallelism=2, mode="slow"))
    studies.until_pods("followed", 2)
    assert holder(control_plane) == "operator"
    assert "hpo_operator_leader 0.0" in page(second, "/metrics")
    operator.daemon.kill()
    study = studies.wait("followed", "Succeeded")
    assert holder(control_plane) == "second"
    assert "hpo_operator_leader 1.0" in page(second, "/metrics")
    assert study["status"]["progress"] == "12/12"
    assert len(studies.all("pods", "followed")) == 12


def test_one_that_is_told_to_stop_hands_over(
    operator: OperatorProcess, second: OperatorProcess, control_plane: ControlPlane
) -> None:
    operator.daemon.stop(grace_seconds=30)
    assert holder(control_plane) in ("", "second")
    until(lambda: holder(control_plane) == "second", "nobody followed")


def test_one_that_was_frozen_ends_when_it_wakes(
    studies: Studies, operator: OperatorProcess, second: OperatorProcess, control_plane: ControlPlane
) -> None:
    """It cannot know what happened meanwhile: it starts anew rather than act beside its successor."""
    operator.daemon.signal(signal.SIGSTOP)
    until(lambda: holder(control_plane) == "second", "nobody followed")
    operator.daemon.signal(signal.SIGCONT)
    until(lambda: not operator.daemon.alive(), "it acts beside its successor")
    lines = [json.loads(line)["message"] for line in operator.log.read_text().splitlines()[-20:]]
    assert any("the lease" in line for line in lines), lines
    studies.apply(toy_study("after-all", trials=2))
    studies.wait("after-all", "Succeeded")
