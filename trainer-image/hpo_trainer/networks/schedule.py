"""Learning rates that do not ask how long the training will last, since a rung may be followed by another."""

from __future__ import annotations

from dataclasses import dataclass

POWER = 0.9
"""Of the polynomial decay, as in nnU-Net."""
FLOOR = 0.01
"""Share of the rate that is left from the horizon on, so that training beyond it is still training."""


@dataclass(frozen=True)
class Schedule:
    """A linear rise over ``warmup`` epochs, and a polynomial decay that ends at epoch ``horizon``; 0: none of it."""

    rate: float
    warmup: int
    horizon: int
    steps_per_epoch: int

    def at(self, step: int) -> float:
        """``step``: from 0, over all epochs."""
        rate = self.rate
        if step < self.warmup * self.steps_per_epoch:
            rate *= (step + 1) / (self.warmup * self.steps_per_epoch)
        if self.horizon:
            rate *= max(FLOOR, 1 - step / (self.horizon * self.steps_per_epoch)) ** POWER
        return rate
