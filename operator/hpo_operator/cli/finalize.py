"""``hpo finalize``: a finished study's model, judged once on images that no trial has seen, ready to be handed over.

This side knows no torch: the trainer predicts, this side chooses, the trainer judges. They speak through three files in
the folder ``processes/finalize`` of the study's state: ``candidates.json``, the stored probabilities, ``choice.json``.
Retraining keeps its checkpoints in ``retrained/<trial>`` beside it, where the next run finds them.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from threadpoolctl import threadpool_limits

from hpo_operator.cli.finalize_candidates import FinishedStudy, finished_study
from hpo_operator.cli.finalize_choice import choose, read_library
from hpo_operator.cli.options import (
    FAILED,
    INTERRUPTED,
    INVALID,
    STATE,
    StateOption,
    StudyArgument,
    VolumeOption,
    sentences,
)
from hpo_operator.local.claims import parse_claims
from hpo_operator.local.store import exclusive
from hpo_operator.local.trainer_process import run_trainer_module

EXIT_CODES = {65: INVALID, 75: INTERRUPTED, 78: INVALID}
"""Of the trainer (docs/trainer-contract.md): bad data, told to stop, bad configuration; all others are a failure."""
LOOKS = "test-looks.json"


def finalize(
    study: StudyArgument,
    state: StateOption = STATE,
    volume: VolumeOption = [],  # noqa: B006
    candidates: Annotated[int, typer.Option(min=1, help="At most this many of the best trials are combined.")] = 10,
    tolerance: Annotated[float, typer.Option(min=0.0, help="Millimetres, of the surface Dice.")] = 1.0,
    no_test: Annotated[
        bool, typer.Option("--no-test", help="Only build the model; the test images stay unseen.")
    ] = False,
    retrain: Annotated[
        bool,
        typer.Option(
            "--retrain", help="Train the best configuration anew on each fold, and export these networks' mean."
        ),
    ] = False,
    mirrored_prediction: Annotated[
        bool,
        typer.Option("--mirrored-prediction", help="Segmentation: average predictions over mirror images."),
    ] = False,
    folds: Annotated[
        int, typer.Option(min=2, help="How many folds --retrain draws where the data set lists none.")
    ] = 5,
) -> None:
    """Choose the final model or ensemble on the validation images, judge it once on the test images, and export it.

    Writes the folder final into the study's state: model card, MONAI bundle, figures, pictures. Looks at test images
    are counted in test-looks.json. Exit codes: 0 well, 1 failed, 2 something given is wrong, 130 interrupted.

    Example: hpo finalize study.yaml --volume mri-data=./data
    """
    with sentences():
        found = finished_study(study, state, parse_claims(volume), candidates)
        found.request["mirroredPrediction"] = mirrored_prediction
        with exclusive(found.folder), threadpool_limits(limits=1):
            looks = [] if no_test else [f"--looks={found.folder.resolve().parent / LOOKS}"]
            _finalize(found, [*looks, f"--tolerance={tolerance}"], folds if retrain else None)


def _finalize(found: FinishedStudy, options: Sequence[str], folds: int | None) -> None:
    """``folds``: to retrain on; None: the best trial is handed over as it is."""
    work, out = found.folder.resolve() / "processes" / "finalize", found.folder.resolve() / "final"
    phase = found.request["study"]["status"].get("phase")
    if phase != "Succeeded":
        typer.echo(f"warning: the study is {phase}: with more trials another model may be chosen", err=True)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    request, choice, predictions = work / "candidates.json", work / "choice.json", work / "predictions"
    request.write_text(json.dumps(found.request, indent=1))
    _run("predict", [request, found.data, predictions])
    chosen = choose(read_library(predictions, found.trials), found.trials)
    choice.write_text(json.dumps(chosen, indent=1))
    if folds is not None:
        retrained = found.folder.resolve() / "retrained" / chosen["single"]
        _run("retrain", [request, choice, found.data, retrained], [f"--folds={folds}"])
        options = [*options, f"--retrained={retrained}"]
    _run("build", [request, choice, found.data, work, out], options)
    shutil.rmtree(work)


def _run(step: str, paths: Sequence[Path], options: Sequence[str] = ()) -> None:
    """Ends the command with the step's failure; what went wrong has been said."""
    code = run_trainer_module(f"hpo_trainer.final.{step}", [*options, "--", *map(str, paths)], os.environ)
    if code:
        raise typer.Exit(EXIT_CODES.get(code, FAILED))
