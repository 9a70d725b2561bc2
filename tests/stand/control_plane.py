"""A real Kubernetes control plane on one address: etcd, API server, controller manager, scheduler; RBAC is on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from hpo_operator.local.process_group import ProcessHost
from stand import components, daemons
from stand.build import Assets
from stand.credentials import ADMIN, IDENTITIES, Credentials, write_kubeconfig
from stand.daemons import Daemon

LOOPBACK = "127.0.0.1"
PORTS = ("etcd", "etcd-peer", "apiserver")
READY_SECONDS = 60.0
STOP_SECONDS = 1.0
TOKEN_SECONDS = 24 * 3600
_LOOK_SECONDS = 0.05
_OWN_FILES = ("credentials", "etcd", "kubeconfigs", "kubectl", "pods", "kubeconfig", "state.json")


class ControlPlaneError(Exception):
    """The control plane is not in the state that the call needs; the message says which and what to do."""


class ControlPlane:
    """One control plane in one directory: data, credentials, logs, the numbers of its processes.

    As a context manager its processes end with the block, and with this program, however that ends. ``start`` and
    ``stop`` by themselves leave them running detached, for another program to find by the same directory.
    """

    def __init__(self, directory: Path, assets: Assets | None = None, address: str = LOOPBACK) -> None:
        """``address``: the API server's, one of this machine; containers reach no loopback address."""
        self.address = address
        self.directory = directory.resolve()
        self.kubeconfig = self.directory / "kubeconfig"
        self.credentials = Credentials(self.directory / "credentials")
        self.processes: dict[str, Daemon] = {}
        self._given_assets = assets
        self._ports: dict[str, int] = {}
        self._cleanup = ExitStack()
        self._host: ProcessHost | None = None
        self._load()

    @property
    def _assets(self) -> Assets:
        if self._given_assets is None:
            raise ControlPlaneError("no binaries were given: only what runs already can be looked at and ended")
        return self._given_assets

    @property
    def server(self) -> str:
        return f"https://{self.address}:{self._ports['apiserver']}"

    @cached_property
    def minor_version(self) -> int:
        """The API server's: 20 for 1.20."""
        return components.minor_version(self._assets.kube_apiserver)

    @property
    def port(self) -> int:
        return self._ports["apiserver"]

    def start(self) -> None:
        """Start a new, empty control plane; returns once it is ready.

        Raises:
            ControlPlaneError: one runs in this directory already, or it does not become ready.
        """
        self.require_stopped()
        self._remove_own_files()
        (self.directory / "logs").mkdir(parents=True, exist_ok=True)
        self.credentials.create([self.address])
        self._ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
        self._write_kubeconfigs()
        self.launch("etcd", self._etcd())
        self.launch("kube-apiserver", self._apiserver())
        self.wait_ready()
        self.launch("kube-controller-manager", self._controller_manager())
        self.launch("kube-scheduler", self._scheduler())
        self.wait_until(self._default_service_account, "the controller manager has made no service account")

    def require_stopped(self) -> None:
        """Raise ``ControlPlaneError`` if something of this directory still runs."""
        if any(daemon.alive() for daemon in self.processes.values()):
            raise ControlPlaneError(f"a control plane runs in {self.directory} already: take it down first")

    def launch(self, name: str, argv: list[str | Path], environ: dict[str, str] | None = None) -> Daemon:
        """Start a process that belongs to this control plane and ends with it; its log is ``logs/<name>.log``."""
        if name in self.processes and self.processes[name].alive():
            raise ControlPlaneError(f"{name} runs already, as process {self.processes[name].pid}")
        daemon = daemons.start(argv, self.directory / "logs" / f"{name}.log", environ or {"PATH": os.environ["PATH"]})
        if self._host is not None:
            self._host.guard(daemon.pid)
        self.processes[name] = daemon
        self._save()
        return daemon

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until the API server says that it is ready."""
        self.wait_until(lambda: self.answers("/readyz"), "the API server is not ready", seconds)

    def ready(self) -> bool:
        """Whether the API server answers now."""
        return bool(self._ports) and self.answers("/readyz")

    def restart_apiserver(self, down_seconds: float = 0.0) -> None:
        """Kill the API server as a crash would, leave it down for a while, start it again on the same data and port."""
        self.kill("kube-apiserver")
        time.sleep(down_seconds)
        self.launch("kube-apiserver", self._apiserver())
        self.wait_ready()

    def kill(self, name: str) -> None:
        """SIGKILL one process of this control plane, by its name in ``processes``: a crash."""
        self._end(name, Daemon.kill)

    def end(self, name: str, grace_seconds: float = 30.0) -> None:
        """Tell one process to stop, and wait until it has."""
        self._end(name, lambda daemon: daemon.stop(grace_seconds))

    def stop(self) -> None:
        """End every process that this control plane started; the logs stay, all else is removed."""
        for daemon in self.processes.values():
            daemon.signal(signal.SIGTERM)  # to all at once; an API server with open watches would take its time
        for name in reversed(list(self.processes)):
            self._end(name, lambda daemon: daemon.stop(STOP_SECONDS))
        self._remove_own_files()

    def kubeconfig_for(self, namespace: str, service_account: str, server: str | None = None) -> Path:
        """A kubeconfig that acts as a service account, with a token of the TokenRequest API (valid for a day).

        ``server``: URL of what stands between, if anything does.
        """
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": TOKEN_SECONDS},
        }
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        token = self.request("POST", path, request)["status"]["token"]
        target = self.directory / "kubeconfigs" / f"{namespace}.{service_account}.yaml"
        return write_kubeconfig(target, server or self.server, self.credentials.authority, token, namespace)

    def kubectl(self, *arguments: str, input_text: str | None = None) -> str:
        """Run ``kubectl`` as admin; returns its output, raises ``ControlPlaneError`` with what it said on failure."""
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.directory), "KUBECONFIG": str(self.kubeconfig)}
        command = [str(self._assets.kubectl), f"--cache-dir={self.directory / 'kubectl'}", *arguments]
        done = subprocess.run(command, env=environ, input=input_text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ControlPlaneError(
                f"kubectl {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}"
            )
        return done.stdout

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """One request to the API server as admin; raises ``urllib.error.HTTPError`` for what it refuses."""
        request = urllib.request.Request(
            f"{self.server}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.credentials.token(ADMIN)}",
                "Content-Type": "application/merge-patch+json" if method == "PATCH" else "application/json",
            },
        )
        context = ssl.create_default_context(cafile=self.credentials.authority)
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        with urllib.request.build_opener(*handlers).open(request, timeout=10) as response:
            content = response.read()
        return json.loads(content) if content.startswith(b"{") else content.decode()

    def __enter__(self) -> ControlPlane:
        self._host = self._cleanup.enter_context(ProcessHost())
        self._cleanup.callback(self.stop)
        try:
            self.start()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._cleanup.close()
        self._host = None

    def _etcd(self) -> list[str | Path]:
        return components.etcd(
            self._assets.etcd, self.directory / "etcd", self._ports["etcd"], self._ports["etcd-peer"]
        )

    def _apiserver(self) -> list[str | Path]:
        policy, ports = self.directory / "audit-policy.json", self._ports
        binary, keys = self._assets.kube_apiserver, self.credentials
        return components.apiserver(binary, keys, ports["etcd"], self.address, self.port, policy, self._audit_log)

    @property
    def _audit_log(self) -> Path:
        return self.directory / "logs" / "audit.log"

    def audited(self, account: str) -> list[dict[str, Any]]:
        """What a service account, as ``namespace:name``, has asked the API server for (audit.k8s.io/v1 Events)."""
        events = map(json.loads, self._audit_log.read_text().splitlines())
        return [event for event in events if event["user"]["username"] == f"system:serviceaccount:{account}"]

    def _controller_manager(self) -> list[str | Path]:
        kubeconfig = self.kubeconfig_of("controller-manager")
        return components.controller_manager(self._assets.kube_controller_manager, kubeconfig, self.credentials)

    def _scheduler(self) -> list[str | Path]:
        return components.scheduler(self._assets.kube_scheduler, self.kubeconfig_of("scheduler"))

    def kubeconfig_of(self, identity: str) -> Path:
        """Of one of ``IDENTITIES``: a component's own."""
        return self.kubeconfig if identity == ADMIN else self.directory / "kubeconfigs" / f"{identity}.yaml"

    def _write_kubeconfigs(self) -> None:
        for identity in IDENTITIES:
            token = self.credentials.token(identity)
            write_kubeconfig(self.kubeconfig_of(identity), self.server, self.credentials.authority, token)

    def answers(self, path: str) -> bool:
        """Whether a GET of ``path`` succeeds."""
        try:
            self.request("GET", path)
        except (OSError, urllib.error.URLError):
            return False
        return True

    def _default_service_account(self) -> bool:
        return self.answers("/api/v1/namespaces/default/serviceaccounts/default")

    def wait_until(self, true: Callable[[], bool], otherwise: str, seconds: float = READY_SECONDS) -> None:
        """Wait until ``true()``, as long as every process lives; ``otherwise`` is what is said if it never is."""
        deadline = time.monotonic() + seconds
        while not true():
            for name, daemon in self.processes.items():
                daemon.check(name)
            if time.monotonic() > deadline:
                raise ControlPlaneError(f"{otherwise} after {seconds:g} s; logs: {self.directory / 'logs'}")
            time.sleep(_LOOK_SECONDS)

    def _end(self, name: str, how: Callable[[Daemon], None]) -> None:
        daemon = self.processes.pop(name)
        how(daemon)
        if self._host is not None:
            self._host.release(daemon.pid)
        self._save()

    @property
    def _state_file(self) -> Path:
        return self.directory / "state.json"

    def _save(self) -> None:
        processes = {name: asdict(daemon) for name, daemon in self.processes.items()}
        self._state_file.write_text(json.dumps({"ports": self._ports, "processes": processes}, indent=2))

    def _load(self) -> None:
        if self._state_file.exists():
            state = json.loads(self._state_file.read_text())
            self._ports = state["ports"]
            self.processes = {name: Daemon(**fields) for name, fields in state["processes"].items()}

    def _remove_own_files(self) -> None:
        self.processes = {}
        for name in _OWN_FILES:
            path = self.directory / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server((LOOPBACK, 0)) for _ in range(count)]  # all open at once, so all different
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
