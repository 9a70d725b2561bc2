"""Being told to stop: SIGTERM (and SIGINT) set a flag, and the work looks at it where stopping is safe."""

from __future__ import annotations

import signal
from types import FrameType

from hpo_trainer.failures import Interrupted


class Stop:
    """The flag. Training code calls ``check`` between two batches, reading code between two files."""

    def __init__(self) -> None:
        self.signal: str | None = None

    def install(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number).name

    def check(self, where: str) -> None:
        """Raise Interrupted if told to stop; ``where`` says what was going on and what is kept."""
        if self.signal is not None:
            raise Interrupted(f"stopped by {self.signal} {where}")
