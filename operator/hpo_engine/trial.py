"""What the engine is told of a trial. A history is a set of trials: their order carries nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

Value = float | int | str
Parameters = dict[str, Value]
"""Active parameters only. float and int parameters are numbers, ordinals their number, categoricals their string."""


class TrialState(Enum):
    """Where a trial stands.

        RUNNING ──> REPORTED ──promotion──> RUNNING
           ├──────> FAILED    permanently: the configuration, its data or its code; never tried again
           └──────> STOPPED   by the planner or a user; what it reported until then counts

    RUNNING covers queued, starting and retried trials: its value at ``resource`` is still to come.
    REPORTED has its measurement at ``resource``: it is paused at a rung, or at the end.
    """

    RUNNING = "Running"
    REPORTED = "Reported"
    FAILED = "Failed"
    STOPPED = "Stopped"


@dataclass(frozen=True, slots=True)
class Measurement:
    """The objective (as the user states it, not negated) after ``resource`` units in total (0: no fidelity).

    ``seconds``: wall time of the rung that ended here, ``memory``: the most bytes it used, ``metrics``: everything else
    that was reported; all as far as they are known.
    """

    resource: int
    value: float
    seconds: float | None = None
    memory: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trial:
    """Trial ``index`` of a study. ``resource`` is the cumulative amount it was last told to reach (0: no fidelity).

    ``rung`` counts its promotions. ``failure`` is a reason such as "OutOfMemory" when the state is FAILED.
    """

    index: int
    parameters: Parameters
    state: TrialState
    rung: int = 0
    resource: int = 0
    measurements: tuple[Measurement, ...] = ()
    failure: str | None = None

    @property
    def latest(self) -> Measurement:
        """The measurement at the largest resource; a trial without any has none (ValueError)."""
        return max(self.measurements, key=lambda m: m.resource)

    def value_at(self, resource: int) -> float | None:
        """The objective measured at exactly ``resource``, or None."""
        return next((m.value for m in self.measurements if m.resource == resource), None)
