"""Background processes that outlive their starter and are ended by number: never one that the stand did not start."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LOOK_SECONDS = 0.02


class DaemonError(Exception):
    """A background process ended by itself; the message carries the end of its log."""


@dataclass(frozen=True)
class Daemon:
    """A process of the stand. Its start time tells it from a later process of the same number."""

    pid: int
    start_time: str
    log: str

    def alive(self) -> bool:
        state = process_state(self.pid)
        return state is not None and state[0] != "Z" and state[1] == self.start_time

    def check(self, name: str) -> None:
        """Raise :class:`DaemonError` if it is gone."""
        if not self.alive():
            tail = "\n".join(Path(self.log).read_text(errors="replace").splitlines()[-20:])
            raise DaemonError(f"{name} (process {self.pid}) has ended; its log {self.log} ends with:\n{tail}")

    def signal(self, number: signal.Signals) -> None:
        if self.alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def stop(self, grace_seconds: float = 5.0) -> None:
        """SIGTERM, after the grace period SIGKILL; returns once it is gone."""
        self.signal(signal.SIGTERM)
        deadline = time.monotonic() + grace_seconds
        while self.alive() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        self.kill()

    def kill(self) -> None:
        """SIGKILL: what a crash looks like from outside. Returns once it is gone."""
        self.signal(signal.SIGKILL)
        while self.alive():
            time.sleep(_LOOK_SECONDS)
        with suppress(ChildProcessError):  # started by an earlier program, whose child it was
            os.waitpid(self.pid, 0)


def start(argv: Sequence[str | Path], log: Path, environ: Mapping[str, str]) -> Daemon:
    """Start a process in a session of its own; its output is appended to ``log``."""
    command = [os.fspath(part) for part in argv]
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.fspath(log), flags, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    pid = os.posix_spawn(command[0], command, environ, file_actions=actions, setsid=True)
    state = process_state(pid)
    return Daemon(pid, state[1] if state else "", str(log))


def process_state(pid: int) -> tuple[str, str] | None:
    """State letter and start time (clock ticks since boot) of a process, proc(5); None when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    return fields[0], fields[19]
