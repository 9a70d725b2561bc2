"""What a training script needs to take part in a study: read its parameters, report its metrics.

The one module for scripts of your own: it imports the standard library only, and works as a copied single file::

    from hpo_trainer.report import parameters, report

    p = parameters({"learningRate": 0.1})
    ...
    report({"accuracy": accuracy})

Outside a study the same script runs on the defaults and ``report`` only prints. The built-in trainer reports through
this module too, so there is one writer of the termination log. Called by itself, the module reads ``os.environ``;
everything below the module functions takes the environment as an argument.
"""

from __future__ import annotations

import json
import math
import os
import resource as _resource
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MESSAGE_BYTES = 4096
"""A longer termination message is cut by Kubernetes, and then is no JSON any more."""

EXIT_CODES: Mapping[str, int] = {
    "BadData": 65,
    "Interrupted": 75,
    "BadConfig": 78,
    "OutOfMemory": 80,
    "Diverged": 81,
    "Error": 1,
}
"""Reason of a failure -> exit code of the container."""

CURVE_POINTS = 500
"""The page of live metrics shows the objective at so many of the latest amounts: it is read only now and then."""

_STARTED = time.monotonic()


class Reporter:
    """Reports of one run: the termination log, standard output and, if asked for, a page of live metrics.

    ``environment`` is what the trial was given (``os.environ``); ``serve`` starts the page at the first report when the
    environment names an address.
    """

    def __init__(self, environment: Mapping[str, str], *, serve: bool) -> None:
        self._log = environment.get("HPO_TERMINATION_LOG")
        self._objective = environment.get("HPO_OBJECTIVE")
        self._resource_name = environment.get("HPO_RESOURCE_NAME", "resource")
        self._environment = environment
        self._serve = serve
        self._page: MetricsPage | None = None

    def report(
        self, metrics: Mapping[str, float], *, resource: int | None = None, peak_memory_bytes: int | None = None
    ) -> None:
        """Make ``metrics`` the trial's measurement; the last call counts.

        ``resource`` is the cumulative amount (epochs, ...) reached; the peak memory defaults to the process's own.
        Raises TypeError for a value that is no number.
        """
        values = {name: _number(name, value) for name, value in metrics.items()}
        if self._objective is not None and self._objective not in values:
            print(f"hpo: the study optimises {self._objective!r}, reported are {sorted(values)}", file=sys.stderr)
        at = "" if resource is None else f" ({self._resource_name} {resource})"
        print("  ".join(f"{name}={value:.6g}" for name, value in values.items()) + at, flush=True)
        message: dict[str, Any] = {"hpo": "measurement", "metrics": values}
        if resource is not None:
            message["resource"] = int(resource)
        message["seconds"] = round(time.monotonic() - _STARTED, 3)
        message["peakMemoryBytes"] = peak_memory_bytes or host_memory_peak_bytes()
        self._write(message)
        if self._serve:
            self._update_page(values, resource)

    def fail(self, reason: str, message: str, *, peak_memory_bytes: int | None = None) -> int:
        """Say why the trial failed; returns the exit code that belongs to ``reason`` (1 for one of your own)."""
        print(f"hpo: {reason}: {message}", file=sys.stderr, flush=True)
        peak = peak_memory_bytes or host_memory_peak_bytes()
        self._write({"hpo": "failure", "reason": reason, "message": message, "peakMemoryBytes": peak})
        return EXIT_CODES.get(reason, 1)

    def _write(self, message: dict[str, Any]) -> None:
        """In place: the log is a mounted file, so nothing can be renamed over it.

        The new line goes over the start of the old one in a single write, and then the rest is cut off. Killed in
        between, the file holds the new line and a tail of the old, which is no JSON object.
        """
        if self._log is None:
            return
        line = encode(message, keep=self._objective)
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(descriptor, line, 0)
            os.ftruncate(descriptor, len(line))
        finally:
            os.close(descriptor)

    def _update_page(self, values: Mapping[str, float], resource: int | None) -> None:
        host, port = self._environment.get("HPO_METRICS_HOST"), self._environment.get("HPO_METRICS_PORT")
        if self._page is None and host and port:
            try:
                self._page = MetricsPage(host, int(port), self._environment.get("HPO_TRIAL"), self._objective)
            except OSError as error:
                self._serve = False  # the measurement does not depend on the page
                print(f"hpo: no /metrics at {host}:{port}: {error}", file=sys.stderr, flush=True)
        if self._page is not None:
            self._page.update(values, resource)


