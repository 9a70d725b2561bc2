"""Trials forked from a process that has imported torch and MONAI once: that takes longer than many a trial here.

``python -m medical.warm`` reads a trial a line and answers with what it cost; ``train`` starts one and talks to it.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """``seconds`` by the clock; ``cpu_seconds`` of the processor, all threads together; of the trial alone."""

    code: int
    seconds: float
    cpu_seconds: float


def train(variables: Mapping[str, str], log: Path) -> Cost:
    """Run the trainer with these environment variables; what it prints goes to ``log``."""
    process = _started()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"variables": dict(variables), "log": str(log)}) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise SystemExit(f"{log}: the process that runs trials ended with {process.wait()}")
    return Cost(**json.loads(answer))


@cache
def _started() -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "medical.warm"]
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(process.communicate)  # closes its input, and waits
    return process


def serve() -> None:
    """Until standard input is closed."""
    import monai.inferers
    import monai.losses
    import monai.networks.nets.unet  # noqa: F401
    import torch._dynamo  # noqa: F401

    for line in sys.stdin:
        request = json.loads(line)
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            _trial(request["variables"], Path(request["log"]))
        _, status, used = os.wait4(pid, 0)
        seconds = time.monotonic() - started
        answer = Cost(os.waitstatus_to_exitcode(status), seconds, used.ru_utime + used.ru_stime)
        print(json.dumps(vars(answer)), flush=True)


def _trial(variables: Mapping[str, str], log: Path) -> None:
    """In the forked process, which ends here."""
    code = 1
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for stream in (1, 2):
            os.dup2(descriptor, stream)
        from hpo_trainer.__main__ import main

        code = main(variables)
        sys.stdout.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve()
