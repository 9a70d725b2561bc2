"""``hpo init``: a first study for a data set, with comments."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from hpo_operator.advice.fingerprint import Fingerprint, fingerprint
from hpo_operator.advice.machine import Machine
from hpo_operator.advice.spaces import DRAFTS, KINDS
from hpo_operator.advice.study import Wish, study
from hpo_operator.api.words import did_you_mean
from hpo_operator.cli.options import INVALID, sentences
from hpo_operator.local.trainer_process import trainer_module_output
from hpo_operator.mistakes import Mistake

SPLIT_FILE = "splits.csv"
"""What ``hpo data split`` writes beside image folders."""


def init(
    task: Annotated[str, typer.Argument(metavar="TASK", help=f"One of {', '.join(DRAFTS)}.")],
    data: Annotated[Path, typer.Option(help="The data set: a folder, or an .npz file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")] = Path("study.yaml"),
    name: Annotated[str, typer.Option(help="Of the study; default: from the data set's name.")] = "",
    claim: Annotated[str, typer.Option(help="The PersistentVolumeClaim with the data set.")] = "data",
    gpu_memory: Annotated[float, typer.Option(help="GiB of memory of each trial's GPU; 0: train on processors.")] = 0.0,
    parallelism: Annotated[int, typer.Option(min=1, help="Trials at once.")] = 2,
    split_file: Annotated[str, typer.Option(help="CSV file inside the data set; default: splits.csv if there.")] = "",
    split_column: Annotated[str, typer.Option(help="Its column.")] = "split",
) -> None:
    """Write a complete, commented study file, fitted to a data set and a GPU. Exit code 0 written, 2 usage.

    Example: hpo init segmentation --data ./data/Task04_Hippocampus --gpu-memory 40
    """
    with sentences():
        if task not in DRAFTS:
            raise Mistake(f"no task {task!r}; {_known(task)}")
        if not data.exists():
            raise Mistake(f"--data {data}: no such file or folder")
        if out.exists():
            raise Mistake(f"{out}: is there already; choose another with --out, or remove it")
        split = _split(data, split_file, split_column)
        given = _fingerprint(data, split)
        kind = KINDS.get(task, "segmentation")
        if given.kind != kind:
            fitting = [t for t in DRAFTS if KINDS.get(t, "segmentation") == given.kind]
            raise Mistake(
                f"{data} is for {given.kind}, {task} reads data for {kind}; tasks for it: {', '.join(fitting)}"
            )
        wish = Wish(name or _name(data), task, data.name, claim, split)
        out.write_text(study(wish, given, Machine(gpu_memory, parallelism)))
        volume = shlex.quote(f"{claim}={data.resolve().parent}")
        print(
            f"{out} written. Next:\n  hpo validate {out}\n  hpo run {out} --volume {volume}\n  kubectl apply -f {out}"
        )


def _split(data: Path, file: str, column: str) -> tuple[str, str] | tuple[()]:
    if file or (data.is_dir() and (data / SPLIT_FILE).is_file()):
        return file or SPLIT_FILE, column
    return ()


def _fingerprint(data: Path, split: tuple[str, str] | tuple[()]) -> Fingerprint:
    """Of the whole data set, which is read once. Ends the program where it cannot be understood."""
    options = [f"--split-file={split[0]}", f"--split-column={split[1]}"] if split else []
    code, text = trainer_module_output("hpo_trainer.data.check", ["--json", *options, "--", str(data)], os.environ)
    if code not in (0, 1) or not text:
        raise typer.Exit(INVALID)  # the check has said why
    report: dict[str, Any] = json.loads(text)
    if not report["items"]:
        raise Mistake(f"{data}: {'; '.join(report['problems']) or 'no image found'}")
    return fingerprint(report)


def _name(data: Path) -> str:
    """Of an object in Kubernetes: lower case, digits and dashes."""
    return re.sub("[^a-z0-9]+", "-", data.resolve().stem.lower()).strip("-")[:50] or "study"


def _known(task: str) -> str:
    close = did_you_mean(task, DRAFTS)
    return f"did you mean {close}?" if close else f"expected one of {', '.join(DRAFTS)}"
