"""``python -m hpo_trainer``: the composition root, and the only reader of ``os.environ`` here.

Whatever happens, the run ends with one message and one exit code; see docs/trainer-contract.md.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping

from hpo_trainer.environment import parse_settings
from hpo_trainer.failures import describe
from hpo_trainer.report import Reporter
from hpo_trainer.stop import Stop


def main(environment: Mapping[str, str]) -> int:
    """Run one trial; returns the exit code."""
    stop = Stop()
    stop.install()  # before torch is imported: that takes seconds, in which SIGTERM may come
    reporter = Reporter(environment, serve=False)
    try:
        settings = parse_settings(environment)
        stop.check("before training began")
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


def _gpu_peak() -> int | None:
    """None, too, if the run ended before torch was imported."""
    if "torch" not in sys.modules:
        return None
    from hpo_trainer.device import gpu_memory_peak_bytes

    return gpu_memory_peak_bytes()


if __name__ == "__main__":
    sys.exit(main(os.environ))
