"""The best trial anew, on each fold.

All images but the test side are dealt into folds; for each fold a network is trained on the others, as long as the best
trial was, with a seed of its own. A folder keeps the folds and the networks' checkpoints, so a run that was killed
goes on where it was.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

from hpo_trainer import trial
from hpo_trainer.data.folds import find_folds
from hpo_trainer.environment import SEED_LIMIT, Settings
from hpo_trainer.failures import BadConfig
from hpo_trainer.final.model import Trained, read_trained
from hpo_trainer.final.request import Request
from hpo_trainer.final.retrained import Retrained, read_retrained, write_retrained
from hpo_trainer.seeding import derive
from hpo_trainer.stop import Stop


def run(request: Request, name: str, data_dir: Path, folder: Path, number: int, stop: Stop) -> None:
    """``name``: the best trial. ``number``: of folds, where the data set lists none. Raises what a trial raises."""
    best = read_trained(replace(request.candidate(name), mirrored=False))  # it is trained as it was
    objective = request.study["spec"]["objective"]["metric"]
    plan = _plan(best, name, data_dir, folder, number)
    total = len(plan.names)
    for k, fold in enumerate(plan.names):
        stop.check(f"before fold {k + 1} of {total}; run the command again to go on")
        _say(f"fold {k + 1} of {total}, {plan.folds.origin}")
        result = trial.run(_settings(best, plan, k, data_dir), stop, plan.split(fold))
        value = f"{objective} {result.metrics[objective]:.5g}"
        _say(f"fold {k + 1} of {total}: {value} on the fold's own validation images")


def _plan(best: Trained, name: str, data_dir: Path, folder: Path, number: int) -> Retrained:
    """What an earlier run has written down, or folds that are written down now."""
    found = read_retrained(folder)
    if found is None or (found.trial, found.epochs) != (name, best.epoch):
        found = Retrained(folder, name, best.epoch, find_folds(data_dir, best.config, number, best.seed))
        write_retrained(found)
    drawn = not any(fold.fields for fold in found.folds.folds)
    if drawn and len(found.names) != number:
        raise BadConfig("--folds", f"expected {len(found.names)}, as in {folder}; remove that folder to draw others")
    return found


def _settings(best: Trained, plan: Retrained, k: int, data_dir: Path) -> Settings:
    return Settings(
        task=best.task,
        config=replace(best.config, **plan.folds.folds[k].fields),
        seed=derive(best.seed, "fold", k) % SEED_LIMIT,
        data_dir=data_dir,
        checkpoint_dir=plan.folder / plan.names[k],
        objective=None,
        trial=None,
        metrics_address=None,
        threads=torch.get_num_threads(),
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
