"""Why a run ended without a measurement: the trainer's exceptions, their reasons and exit codes.

TrainerError
├── BadConfig     78  a configuration or parameter that cannot be used
├── BadData       65  files missing, unreadable or inconsistent
├── OutOfMemory   80  host or GPU memory
├── Diverged      81  the loss or a metric is NaN or infinite
└── Interrupted   75  told to stop; the checkpoint of the last completed epoch stands

Everything else is ``Error``, exit code 1, with a traceback: a bug, or a machine that failed.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

from hpo_trainer.report import EXIT_CODES


class TrainerError(Exception):
    """Root of everything that the trainer raises on purpose; a class's name is the reason reported."""


class BadConfig(TrainerError):  # noqa: N818
    """``path`` names the field as the user wrote it: ``HPO_PARAMETERS.learningRate``."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


class BadData(TrainerError):  # noqa: N818
    """``source`` is the file at fault, with the entry inside it where there is one."""

    def __init__(self, source: object, message: str) -> None:
        super().__init__(f"{source}: {message}")


class OutOfMemory(TrainerError):  # noqa: N818
    pass


class Diverged(TrainerError):  # noqa: N818
    pass


class Interrupted(TrainerError):  # noqa: N818
    pass


@dataclass(frozen=True)
class Failure:
    """What is reported of an exception."""

    reason: str
    message: str

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.reason]


def describe(error: BaseException) -> Failure:
    """The reason and message to report for whatever ended a run."""
    if isinstance(error, TrainerError):
        return Failure(type(error).__name__, str(error))
    if is_out_of_memory(error):
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        return Failure("OutOfMemory", first_line)
    return Failure("Error", f"{type(error).__name__}: {error}")


# Only CUDA's allocator has an exception class of its own; the CPU's and the CUDA libraries' failures are RuntimeErrors.
_ALLOCATION_FAILED = re.compile(
    r"DefaultCPUAllocator: .*(can't allocate|not enough) memory|CUDA out of memory|CUDA error: out of memory"
    r"|(CUDNN|CUBLAS)_STATUS_ALLOC_FAILED",
    re.DOTALL,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` is a failed allocation, of Python, NumPy, torch on the CPU or CUDA."""
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")  # never imported for this question alone
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and _ALLOCATION_FAILED.search(str(error)) is not None
