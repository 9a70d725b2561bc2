"""Every query of every dashboard and alert finds data, while a real study trains and a real Prometheus scrapes it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stand import panels
from stand.cluster import SOURCE_ROOTS
from stand.prometheus import PrometheusServer
from stand.studies import Studies, small_brain_study

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(600)]

ONLY_WITH_A_GPU = ("hpo_trial_gpu_memory_bytes", "hpo_trial_gpu_memory_peak_bytes")


@dataclass(frozen=True)
class Observed:
    """A study that was scraped from ``start`` to ``end``."""

    server: PrometheusServer
    variables: dict[str, str]
    start: float
    end: float


@pytest.fixture
def observed(studies: Studies, prometheus_server: PrometheusServer, tmp_path: Path) -> Iterator[Observed]:
    data, checkpoints = tmp_path / "data", tmp_path / "checkpoints"
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, SOURCE_ROOTS))}
    subprocess.run([sys.executable, "-m", "hpo_trainer.demo_data", str(data)], check=True, env=environ)
    checkpoints.mkdir()
    studies.claim("brain-mri", data)
    studies.claim("checkpoints", checkpoints)
    study = small_brain_study()
    study["spec"]["budget"] = {"trials": 5, "parallelism": 2}
    study["spec"]["fidelity"] |= {"min": 3, "max": 9}
    start = time.time()
    prometheus_server.start()
    studies.apply(study)
    studies.wait("brain-tissue", "Succeeded", seconds=500)
    end = time.time()
    scraped = prometheus_server.over_time(f'hpo_trial_metric{{namespace="{studies.namespace}"}}', start, end)
    longest = max(scraped, key=lambda each: len(each["values"]))["metric"]["trial"]
    variables = {"namespace": studies.namespace, "study": "brain-tissue", "metric": "dice", "trial": longest}
    yield Observed(prometheus_server, variables, start, end)
    prometheus_server.kill()


def test_every_panel_and_alert_finds_its_series(observed: Observed) -> None:
    missing = []
    for question in [*panels.of_boards(observed.variables), *panels.of_alerts()]:
        series = panels.numbers(observed.server.over_time(question.text, observed.start, observed.end))
        needs_gpu = question.text.startswith(ONLY_WITH_A_GPU)
        print(f"{question.where:45} {'needs a GPU' if needs_gpu else series:>12}  {question.text}")
        if not series and not needs_gpu:
            missing.append(question)
    if "HPO_PICTURES" in os.environ:  # make test-monitoring
        for board in ("study", "trial", "operator"):
            to = Path(os.environ["HPO_PICTURES"]) / f"dashboard-{board}.png"
            panels.draw(board, observed.server, observed.variables, observed.start, observed.end, to)
    assert missing == []
