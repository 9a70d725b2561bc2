"""Ways to adapt a trained network to another population (Bertrand's thesis, 2019, sections 3.3.3 and 3.4)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from hpo_trainer.config import SegmentationConfig, TransferSegmentationConfig
from hpo_trainer.networks.geometric import GeometricWrapper
from hpo_trainer.networks.intensity import IntensityLayer
from hpo_trainer.networks.unet import Place, blocks, level_channels


def adapt(
    network: nn.Module, source: SegmentationConfig, config: TransferSegmentationConfig, in_channels: int, classes: int
) -> nn.Module:
    """``network``, a U-Net of ``source``, ready for ``config.method``; its outputs are the same until it is trained.

    Full and Partial train weights of the source itself; the layers of the other methods are added and alone trained.
    """
    places = blocks(network)
    network.requires_grad_(config.method == "Full")
    if config.method == "Partial":
        count = config.trained_blocks
        for place in places[:count] if config.trained_end == "First" else places[-count:]:
            place.block.requires_grad_(True)
    if config.method == "FixedConvolutions":
        add_convolutions(places, source, classes)
    if config.method in ("Intensity", "GeometricIntensity"):
        bottom = next(place for place in places if place.kind == "bottom")
        bottom.append(IntensityLayer(source.axes, level_channels(source)[-1], config.layer_channels))
    if config.method in ("Geometric", "GeometricIntensity"):
        return GeometricWrapper(network, source.axes, in_channels, config.layer_channels)
    return network


def add_convolutions(places: Sequence[Place], source: SegmentationConfig, classes: int) -> None:
    """A convolution after each block that halves or doubles the resolution, starting at the identity, 3 voxels a side.

    The thesis calls them fixed: once trained they do the same to every image, whichever population it is of.
    """
    channels = [classes, *level_channels(source)]  # an up block gives what the level above it has
    for place in places:
        if place.kind != "bottom":
            width = channels[place.level + (place.kind == "down")]
            place.append(_identity_convolution(source.axes, width))


def _identity_convolution(axes: int, channels: int) -> nn.Module:
    layer = (nn.Conv2d if axes == 2 else nn.Conv3d)(channels, channels, 3, padding=1)
    nn.init.dirac_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer
