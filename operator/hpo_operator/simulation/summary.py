"""Simulated studies as figures and sentences: the median, and an interval that holds four of five."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hpo_operator.simulation.forecast import Outcome, Rung

SHARES = (0.5, 0.1, 0.9)
LIMITS = {"GPUHoursExhausted": "gpuHours", "WallClockExhausted": "wallClock"}
"""Reasons of an end before the work is done, and the limits of the budget behind them."""


@dataclass(frozen=True)
class Spread:
    """Of a figure over the draws: median, and the interval between its 10 % and its 90 % quantile."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """One more draw would lie below a quantile as often as it says (for Weibull's; the usual ones are too near the
        median: of ten draws they hold two of three instead of four of five).
        """
        drawn = np.array(values, dtype=float)
        return cls(*(float(q) for q in np.quantile(drawn, SHARES, method="weibull")))

    @property
    def is_point(self) -> bool:
        """The draws hardly differ: by less than a hundredth."""
        return self.high - self.low <= 0.01 * abs(self.median)

    def text(self, show: Callable[[float], str]) -> str:
        """``6.2 (5.8 to 7.0)``, or the median alone where the rest would look the same."""
        low, high = show(self.low), show(self.high)
        return show(self.median) if self.is_point or low == high else f"{show(self.median)} ({low} to {high})"


@dataclass(frozen=True)
class RungSummary:
    """``resource`` 0: a study without fidelity; ``units``: trained for this rung by all its trials together."""

    resource: int
    trials: Spread
    units: Spread
    pod_seconds: Spread


@dataclass(frozen=True)
class Summary:
    """``gpus_per_pod`` 0: the study's Pods hold none. ``stopped_seconds``: of Pods that were told to stop.

    ``utilisation``: Pods that run, on average from start to end. ``endings``: how many draws ended for which reason.
    """

    draws: int
    gpus_per_pod: int
    pod_seconds: Spread
    wall_seconds: Spread
    pods: Spread
    trials: Spread
    units: Spread
    stopped_seconds: Spread
    busy: int
    utilisation: Spread
    rungs: tuple[RungSummary, ...]
    endings: dict[str, int]

    @property
    def gpu_hours(self) -> Spread:
        hours = [self.gpus_per_pod * s / 3600 for s in asdict(self.pod_seconds).values()]
        return Spread(*hours)

    def limits_met(self) -> Iterator[tuple[str, int]]:
        """Limits of the budget that end the study before its work is done, and in how many draws."""
        return ((LIMITS[reason], count) for reason, count in self.endings.items() if reason in LIMITS)

    def as_json(self) -> dict[str, Any]:
        """Figures as plain JSON; times in seconds."""
        hours = {"gpuHours": asdict(self.gpu_hours)} if self.gpus_per_pod else {}
        return {
            "draws": self.draws,
            "gpusPerPod": self.gpus_per_pod,
            **hours,
            "podSeconds": asdict(self.pod_seconds),
            "wallSeconds": asdict(self.wall_seconds),
            "pods": asdict(self.pods),
            "trials": asdict(self.trials),
            "units": asdict(self.units),
            "stoppedPodSeconds": asdict(self.stopped_seconds),
            "mostPodsAtOnce": self.busy,
            "podsAtOnceOnAverage": asdict(self.utilisation),
            "rungs": [
                {
                    "resource": r.resource,
                    "trials": asdict(r.trials),
                    "units": asdict(r.units),
                    "podSeconds": asdict(r.pod_seconds),
                }
                for r in self.rungs
            ],
            "endings": self.endings,
        }


def summary(outcomes: Sequence[Outcome], gpus_per_pod: int) -> Summary:
    """Of at least one outcome."""

    def spread(value: Callable[[Outcome], float]) -> Spread:
        return Spread.of([value(outcome) for outcome in outcomes])

    resources = sorted({rung.resource for outcome in outcomes for rung in outcome.rungs})
    return Summary(
        draws=len(outcomes),
        gpus_per_pod=gpus_per_pod,
        pod_seconds=spread(lambda o: o.pod_seconds),
        wall_seconds=spread(lambda o: o.wall_seconds),
        pods=spread(lambda o: o.pods),
        trials=spread(lambda o: o.trials),
        units=spread(lambda o: sum(r.units for r in o.rungs)),
        stopped_seconds=spread(lambda o: round(o.pod_seconds - sum(r.pod_seconds for r in o.rungs), 6) + 0.0),
        busy=max(o.busy for o in outcomes),
        utilisation=spread(lambda o: o.pod_seconds / o.wall_seconds if o.wall_seconds else 0.0),
        rungs=tuple(_rung(outcomes, resource) for resource in resources),
        endings=dict(Counter(o.reason for o in outcomes)),
    )


def _rung(outcomes: Sequence[Outcome], resource: int) -> RungSummary:
    absent = Rung(resource, 0, 0, 0.0)
    found = [next((r for r in o.rungs if r.resource == resource), absent) for o in outcomes]
    return RungSummary(
        resource,
        Spread.of([r.trials for r in found]),
        Spread.of([r.units for r in found]),
        Spread.of([r.pod_seconds for r in found]),
    )
