"""Prometheus and `promtool`: those on the PATH, else out of Debian's package, in the cache; a server on the stand."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from stand.build import build_lock, cache_directory
from stand.cluster import SOURCE_ROOTS
from stand.control_plane import ControlPlane
from stand.debian import DebianError, PrivateApt, release
from stand.operator_process import free_port

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("prometheus", "promtool")
ADDED = (("namespace", "namespace"), ("pod_name", "pod"))


class NoPrometheusError(Exception):
    """There is none here and none can be had; the message says why and what to do."""


@dataclass(frozen=True)
class Binaries:
    """``server``: Prometheus itself. ``promtool``: its checker of rules and metrics."""

    server: Path
    promtool: Path


def ensure(environ: Mapping[str, str]) -> Binaries:
    """The binaries.

    Raises:
        NoPrometheusError: there are none, and this machine cannot fetch them.
    """
    on_path = [shutil.which(name, path=environ.get("PATH")) for name in NAMES]
    if all(on_path):
        return Binaries(*(Path(str(path)) for path in on_path))
    name, codename = release()
    target = cache_directory(environ).parent / f"prometheus-{codename}"
    if not target.exists():
        if name != "debian" or not shutil.which("apt-get", path=environ.get("PATH")):
            raise NoPrometheusError(
                "Prometheus is fetched from Debian's packages only: put it and promtool on the PATH"
            )
        with build_lock(target):
            _fetch(target, codename)
    return Binaries(*(target / name for name in NAMES))


def _fetch(target: Path, codename: str) -> None:
    with tempfile.TemporaryDirectory(prefix=".prometheus-", dir=target.parent) as work:
        if target.exists():  # another program was faster
            return
        try:
            apt = PrivateApt(Path(work) / "apt", codename)
            apt.update()
            apt.download(["prometheus"], Path(work) / "root")
        except DebianError as error:
            raise NoPrometheusError(f"no Prometheus on the PATH, and it cannot be fetched: {error}") from error
        (Path(work) / "root/usr/bin").rename(target)


class PrometheusServer:
    """Scrapes all trials of a control plane, and its operator. May be killed and started again."""

    def __init__(self, plane: ControlPlane, binaries: Binaries, port: int, operator_port: int) -> None:
        self._plane, self._binaries, self._port, self._operator_port = plane, binaries, port, operator_port
        self._folder = plane.directory / "prometheus"
        self._discovery = free_port()
        self.address = f"http://127.0.0.1:{port}"

    def start(self) -> None:
        """Returns once it answers questions."""
        self._folder.mkdir(exist_ok=True)
        configuration = self._folder / "prometheus.yml"
        configuration.write_text(yaml.safe_dump(self._configuration()))
        if "discovery" not in self._plane.processes:
            self._start_discovery()
        argv: list[str | Path] = [
            self._binaries.server,
            f"--config.file={configuration}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]
        self._plane.launch("prometheus", argv)
        self._plane.wait_until(self._is_ready, "Prometheus does not become ready")

    def _configuration(self) -> dict[str, Any]:
        operator = {"targets": [f"127.0.0.1:{self._operator_port}"]}
        found = {"url": f"http://127.0.0.1:{self._discovery}/targets", "refresh_interval": "1s"}
        return {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "400ms"},
            "scrape_configs": [
                {"job_name": "trials", "http_sd_configs": [found], "relabel_configs": chart_relabelings()},
                {"job_name": "hpo-operator", "static_configs": [operator], "honor_labels": True},
            ],
        }

    def _start_discovery(self) -> None:
        argv: list[str | Path] = [sys.executable, "-m", "stand.discovery"]
        argv += ["--kubeconfig", self._plane.kubeconfig, "--port", str(self._discovery)]
        roots = os.pathsep.join(map(str, SOURCE_ROOTS))
        self._plane.launch("discovery", argv, {"PATH": os.environ["PATH"], "PYTHONPATH": roots})

    def kill(self) -> None:
        """What it has stored stays."""
        self._plane.kill("prometheus")

    def query(self, text: str) -> list[dict[str, Any]]:
        """The series of an instant query's result, each with ``metric`` and ``value``."""
        with urllib.request.urlopen(
            f"{self.address}/api/v1/query?{urlencode({'query': text})}", timeout=10
        ) as response:
            found: list[dict[str, Any]] = json.load(response)["data"]["result"]
        return found

    def over_time(self, text: str, start: float, end: float, step: float = 1.0) -> list[dict[str, Any]]:
        """The series of a range query, each with ``metric`` and ``values``; times in seconds since the epoch."""
        asked = urlencode({"query": text, "start": start, "end": end, "step": step})
        with urllib.request.urlopen(f"{self.address}/api/v1/query_range?{asked}", timeout=30) as response:
            found: list[dict[str, Any]] = json.load(response)["data"]["result"]
        return found

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/-/ready", timeout=1) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def chart_relabelings() -> list[dict[str, Any]]:
    """Those of the chart's PodMonitor, in Prometheus' own words, and what its operator adds."""
    template = (ROOT / "helm/hpo-operator/templates/podmonitor.yaml").read_text()
    lines = [line.strip() for line in template.splitlines() if line.strip().startswith("- {sourceLabels")]
    given = [yaml.safe_load(line)[0] for line in lines]
    given += [{"sourceLabels": [f"__meta_kubernetes_{source}"], "targetLabel": target} for source, target in ADDED]
    return [{"source_labels": each["sourceLabels"], "target_label": each["targetLabel"]} for each in given]
