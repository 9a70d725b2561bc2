"""The processes of a trial, forked from one that has imported everything, as ``hpo_trainer.parallel.launcher`` starts
them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from medical.kills import PROCESSES

from hpo_trainer.__main__ import main
from hpo_trainer.parallel.launcher import first_failure
from hpo_trainer.parallel.worker import Worker
from trainer.support import Outcome, TrialRunner


def run_together(trial: TrialRunner, epochs: int, folder: Path, size: int = 2) -> tuple[Outcome, str]:
    """How the trial ended, and its standard error. ``folder``: where the processes meet, a new one."""
    folder.mkdir(parents=True)
    read, write_end = PROCESSES.Pipe(duplex=False)
    variables = trial.variables(epochs)
    started: list[Any] = []
    for rank in range(size):
        process = PROCESSES.Process(target=_work, args=(variables, Worker(rank, size, str(folder), 0), write_end))
        process.start()
        started.append(process)
    write_end.close()
    with os.fdopen(os.dup(read.fileno()), errors="replace") as lines:
        errors = lines.read()
    for process in started:
        process.join()
    workers = [Worker(rank, size, str(folder), 0) for rank in range(size)]
    failure = first_failure(workers, [process.exitcode for process in started], out_of_memory=False)
    if failure is not None:
        return Outcome(failure.exit_code, {"reason": failure.reason, "message": failure.message}), errors
    return trial.outcome(0), errors


def _work(variables: Mapping[str, str], worker: Worker, errors: Connection) -> None:
    """In the process, whose parent is the one that forks."""
    for stream in (1, 2):
        os.dup2(errors.fileno(), stream)
    own = Worker(worker.rank, worker.size, worker.folder, os.getppid()).variables()
    os.environ |= own
    os._exit(main({**variables, **own}))
