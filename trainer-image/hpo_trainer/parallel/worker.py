"""What one of several training processes is told by the one that started it, and how it says why it failed.

Standard library only: a process reads this before it imports torch.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from hpo_trainer.failures import Failure

VARIABLE = "HPO_WORKER"
PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that a process gets when its parent dies."""


@dataclass(frozen=True)
class Worker:
    """Process ``rank``, from 0, of ``size``. ``folder``: of them all, on this machine; ``launcher``: a process id."""

    rank: int
    size: int
    folder: str
    launcher: int

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Worker | None:
        """None for a process that nobody started as one of several."""
        text = environment.get(VARIABLE)
        return cls(**json.loads(text)) if text else None

    def variables(self) -> dict[str, str]:
        """Its share of the environment. Sockets between the processes listen on this machine alone."""
        return {VARIABLE: json.dumps(asdict(self)), "GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}

    @property
    def meeting_place(self) -> Path:
        """Where the processes find each other: a file, so that no port has to be free."""
        return Path(self.folder) / "meeting-place"

    def die_with_launcher(self) -> None:
        """Nobody else would stop this process, and two trials would write one checkpoint. Linux; elsewhere nothing."""
        if sys.platform.startswith("linux"):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != self.launcher:  # it died before the line above
                os.kill(os.getpid(), signal.SIGKILL)

    def fail(self, failure: Failure) -> None:
        """Write down why; by rename, so that it is read whole. The clock is that of all processes of the machine."""
        path = self._failure
        content = {"at": time.monotonic_ns(), "reason": failure.reason, "message": failure.message}
        path.with_suffix(".new").write_text(json.dumps(content))
        path.with_suffix(".new").replace(path)

    def failed(self) -> tuple[int, Failure] | None:
        """When and why, if it has said so."""
        if not self._failure.exists():
            return None
        told = json.loads(self._failure.read_text())
        where = f"process {self.rank + 1} of {self.size}: " if told["reason"] in ("OutOfMemory", "Error") else ""
        return told["at"], Failure(told["reason"], where + told["message"])

    @property
    def _failure(self) -> Path:
        return Path(self.folder) / f"failure-{self.rank}.json"
