"""``plan``: the engine's one entry point.

A pure function of the study, its trials (in any order) and the number of free slots. Performing a plan and planning
again yields nothing new; the same arguments yield the same plan, byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hpo_engine.trial import Parameters


@dataclass(frozen=True)
class Rationale:
    """Why a configuration was suggested, in the user's own units and direction. None: no model was asked."""

    origin: str  # "Random", "Sobol", "GP"
    bracket: int | None = None
    mean: float | None = None
    sigma: float | None = None
    acquisition: float | None = None


@dataclass(frozen=True)
class Suggestion:
    """Start trial ``index`` with ``parameters`` and train it to ``resource`` (0: no fidelity)."""

    index: int
    parameters: Parameters
    resource: int
    rationale: Rationale


@dataclass(frozen=True)
class Promotion:
    """Let trial ``index`` go on from its checkpoint to ``resource``, on rung ``rung``."""

    index: int
    rung: int
    resource: int


@dataclass(frozen=True)
class Plan:
    """What should happen now. ``done``: nothing runs and nothing will ever be started again. ``notes``: for people."""

    start: tuple[Suggestion, ...] = ()
    promote: tuple[Promotion, ...] = ()
    stop: tuple[int, ...] = ()
    done: bool = False
    notes: tuple[str, ...] = field(default=())
