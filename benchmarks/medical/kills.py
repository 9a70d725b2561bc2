"""Trials that are killed by SIGKILL at random instants, beside the same trials left alone.

What must hold: the weights, the optimiser's state and the history of metrics at the end are equal bit for bit.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from torch import Tensor

from hpo_trainer import checkpoint
from hpo_trainer.__main__ import main

KILLS = 20
FOR_EVER = 100_000
READY = re.compile(r"hpo: \w+ on \w+, \d+ threads, \d+ weights")
COMPLETED = re.compile(r"hpo: epoch (\d+): .*\((\d+\.\d+) s, ")
PROCESSES = multiprocessing.get_context("forkserver")
"""A server imports torch and MONAI once and forks each trial: processes of their own, which start at once."""
PROCESSES.set_forkserver_preload(["torch._dynamo", "monai.inferers", "monai.losses", "monai.networks.nets.unet"])


@dataclass(frozen=True)
class Killed:
    """``instants``: of each kill, the epoch in which it came. ``differing``: what is not equal at the end."""

    epochs: int
    instants: tuple[int, ...]
    differing: tuple[str, ...]


@dataclass(frozen=True)
class Trial:
    """One trial on the data volume ``volume``, in ``folder``."""

    task: str
    config: Mapping[str, Any]
    volume: Path
    folder: Path

    def epochs(self, epochs: int) -> Lives:
        variables = {
            "HPO_TASK": self.task,
            "HPO_CONFIG": json.dumps(dict(self.config)),
            "HPO_DATA_DIR": str(self.volume),
            "HPO_CHECKPOINT_DIR": str(self.folder),
            "HPO_TERMINATION_LOG": str(self.folder / "message"),
            "HPO_RESOURCE_NAME": "epochs",
            "HPO_RESOURCE": str(epochs),
            "HPO_SEED": "7",
            "HPO_THREADS": "1",
        }
        return Lives(variables)

    def state(self) -> dict[str, Any]:
        """What the last completed epoch left."""
        return checkpoint.decode(self.folder / checkpoint.CURRENT)

    @property
    def reached(self) -> int:
        """Completed epochs that are on the disk."""
        return int(self.state()["epoch"]) if (self.folder / checkpoint.CURRENT).exists() else 0


class Lives:
    """Processes of a trial, one after another. ``variables``: of its environment."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = dict(variables)

    def whole(self) -> None:
        """To its end. Raises RuntimeError if that is not a measurement."""
        process, lines = self._start()
        written = list(lines)
        process.join()
        if process.exitcode != 0:
            raise RuntimeError(f"the trial ended with {process.exitcode}:\n" + "".join(written))

    def cut_short(self, chance: random.Random) -> None:
        """Killed at a random instant of the first or of the second epoch of this life."""
        process, lines = self._start()
        seconds = 1.0
        for line, _ in zip(_awaited(lines), range(chance.choice([1, 2])), strict=False):
            done = COMPLETED.search(line)
            seconds = float(done[2]) if done else seconds
        process.join(chance.uniform(0, seconds))
        process.kill()
        process.join()
        if process.exitcode != -signal.SIGKILL:
            raise RuntimeError(f"the trial ended with {process.exitcode} before it was killed")

    def _start(self) -> tuple[Any, Iterator[str]]:
        read, write_end = PROCESSES.Pipe(duplex=False)
        process = PROCESSES.Process(target=_live, args=(self._variables, write_end))
        process.start()
        write_end.close()
        return process, _lines(read)


def _live(variables: dict[str, str], errors: Connection) -> None:
    """In the process: standard error goes to ``errors``, as a container's goes to its log."""
    os.dup2(errors.fileno(), 2)
    os.dup2(errors.fileno(), 1)
    os._exit(main(variables))


def _lines(read: Connection) -> Iterator[str]:
    with os.fdopen(os.dup(read.fileno()), errors="replace") as file:
        read.close()
        yield from file


def _awaited(lines: Iterator[str]) -> Iterator[str]:
    """The lines that say that training begins, and that an epoch is completed. Raises RuntimeError at their end."""
    seen = []
    for line in lines:
        seen.append(line)
        if READY.search(line) or COMPLETED.search(line):
            yield line
    raise RuntimeError("the trial ended before it was killed:\n" + "".join(seen))


def kill_often(trial: Trial, undisturbed: Trial, kills: int, seed: int = 0) -> Killed:
    """Kill ``trial`` at ``kills`` random instants, let it come to an end, and let ``undisturbed`` do as many epochs."""
    chance, instants = random.Random(seed), []
    for _ in range(kills):
        trial.epochs(FOR_EVER).cut_short(chance)
        instants.append(trial.reached + 1)
    epochs = trial.reached + 1
    trial.epochs(epochs).whole()
    undisturbed.epochs(epochs).whole()
    return Killed(epochs, tuple(instants), tuple(differences(trial.state(), undisturbed.state())))


def differences(one: Any, other: Any, where: str = "") -> Iterator[str]:
    """Where two checkpoints are not equal bit for bit."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        same = one.dtype == other.dtype and one.shape == other.shape and _bytes(one) == _bytes(other)
        if not same:
            yield where
    elif isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            yield where
        for key in (key for key in one if key in other):
            yield from differences(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for i, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{where}/{i}")
    elif one != other:
        yield where


def _bytes(tensor: Tensor) -> bytes:
    return bytes(tensor.contiguous().numpy().tobytes())
