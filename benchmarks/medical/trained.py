"""A finished trial's network, opened as the trainer itself opens it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import torch

from hpo_trainer import checkpoint
from hpo_trainer.config import parse
from hpo_trainer.final.model import SegmentingLearner
from hpo_trainer.loop import Learner
from hpo_trainer.tasks.classifier import Classifier
from hpo_trainer.trial import open_learner
from medical.data import VOLUME


def classifier(folder: Path) -> Classifier:
    """The learner whose last checkpoint lies in ``folder``, its network in evaluation mode, and its data."""
    return cast(Classifier, _learner(folder))


def segmenter(folder: Path) -> SegmentingLearner:
    """The same for a task that segments."""
    return cast(SegmentingLearner, _learner(folder))


def _learner(folder: Path) -> Learner:
    state = checkpoint.decode(folder / checkpoint.CURRENT)
    identity: dict[str, Any] = json.loads(state["identity"])
    task, seed = identity.pop("task"), identity.pop("seed")
    learner, _ = open_learner(parse(task, identity, {}), VOLUME, seed, torch.device("cpu"), lambda: None)
    learner.model.load_state_dict(state["model"])
    learner.model.eval()
    return learner
