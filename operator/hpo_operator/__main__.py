"""``python -m hpo_operator``: the composition root, and the only reader of the environment."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from datetime import UTC, datetime

from threadpoolctl import threadpool_limits

from hpo_operator.handlers.operator import LeaseLostError, run_operator
from hpo_operator.kube.client import ConfigurationError
from hpo_operator.settings import Settings, SettingsError, read_settings


class JsonLines(logging.Formatter):
    """One JSON object a line, for log collectors."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 78
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    logging.getLogger("kopf").setLevel(logging.WARNING)
    # A decision that computes lets go of the interpreter more often: what waits meanwhile is every other study.
    sys.setswitchinterval(0.001)
    # One BLAS thread per fit: two fits run side by side, and sums have one order whatever the machine.
    with threadpool_limits(limits=1):
        try:
            asyncio.run(_serve(settings))
        except LeaseLostError as error:
            logging.getLogger("hpo_operator").error("%s", error)
            return 1
        except ConfigurationError as error:
            print(error, file=sys.stderr)
            return 78
    return 0


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def listen() -> None:
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, stop.set)

    listen()
    # Again once it runs: kopf puts its own handlers in their place, and those stumble over a second signal.
    await run_operator(settings, stop, on_ready=listen)


if __name__ == "__main__":
    sys.exit(main())
