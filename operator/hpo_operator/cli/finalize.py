"""``hpo finalize``: a finished study's model, judged once on images that no trial has seen, ready to be handed over.

This side knows no torch: it says which trials are candidates, and ``hpo_trainer.final`` does the rest where their
checkpoints and the images are: in a process here, or in a Pod of the cluster.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from hpo_operator.cli.finalize_candidates import FinishedStudy, finished_study
from hpo_operator.cli.options import (
    FAILED,
    INTERRUPTED,
    INVALID,
    STATE,
    ClusterOption,
    NamespaceOption,
    StateOption,
    StudyArgument,
    VolumeOption,
    sentences,
)
from hpo_operator.local.claims import parse_claims
from hpo_operator.local.store import exclusive
from hpo_operator.local.trainer_process import run_trainer_module
from hpo_operator.manifests.final import LOOKS_FILE, REQUEST, Places, Wanted, arguments
from hpo_operator.mistakes import Mistake

EXIT_CODES = {0: 0, 65: INVALID, 75: INTERRUPTED, 78: INVALID}
"""Of the trainer (docs/trainer-contract.md): bad data, told to stop, bad configuration; all others are a failure."""


def finalize(
    study: StudyArgument,
    state: StateOption = STATE,
    volume: VolumeOption = [],  # noqa: B006
    cluster: ClusterOption = False,
    namespace: NamespaceOption = "",
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
    again: Annotated[
        bool, typer.Option("--again", help="Cluster: do it anew, in place of the Pod that has ended.")
    ] = False,
    image: Annotated[
        str, typer.Option(help="Cluster: the trainer's image; absent: the study's, or that of its trials' Pods.")
    ] = "",
    fetch: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Cluster: only bring the model that was made into this folder.")
    ] = None,
) -> None:
    """Choose the final model or ensemble on the validation images, judge it once on the test images, and export it.

    Writes the folder final into the study's state: model card, MONAI bundle, figures, pictures. Looks at test images
    are counted in test-looks.json. Exit codes: 0 well, 1 failed, 2 something given is wrong, 130 interrupted.

    With --cluster (or -n) a Pod does it, beside the checkpoints on the study's volume. It goes on when this command is
    interrupted; the same command follows it again, and shows what came of it.

    Examples: hpo finalize study.yaml --volume mri-data=./data; hpo finalize brain-tissue --cluster -n research
    """
    wanted = Wanted(not no_test, tolerance, folds if retrain else None)
    with sentences():
        if cluster or namespace:
            # Imported here, since the client takes a quarter of a second, which studies of this machine do not pay.
            from hpo_operator.cli import finalize_cluster, finalize_fetch

            if volume:
                raise Mistake("--volume: expected none with --cluster, whose Pods mount the study's claims")
            if fetch is not None:
                told = finalize_fetch.fetched(study, namespace, fetch, image)
                typer.echo(told)
                return
            order = finalize_cluster.Order(study, namespace, candidates, mirrored_prediction, wanted, again, image)
            code = finalize_cluster.finalized(order)
        else:
            if again or image or fetch is not None:
                raise Mistake("--again, --image, --fetch: expected none without --cluster; here it is always done anew")
            found = finished_study(study, state, parse_claims(volume), candidates, mirrored_prediction)
            with exclusive(found.folder):
                code = _finalized(found, wanted)
    if code:
        raise typer.Exit(EXIT_CODES.get(code, FAILED))


def _finalized(found: FinishedStudy, wanted: Wanted) -> int:
    """The trainer's exit code; what went wrong has been said. Raises Mistake, before anything is done."""
    folder = found.folder.resolve()
    phase = found.request["study"]["status"].get("phase")
    if phase != "Succeeded":
        typer.echo(f"warning: the study is {phase}: with more trials another model may be chosen", err=True)
    places = Places(
        data=str(found.data),
        checkpoints=str(folder),
        work=str(folder / "processes" / "finalize"),
        out=str(folder / "final"),
        looks=str(folder.parent / LOOKS_FILE),
        retrained=str(folder / "retrained"),
    )
    environment = os.environ | {REQUEST: json.dumps(found.request)}
    code = run_trainer_module("hpo_trainer.final", arguments(wanted, places), environment)
    if not code:
        typer.echo(f"written to {found.folder / 'final'}: read model_card.md")
    return code
