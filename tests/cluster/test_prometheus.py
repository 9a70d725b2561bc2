"""An objective that comes from a real Prometheus server: exact, never lost, never taken twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from stand.control_plane import ControlPlane
from stand.prometheus import PrometheusServer
from stand.studies import Raw, Studies, toy_study

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

TWICE = 'last_over_time(hpo_trial_metric{namespace="$(namespace)", pod="$(pod)", name="loss"}[1h]) * 2'
"""Not what the trial itself says: whoever has this number had it from Prometheus."""


@pytest.fixture
def running_server(prometheus_server: PrometheusServer) -> Iterator[PrometheusServer]:
    prometheus_server.start()
    yield prometheus_server
    prometheus_server.kill()


def asking(name: str, trials: int, mode: str, query: str = TWICE, **prometheus: Any) -> Raw:
    objective = {"metric": "loss", "direction": "Minimize", "prometheus": {"query": query} | prometheus}
    return toy_study(name, trials, parallelism=trials, mode=mode, objective=objective)


def expected(trial: Raw) -> float:
    """As the toy trainer computes it."""
    parameters = trial["spec"]["parameters"]
    return (float(parameters["x"]) - 0.7) ** 2 + (0.1 if parameters["kind"] == "b" else 0.0) + 1.0


def measured(studies: Studies, study: str) -> list[tuple[str, float]]:
    """Source and value, as a multiple of what the trial computed, of every measurement."""
    return [
        (m["source"], round(m["value"] / expected(trial), 12))
        for trial in studies.all("hpotrials", study)
        for m in trial["status"]["measurements"]
    ]


def test_what_prometheus_says_of_the_ended_pod_counts(studies: Studies, running_server: PrometheusServer) -> None:
    studies.apply(asking("asked", 3, "scraped"))
    study = studies.wait("asked")
    assert measured(studies, "asked") == [("Prometheus", 2.0)] * 3
    best = min(2 * expected(trial) for trial in studies.all("hpotrials", "asked"))
    assert study["status"]["best"]["value"] == pytest.approx(best, rel=1e-5)  # shown to six digits


def test_trials_too_short_to_be_scraped_report_for_themselves(
    studies: Studies, running_server: PrometheusServer
) -> None:
    studies.apply(asking("short", 2, "report"))
    studies.wait("short")
    assert measured(studies, "short") == [("TerminationMessage", 1.0)] * 2
    (said, _) = [message for reason, message in studies.events("short") if reason == "PrometheusNotUsed"]
    assert "Prometheus: expected one series, found none; its TerminationMessage counts instead" in said


def test_while_it_is_down_trials_wait_for_it(
    studies: Studies, control_plane: ControlPlane, running_server: PrometheusServer
) -> None:
    studies.apply(asking("patient", 2, "scraped"))
    studies.until_pods("patient", 2)
    seen = f'hpo_trial_metric{{name="loss", namespace="{studies.namespace}"}}'
    control_plane.wait_until(lambda: len(running_server.query(seen)) == 2, "Prometheus never saw both trials")
    running_server.kill()
    studies.until_pods("patient", 2, phase="Succeeded")

    def told() -> bool:
        status = studies.get("hpostudies", "patient")["status"]
        return any(c["type"] == "Progressing" and c["reason"] == "PrometheusUnavailable" for c in status["conditions"])

    control_plane.wait_until(told, "nobody said that Prometheus does not answer", seconds=60)
    assert [trial["status"]["measurements"] for trial in studies.all("hpotrials", "patient")] == [[], []]
    running_server.start()
    studies.wait("patient")
    assert measured(studies, "patient") == [("Prometheus", 2.0)] * 2


def test_a_query_that_is_none_does_not_lose_the_trial(studies: Studies, running_server: PrometheusServer) -> None:
    studies.apply(asking("typo", 1, "report", query="sum by ("))
    studies.wait("typo")
    assert measured(studies, "typo") == [("TerminationMessage", 1.0)]
    (said,) = [message for reason, message in studies.events("typo") if reason == "PrometheusNotUsed"]
    assert "the query was refused" in said


def test_a_server_that_the_installation_lacks_is_named(studies: Studies, control_plane: ControlPlane) -> None:
    studies.apply(asking("elsewhere", 1, "report", server="lab"))

    def told() -> str:
        return str(studies.get("hpostudies", "elsewhere").get("status", {}).get("message", ""))

    words = "the operator knows no Prometheus server 'lab'; it was installed with default"
    control_plane.wait_until(lambda: words in told(), f"never said: {words}", seconds=60)
