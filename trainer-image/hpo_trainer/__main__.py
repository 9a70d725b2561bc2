"""``python -m hpo_trainer``: the composition root, and the only reader of ``os.environ`` here.

Whatever happens, the run ends with one message and one exit code; see docs/trainer-contract.md.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping

from hpo_trainer.environment import Settings, parse_settings
from hpo_trainer.failures import describe
from hpo_trainer.parallel.launcher import launch
from hpo_trainer.parallel.worker import Worker
from hpo_trainer.report import Reporter
from hpo_trainer.stop import Stop


def main(environment: Mapping[str, str]) -> int:
    """Run one trial, or this process's part in it; returns the exit code."""
    stop = Stop()
    stop.install()  # before torch is imported: that takes seconds, in which SIGTERM may come
    worker = Worker.of(environment)
    if worker is not None:
        return _work(worker, environment, stop)
    reporter = Reporter(environment, serve=False)
    try:
        settings = parse_settings(environment)
        stop.check("before training began")
        count = _processes(settings)
        if count > 1:
            failure = launch(count, environment, stop)
            return reporter.fail(failure.reason, failure.message) if failure else 0
        from hpo_trainer.trial import run

        result = run(settings, stop)
    except Exception as error:
        failure = describe(error)
        if failure.reason == "Error":
            traceback.print_exc()
        reporter.fail(failure.reason, failure.message, peak_memory_bytes=_gpu_peak())
        return failure.exit_code
    reporter.report(result.metrics, resource=result.epochs, peak_memory_bytes=result.peak_memory_bytes)
    return 0


def _work(worker: Worker, environment: Mapping[str, str], stop: Stop) -> int:
    """One of several processes. The first one reports; whoever fails says so to the process that started it."""
    worker.die_with_launcher()
    from hpo_trainer.parallel.group import Abandoned
    from hpo_trainer.trial import run

    try:
        result = run(parse_settings(environment), stop, worker=worker)
    except Abandoned:
        return 0
    except Exception as error:
        failure = describe(error)
        if failure.reason == "Error":
            traceback.print_exc()
        worker.fail(failure)
        return failure.exit_code
    if worker.rank == 0:
        Reporter(environment, serve=False).report(
            result.metrics, resource=result.epochs, peak_memory_bytes=result.peak_memory_bytes
        )
    return 0


def _processes(settings: Settings) -> int:
    """One for each GPU, unless HPO_PROCESSES says otherwise."""
    if settings.processes is not None:
        return settings.processes
    from hpo_trainer.device import visible_gpus

    return max(1, visible_gpus())


def _gpu_peak() -> int | None:
    """None, too, if the run ended before torch was imported."""
    if "torch" not in sys.modules:
        return None
    from hpo_trainer.device import gpu_memory_peak_bytes

    return gpu_memory_peak_bytes()


if __name__ == "__main__":
    sys.exit(main(os.environ))
