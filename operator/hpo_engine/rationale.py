"""Why a configuration was suggested: kept with the trial, for people who ask."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rationale:
    """Why a configuration was suggested, in the user's own units and direction. None: no model was asked."""

    origin: str  # "Random", "Sobol", "GP", "TPE"
    bracket: int | None = None
    mean: float | None = None
    sigma: float | None = None
    acquisition: float | None = None
