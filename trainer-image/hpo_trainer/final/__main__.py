"""``python -m hpo_trainer.final``: from a study's checkpoints to its final model, judged and written down.

The variable HPO_FINAL holds the study and its candidates (see ``request``), arguments say where everything lies. The
same on a user's machine and in a Pod. Exit codes: 0, or those of a trial (docs/trainer-contract.md).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hpo_trainer.evaluation.bootstrap import DRAWS
from hpo_trainer.failures import BadConfig, describe
from hpo_trainer.final import build, predict, retrain
from hpo_trainer.final.choice import choose, read_library
from hpo_trainer.final.judgement import TOLERANCE
from hpo_trainer.final.looks import Looks
from hpo_trainer.final.report import Report, told
from hpo_trainer.final.request import Choice, Request, parse_request
from hpo_trainer.final.retrained import Retrained, read_retrained
from hpo_trainer.stop import Stop

REQUEST = "HPO_FINAL"


def finalize(request: Request, options: argparse.Namespace, stop: Stop) -> Report:
    """Raises what a trial raises."""
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    choice = _choice(request, options, stop)
    order = build.Order(
        request,
        choice,
        options.data,
        options.work,
        options.out,
        Looks(options.looks) if options.looks else None,
        options.tolerance,
        DRAWS,
        _retrained(request, choice, options, stop) if options.retrained else None,
    )
    report = build.run(order, lambda: stop.check("while the models are judged"))
    shutil.rmtree(options.work)
    return report


def _choice(request: Request, options: argparse.Namespace, stop: Stop) -> Choice:
    predictions = options.work / "predictions"
    predict.run(request, options.data, predictions, stop)
    trials = [candidate.trial for candidate in request.candidates]
    choice = choose(read_library(predictions, trials), trials)
    shutil.rmtree(predictions)  # of large volumes many gigabytes
    return choice


def _retrained(request: Request, choice: Choice, options: argparse.Namespace, stop: Stop) -> Retrained | None:
    folder = options.retrained / choice.single
    retrain.run(request, choice.single, options.data, folder, options.folds, stop)
    return read_retrained(folder)


def ended(work: Callable[[], None]) -> int:
    """The exit code of ``work``; a failure that has a reason is one sentence, any other a traceback."""
    try:
        work()
    except Exception as error:
        failure = describe(error)
        if failure.reason == "Error":
            raise
        print(failure.message, file=sys.stderr)
        return failure.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hpo_trainer.final")
    for name, what in (
        ("data", "the data volume"),
        ("work", "a folder of its own, which is emptied"),
        ("out", "where the model is written, in place of what is there"),
    ):
        parser.add_argument(f"--{name}", type=Path, required=True, help=what)
    parser.add_argument("--checkpoints", type=Path, default=Path(), help="what paths of checkpoints are relative to")
    parser.add_argument("--looks", type=Path, help="the record of looks at test images; without it none is taken")
    parser.add_argument("--retrained", type=Path, help="train the best anew, and keep its checkpoints in this folder")
    parser.add_argument("--folds", type=int, default=5, help="to retrain on, where the data set lists none")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="mm, of the surface Dice")
    return parser


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    options = _parser().parse_args(arguments)
    stop = Stop()
    stop.install()

    def work() -> None:
        if REQUEST not in environment:
            raise BadConfig(REQUEST, "expected a study and its candidates, as hpo finalize writes them, found nothing")
        print(told(finalize(parse_request(environment[REQUEST], options.checkpoints), options, stop)))

    return ended(work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
