"""What is asked for: the candidates of a study; and what is chosen from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo_trainer.data.splits import NamedSplit


@dataclass(frozen=True)
class Candidate:
    """A finished trial. ``checkpoint``: its folder; ``value``: of the objective, after ``resource`` epochs (0: all).

    ``split``: who trained and validated it, where that is not what its configuration says. ``mirrored``: it predicts by
    the mean over mirror images, whatever its configuration says.
    """

    trial: str
    checkpoint: Path
    value: float
    resource: int
    split: NamedSplit | None = None
    mirrored: bool = False


@dataclass(frozen=True)
class Request:
    """``study``: facts for the model card, as the study's owner wrote them. ``candidates``: the best first."""

    study: Mapping[str, Any]
    candidates: tuple[Candidate, ...]

    def candidate(self, trial: str) -> Candidate:
        return next(candidate for candidate in self.candidates if candidate.trial == trial)


@dataclass(frozen=True)
class Choice:
    """``single``: the best trial alone. ``members``: how often each trial counts in the ensemble.

    ``method``: how the ensemble was chosen, in words. ``considered``: by method, what it lost on validation images that
    its choice had not seen; ``loss`` says what was counted.
    """

    single: str
    members: Mapping[str, int]
    method: str
    loss: str
    considered: Mapping[str, float]

    @property
    def is_ensemble(self) -> bool:
        return set(self.members) != {self.single}

    @property
    def models(self) -> dict[str, Mapping[str, int]]:
        """By name, ``single`` and, if it is another one, ``ensemble``: the trials in it and their weights."""
        single: dict[str, Mapping[str, int]] = {"single": {self.single: 1}}
        return single | ({"ensemble": self.members} if self.is_ensemble else {})


def parse_request(text: str, checkpoints: Path = Path()) -> Request:
    """JSON as ``hpo finalize`` writes it; its paths of checkpoints are relative to ``checkpoints``, or absolute."""
    document = json.loads(text)
    mirrored = document.get("mirroredPrediction", False)
    candidates = tuple(
        Candidate(c["trial"], checkpoints / c["checkpoint"], c["value"], c["resource"], mirrored=mirrored)
        for c in document["candidates"]
    )
    return Request(document["study"], candidates)
