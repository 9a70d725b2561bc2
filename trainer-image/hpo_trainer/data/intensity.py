"""Normalisation of an image's intensities by its own statistics, since MR intensities have no common unit."""

from __future__ import annotations

import numpy as np

from hpo_trainer.data.files import Image


def normalize(image: Image, method: str) -> Image:
    """``image``: (C, *S); each channel by itself. A constant channel becomes 0, except with ``None``.

    ZScore: mean 0, standard deviation 1. PercentileZScore: clipped to its percentiles 0.5 and 99.5 before.
    MinMax: to [0, 1]. None: as it is.
    """
    if method == "None":
        return image
    return np.stack([_normalize(channel, method) for channel in image])


def _normalize(channel: Image, method: str) -> Image:
    values = channel.astype(np.float64)
    if method == "MinMax":
        offset, scale = values.min(), np.ptp(values)
    else:
        if method == "PercentileZScore":
            values = np.clip(values, *np.percentile(values, [0.5, 99.5]))
        offset, scale = values.mean(), values.std()
    normalized: Image = ((values - offset) / (scale if scale > 0 else 1.0)).astype(np.float32)
    return normalized
