"""What a search of the space comes back with."""

from __future__ import annotations

from dataclasses import dataclass

from hpo_engine.parameters import FloatArray
from hpo_engine.trial import Parameters


@dataclass(frozen=True)
class Choice:
    """A configuration, its encoding (d,) and its value."""

    parameters: Parameters
    encoded: FloatArray
    value: float