class MetricsPage:
    """``/metrics`` in the Prometheus text format, served by a daemon thread of the standard library alone."""

    def __init__(self, host: str, port: int, trial: str | None = None, objective: str | None = None) -> None:
        self._trial, self._objective = trial, objective
        self._curve: dict[int, float] = {}
        self._lock = threading.Lock()
        self._metrics: dict[str, float] = {}
        self._resource: int | None = None
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = page.text().encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """A line per scrape would drown the script's own output."""

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            daemon_threads = True

        self._server = Server((host, port), Handler)
        threading.Thread(target=self._server.serve_forever, name="hpo-metrics", daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def update(self, metrics: Mapping[str, float], resource: int | None) -> None:
        with self._lock:
            self._metrics.update(metrics)
            self._resource = self._resource if resource is None else resource
            if resource is not None and self._objective is not None and self._objective in metrics:
                self._curve[resource] = metrics[self._objective]
                if len(self._curve) > CURVE_POINTS:
                    del self._curve[min(self._curve)]

    def text(self) -> str:
        with self._lock:
            metrics, reached, curve = dict(self._metrics), self._resource, dict(self._curve)
        lines = ["# TYPE hpo_trial_metric gauge"]
        lines += [f'hpo_trial_metric{{name="{_escape(name)}"}} {_sample(value)}' for name, value in metrics.items()]
        if self._trial is not None:
            lines += ["# TYPE hpo_trial_info gauge", f'hpo_trial_info{{trial="{_escape(self._trial)}"}} 1']
        if reached is not None:
            lines += ["# TYPE hpo_trial_resource gauge", f"hpo_trial_resource {reached}"]
        if curve and self._objective is not None:
            name = _escape(self._objective)
            lines += ["# TYPE hpo_trial_curve gauge"]
            lines += [f'hpo_trial_curve{{name="{name}",resource="{r}"}} {_sample(v)}' for r, v in curve.items()]
        lines += ["# TYPE hpo_trial_host_memory_peak_bytes gauge"]
        lines += [f"hpo_trial_host_memory_peak_bytes {host_memory_peak_bytes()}"]
        return "\n".join(lines) + "\n"


def encode(message: dict[str, Any], *, keep: str | None = None) -> bytes:
    """One line of JSON of at most MESSAGE_BYTES.

    Numbers that JSON does not have become "NaN", "Infinity", "-Infinity". Too long a text is cut; of too many metrics
    the last ones are left out, never the one called ``keep``, and a line on standard error says so.
    """
    if "metrics" not in message:
        return _line(message | {"message": _cut(message)})
    metrics = {name: _json_number(value) for name, value in message["metrics"].items()}
    message = message | {"metrics": metrics}
    dropped = []
    while len(_line(message)) > MESSAGE_BYTES:
        dropped.append(next(name for name in reversed(metrics) if name != keep))
        del metrics[dropped[-1]]
    if dropped:
        print(f"hpo: {len(dropped)} metrics do not fit into the message: {', '.join(dropped)}", file=sys.stderr)
    return _line(message)


def host_memory_peak_bytes() -> int:
    """Peak resident memory of this process.

    Linux's VmHWM rather than getrusage where there is one: the latter starts with the parent's peak after a fork.
    """
    try:
        for row in Path("/proc/self/status").read_text().splitlines():
            if row.startswith("VmHWM:"):
                return int(row.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    unit = 1 if sys.platform == "darwin" else 1024
    return _resource.getrusage(_resource.RUSAGE_SELF).ru_maxrss * unit


def _line(message: dict[str, Any]) -> bytes:
    text = json.dumps(message, ensure_ascii=False, allow_nan=False)
    return text.encode(errors="replace") + b"\n"  # file names that are no UTF-8 carry lone surrogates


def _cut(message: dict[str, Any]) -> str:
    """The message's text, shortened at its end by as little as makes the line fit."""
    text, room = str(message["message"]), MESSAGE_BYTES - len(_line(message | {"message": "…"}))
    if len(_line(message)) <= MESSAGE_BYTES:
        return text
    while len(json.dumps(text, ensure_ascii=False).encode(errors="replace")) - 2 > room:
        text = text[: len(text) - 1 - len(text) // 16]
    return text + "…"


def _number(name: str, value: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"report: expected a number for metric {name!r}, found {value!r}") from None


def _json_number(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")


def _sample(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return repr(value) if math.isfinite(value) else ("+Inf" if value > 0 else "-Inf")


def _escape(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


_default: Reporter | None = None


def _reporter() -> Reporter:
    global _default
    if _default is None:
        _default = Reporter(os.environ, serve=True)
    return _default


def report(metrics: Mapping[str, float], *, resource: int | None = None) -> None:
    """Make ``metrics`` the trial's measurement, and show them on ``/metrics``. Call it as often as you like.

    ``resource`` is the cumulative amount of the study's fidelity (epochs, iterations, ...) that they were reached with.
    """
    _reporter().report(metrics, resource=resource)


def report_failure(reason: str, message: str) -> int:
    """Say why this trial cannot be measured; use as ``sys.exit(report_failure("Diverged", "the loss is NaN"))``.

    ``reason`` is one of EXIT_CODES, or a word of your own.
    """
    return _reporter().fail(reason, message)


def parameters(defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The trial's parameters by name, over ``defaults`` for what the study does not tune (or outside a study)."""
    return dict(defaults or {}) | dict(json.loads(os.environ.get("HPO_PARAMETERS") or "{}"))


def resource(default: int | None = None) -> int | None:
    """The cumulative amount to train to, or ``default`` where the study has no fidelity."""
    text = os.environ.get("HPO_RESOURCE")
    return int(text) if text else default


def seed() -> int:
    """The trial's seed, 0 outside a study."""
    return int(os.environ.get("HPO_SEED") or 0)


def data_dir() -> Path:
    """The data volume; the current folder outside a study."""
    return Path(os.environ.get("HPO_DATA_DIR") or ".")


def checkpoint_dir() -> Path:
    """A folder of this trial alone that outlives interruptions and rungs; outside a study a fresh temporary one."""
    folder = Path(os.environ.get("HPO_CHECKPOINT_DIR") or tempfile.mkdtemp(prefix="hpo-checkpoint-"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
