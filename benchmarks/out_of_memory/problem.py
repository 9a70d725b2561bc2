"""Tuning a 3D U-Net on a GPU whose memory nobody tells the search.

A made training: memory is counted as it is for a real 3D U-Net with Adam (activations of two convolutions, norms and
their gradients on each level; weights, gradients and two moments), the Dice loss is a made function that falls with
patch size, channels and depth, has its best learning rate at a place that depends on the batch size, and takes a small
fixed noise per configuration. Larger is better, so every search is drawn to the limit; how far depends on the rest.
Half of the space or so does not fit, which half is decided by ``gigabytes``.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from hpo_engine.space import CategoricalParameter, FloatParameter, IntParameter, Space
from hpo_engine.trial import Parameters

SPACE = Space(
    (
        IntParameter("patch", 32, 160, step=16),
        IntParameter("batch", 1, 16, log=True),
        IntParameter("channels", 8, 64, log=True),
        IntParameter("depth", 3, 5),
        FloatParameter("learningRate", 1e-5, 1e-1, log=True),
        FloatParameter("weightDecay", 1e-6, 1e-2, log=True),
        CategoricalParameter("norm", ("batch", "instance", "group")),
    )
)
BYTES, COPIES = 4, 6
"""Per activation: output and gradient of convolution, norm and nonlinearity."""
CONTEXT = 1.2e9
"""What a CUDA process takes before it allocates anything."""
OPTIMAL_BATCH = 2


@dataclass(frozen=True)
class Outcome:
    """``loss``: None where the training ran out of memory. ``memory`` in bytes, as a real report would have it."""

    loss: float | None
    memory: float


def memory(p: Parameters) -> float:
    """Peak bytes of one training step."""
    patch, batch, channels, depth = (float(p[name]) for name in ("patch", "batch", "channels", "depth"))
    activations, weights = 0.0, 0.0
    for level in range(int(depth)):
        width, edge = min(channels * 2**level, 320), patch / 2**level
        paths = 1 if level == depth - 1 else 3  # down, up, and what is joined
        activations += batch * paths * 2 * width * edge**3
        weights += paths * 2 * 27 * width**2
    return CONTEXT + BYTES * (COPIES * activations + 4 * weights)


def loss(p: Parameters) -> float:
    """1 - Dice; about 0.12 at best without a limit."""
    size = 0.25 * np.exp(-float(p["patch"]) / 48) + 0.12 * (8 / float(p["channels"])) ** 0.7
    depth = {3: 0.03, 4: 0.005, 5: 0.0}[int(p["depth"])]
    batch = float(p["batch"])
    best_rate = -3.5 + 0.5 * np.log10(batch)
    rate = 0.05 * (np.log10(float(p["learningRate"])) - best_rate) ** 2
    decay = 0.006 * (np.log10(float(p["weightDecay"])) + 4) ** 2
    norm = {"batch": 0.03 / batch, "instance": 0.004, "group": 0.0}[str(p["norm"])]
    small = 0.012 * abs(np.log2(batch / OPTIMAL_BATCH))
    noise = 0.002 * np.random.default_rng(zlib.crc32(repr(sorted(p.items())).encode())).standard_normal()
    return float(min(0.1 + size + depth + rate + decay + norm + small + noise, 1.0))


def train(p: Parameters, gigabytes: float) -> Outcome:
    used = memory(p)
    return Outcome(None if used > gigabytes * 1e9 else loss(p), used)
