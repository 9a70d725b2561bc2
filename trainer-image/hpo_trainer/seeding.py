"""Random numbers that depend on the trial's seed and a purpose alone, never on what was drawn before.

So epoch 7 shuffles, augments and drops out alike whether the run came from epoch 6 or from a checkpoint, and the seed
and the epoch are the whole state of the random number generators.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A seed in 0 ≤ s < 2⁶³ from SHA-256 of ``seed`` and ``purpose``."""
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator of its own for ``purpose``."""
    import torch

    return torch.Generator().manual_seed(derive(seed, *purpose))
