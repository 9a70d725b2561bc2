"""Changes of how an image looks, none of where its parts lie but mirroring; images are (N, 1, H, W), standardised."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def standardised_each(images: Tensor) -> Tensor:
    """Each image with mean 0 and deviation 1, whatever its exposure was; one of a single value becomes 0."""
    deviation, mean = torch.std_mean(images, dim=(1, 2, 3), correction=0, keepdim=True)
    return (images - mean) / torch.where(deviation > 0, deviation, 1)


def mirrored(images: Tensor, generator: Generator) -> Tensor:
    """Half of the images with left and right exchanged."""
    chosen = (torch.rand(len(images), generator=generator) < 0.5)[:, None, None, None]
    return torch.where(chosen, images.flip(3), images)


def intensities_changed(images: Tensor, most: float, generator: Generator) -> Tensor:
    """Contrast times e^c, then brightness plus b, each drawn for an image between -``most`` and ``most``."""
    contrast, brightness = ((torch.rand(2, len(images), 1, 1, 1, generator=generator) * 2 - 1) * most).unbind()
    return images * contrast.exp() + brightness
