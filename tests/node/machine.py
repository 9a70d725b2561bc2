"""What the node borrows from the machine, and how it gives all of it back.

The node lives in network, mount and process namespaces of its own: its bridge, its packet filter, its mounts and its
containers end with them, however this program ends. What is not in a namespace is put back here.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from hpo_operator.local.process_group import ProcessHost

PRIVATE = ("/run", "/var/log", "/var/lib/cni", "/var/lib/kubelet")
"""Paths that a kubelet, containerd or a network plugin writes to whatever it is told: folders of the node's own."""
KERNEL = (
    *("kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory", "vm/panic_on_oom"),
    *("kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"),
)
"""What a kubelet sets (pkg/kubelet/cm/container_manager_linux.go, setupKernelTunables)."""
NAMESPACES = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


@contextmanager
def borrowed(cgroup: str) -> Iterator[None]:
    """The kernel's settings, the mount points and an empty control group, for as long as the block lasts."""
    with ExitStack() as returned:
        for path in (Path("/proc/sys", name) for name in KERNEL):
            returned.callback(set_kernel, path, path.read_text())
        for path in map(Path, PRIVATE):
            if not path.exists():
                path.mkdir()
                returned.callback(path.rmdir)
        for group in (root / cgroup for root in cgroup_roots()):
            group.mkdir(exist_ok=True)
            returned.callback(remove_cgroup, group)
        yield


def set_kernel(path: Path, text: str) -> None:
    if path.read_text() != text:
        path.write_text(text)


def cgroup_roots() -> list[Path]:
    """Where control groups of this machine are made: a folder for each controller of version 1, one of version 2."""
    mounted = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return [Path(fields[1]) for fields in mounted if fields[2] in ("cgroup", "cgroup2")]


def remove_cgroup(group: Path) -> None:
    """With the groups in it; their processes are gone."""
    for folder, _, _ in os.walk(group, topdown=False):
        with suppress(FileNotFoundError):
            Path(folder).rmdir()


def run_inside(init: Path, argv: Sequence[str | Path], environ: Mapping[str, str]) -> int:
    """Run a program in namespaces of its own, under an init; its exit code. All that it started has ended then."""
    command = ["unshare", *NAMESPACES, "--", init, "--", *argv]
    with ProcessHost() as host, subprocess.Popen(command, env=environ, start_new_session=True) as process:
        host.guard(process.pid)  # should this program be killed, so is unshare, hence the init, hence the whole node
        try:
            return process.wait()
        finally:
            if process.poll() is None:
                _end_init(process.pid)
            process.wait()
            host.release(process.pid)


def _end_init(parent: int) -> None:
    """Kill the namespaces' init. The kernel kills all else in them before ``parent`` is told (pid_namespaces(7))."""
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)


def make_private(folder: Path) -> None:
    """Inside: put folders below ``folder`` in place of ``PRIVATE``."""
    for name in PRIVATE:
        own = folder / name.strip("/").replace("/", "-")
        own.mkdir(parents=True, exist_ok=True)
        _run("mount", "--bind", own, name)
    _run("mount", "--make-rshared", "/")  # among this namespace's own children; a kubelet expects it


def make_network(address: str) -> None:
    """Inside: a loopback device with one more address, which Pods can reach, unlike 127.0.0.1."""
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "address", "add", f"{address}/32", "dev", "lo")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True)
