"""Trials that are killed by SIGKILL at random instants, beside the same trials left alone.

What must hold: the weights, the optimiser's state and the history of metrics at the end are equal bit for bit.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import shutil
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from torch import Tensor

from hpo_trainer import checkpoint
from hpo_trainer.__main__ import main
from medical import populations
from medical.data import VOLUME, WORK, mednist
from medical.report import table, write
from medical.runs import run_trial

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
    for stream in (1, 2):
        os.dup2(errors.fileno(), stream)
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


def cases() -> dict[str, dict[str, Any]]:
    """A configuration of each task on real images, with everything random that it has."""
    mednist()
    populations.make()
    network: dict[str, Any] = {"dimensions": "3D", "depth": 3, "channels": 4, "batchSize": 2, "augmentation": True}
    u_net = network | {"dataset": populations.TARGET, "dropout": 0.1}
    images = {"dataset": "MedNIST", "splitFile": "splits.csv", "splitColumn": "split_block", "imageSize": 32}
    few = images | {"trainSamplesPerClass": 40}
    family = few | {"blocks": 3, "filters": 16, "denseUnits": [64]}
    resnet = few | {"backbone": "ResNet10", "width": 0.25, "stem": "Small"}
    target = {"dataset": populations.TARGET, "batchSize": 2, "augmentation": True}
    return {
        "classification": family | {"augmentation": True, "dropout": 0.2},
        "transferClassification": resnet
        | {"weights": _source("transferClassification", resnet | {"method": "Scratch"}), "headEpochs": 5}
        | {"mirroring": True, "dropout": 0.2},
        "segmentation": u_net | {"optimizer": "AdamW", "weightDecay": 0.01},
        "templateDeformation": network | {"dataset": populations.TARGET, "optimizer": "SGD"},
        "transferSegmentation": target | {"sourceCheckpoint": _source("segmentation", u_net)},
    }


def _source(task: str, config: Mapping[str, Any]) -> str:
    """The path in the data volume of a checkpoint to transfer from."""
    name = f"kills-{task}.pt"
    shutil.copyfile(run_trial(task, config, seed=0, epochs=1).folder / checkpoint.CURRENT, VOLUME / name)
    return name


def measured(task: str, config: Mapping[str, Any]) -> Killed:
    def trial(name: str) -> Trial:
        folder = WORK / "kills" / task / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return Trial(task, config, VOLUME, folder)

    return kill_often(trial("killed"), trial("undisturbed"), KILLS)


def run() -> None:
    killed = {task: measured(task, config) for task, config in cases().items()}
    rows = [
        (task, len(k.instants), k.epochs, ", ".join(map(str, k.instants)), "yes" if not k.differing else "no")
        for task, k in killed.items()
    ]
    text = (
        f"Each trial is killed by SIGKILL {KILLS} times, at random instants of the first epochs of each life, "
        "validation and the writing of the checkpoint included. Then it is let come to its end. Beside it the same "
        "trial runs undisturbed for as many epochs. Equal: all weights, the optimiser's state and the history of "
        "metrics in both last checkpoints, bit for bit (CPU, one thread)."
    )
    headings = ["task", "kills", "epochs", "killed in epoch", "equal"]
    raw = {task: {"epochs": k.epochs, "instants": k.instants, "differing": k.differing} for task, k in killed.items()}
    write("kills", "Trials that are killed", [text, table(headings, rows)], raw)


if __name__ == "__main__":
    run()
