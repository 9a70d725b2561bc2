"""Every random number of a study, addressed by (seed, purpose, index) instead of drawn from a running stream.

What is drawn for trial i then depends on nothing that was drawn before, so a restarted process continues exactly.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What random numbers are for. The codes are part of every study's reproducibility: never renumber them."""

    UNIFORM = 1
    SOBOL = 2
    FIT = 3
    CANDIDATES = 4
    TRAINING = 5
    GRID = 6
    HORIZON = 7
    FEASIBLE = 20
    EARLIER = 21
    SLICE = 22
    ANALYSIS = 30


def rng(seed: int, purpose: Purpose, index: int = 0) -> np.random.Generator:
    """The generator of one purpose and index. ``seed``: any non-negative integer."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(int(purpose), index))))


def trial_seed(seed: int, index: int) -> int:
    """The seed that trial ``index`` trains with, 0 <= seed < 2**31. It stays the same over rungs and attempts."""
    return int(rng(seed, Purpose.TRAINING, index).integers(2**31))
