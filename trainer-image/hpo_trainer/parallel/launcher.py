"""Starts the training processes of a trial, hands SIGTERM on to them, and says why they ended.

They stay in this process's group, so that whoever stops the group or counts its memory has them all, and they die with
it. A process that has failed ends the trial: the others wait for it in a collective operation, for ever, and hold
nothing that is not in the checkpoint, so they are killed. Standard library only.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from hpo_trainer.failures import Failure
from hpo_trainer.parallel.worker import Worker
from hpo_trainer.stop import Stop

PERIOD = 0.05
"""Seconds between two looks at the processes."""
MEMORY_EVENTS = (Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control"))
"""Of the container, of cgroups 2 and 1: both count in a line ``oom_kill N``."""

Process = subprocess.Popen[bytes]


def launch(count: int, environment: Mapping[str, str], stop: Stop) -> Failure | None:
    """Run the trial of ``environment`` in ``count`` processes, to the end; why it failed, None if it did not.

    The first process writes the measurement.
    """
    command, killed_before = [sys.executable, "-m", "hpo_trainer"], killed_for_memory()
    with tempfile.TemporaryDirectory(prefix="hpo-processes-") as folder:
        workers = [Worker(rank, count, folder, os.getpid()) for rank in range(count)]
        started = [subprocess.Popen(command, env={**environment, **worker.variables()}) for worker in workers]
        try:
            _wait(started, workers, stop)
            codes = [process.poll() for process in started]
        finally:
            for process in started:
                process.kill()
                process.wait()
        return first_failure(workers, codes, killed_for_memory() > killed_before)


def first_failure(workers: Sequence[Worker], codes: Sequence[int | None], out_of_memory: bool) -> Failure | None:
    """``codes``: as of subprocess, None of those that did not end by themselves.

    Who was killed comes first, since it could not say why; else who failed first, since the others fail for want of it.
    ``out_of_memory``: whether the kernel has killed a process for want of memory meanwhile.
    """
    for worker, code in zip(workers, codes, strict=True):
        if code and not worker.failed():
            return _unsaid(worker, code, out_of_memory)
    told = [failed for worker in workers if (failed := worker.failed())]
    return min(told, key=lambda failed: failed[0])[1] if told else None


def _unsaid(worker: Worker, code: int, out_of_memory: bool) -> Failure:
    where = f"process {worker.rank + 1} of {worker.size}"
    if code == -signal.SIGTERM:  # it had not come to the point where it looks at signals
        return Failure("Interrupted", "stopped by SIGTERM before training began")
    if code == -signal.SIGKILL and out_of_memory:
        return Failure("OutOfMemory", f"{where} was killed: the container's memory is full")
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return Failure("Error", f"{where} {how}")


def killed_for_memory(files: Sequence[Path] = MEMORY_EVENTS) -> int:
    """How many processes of this container the kernel has killed for want of memory; 0 where nobody tells."""
    for file in files:
        try:
            found = re.search(r"^oom_kill (\d+)$", file.read_text(), re.MULTILINE)
        except OSError:
            continue
        if found:
            return int(found[1])
    return 0


def _wait(started: Sequence[Process], workers: Sequence[Worker], stop: Stop) -> None:
    """Until all are done, or one has failed. What stops this process is handed on, once."""
    handed_on = False
    while any(process.poll() is None for process in started):
        if any(process.poll() or worker.failed() for process, worker in zip(started, workers, strict=True)):
            return
        if stop.signal is not None and not handed_on:
            handed_on = True
            for process in started:
                process.terminate()
        time.sleep(PERIOD)
