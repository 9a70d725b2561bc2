"""MONAI's U-Net as the tasks use it, and its blocks in the order in which an image passes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import nn

from hpo_trainer.config import SegmentationConfig


def u_net(config: SegmentationConfig, in_channels: int, classes: int) -> nn.Module:
    """MONAI's U-Net with instance normalisation and leaky ReLU: (N, in_channels, *S) to logits (N, classes, *S).

    ``depth`` levels halve the resolution ``depth`` - 1 times, the first convolution does so already; a level of full
    resolution may stand above them. Level i from the top has channels · channel_multiplier^i channels.
    MONAI needs two levels, so at depth 1 the second one keeps the resolution.
    """
    from monai.networks.nets.unet import UNet

    from hpo_trainer.networks.mixed_precision import MixedPrecisionUNet

    halvings = [1] * config.full_resolution + [2] * (config.depth - 1)
    kind = MixedPrecisionUNet if config.precision == "BFloat16" else UNet
    network: nn.Module = kind(
        spatial_dims=config.axes,
        in_channels=in_channels,
        out_channels=classes,
        channels=level_channels(config),
        strides=halvings or [1],
        num_res_units=config.residual_units,
        norm="instance",
        act=("leakyrelu", {"negative_slope": 0.01}),
        dropout=config.dropout,
    )
    if config.full_resolution:
        replace_transposed(network)
    return network


def replace_transposed(network: nn.Module) -> None:
    """Convolutions instead of transposed ones of stride 1: the same functions, and three times as fast in bfloat16."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ConvTranspose2d | nn.ConvTranspose3d) and set(child.stride) == {1}:
                kind = nn.Conv2d if isinstance(child, nn.ConvTranspose2d) else nn.Conv3d
                kernel = child.kernel_size[0]
                setattr(module, name, kind(child.in_channels, child.out_channels, kernel, padding=kernel // 2))


def level_channels(config: SegmentationConfig) -> list[int]:
    """Channels of each level, from the top."""
    levels = max(2, config.full_resolution + config.depth)
    return [max(1, round(config.channels * config.channel_multiplier**i)) for i in range(levels)]


@dataclass(frozen=True)
class Place:
    """Where a block stands, so that it can be replaced: child ``name`` of ``owner``.

    ``kind``: down, bottom or up; ``level``: from 0 at the top.
    """

    owner: nn.Module
    name: str
    kind: str
    level: int

    @property
    def block(self) -> nn.Module:
        return cast(nn.Module, getattr(self.owner, self.name))

    def append(self, layer: nn.Module) -> None:
        """``layer`` takes what the block gives."""
        setattr(self.owner, self.name, nn.Sequential(self.block, layer))


def blocks(network: nn.Module) -> list[Place]:
    """The down blocks from the top, the bottom, the up blocks to the top: 2 · levels - 1 of them.

    MONAI nests them: a level is Sequential(down, SkipConnection(the levels below), up).
    """
    down: list[Place] = []
    up: list[Place] = []
    place = Place(network, "model", "bottom", 0)
    while _is_level(place.block):
        level = cast(nn.Sequential, place.block)
        down.append(Place(level, "0", "down", place.level))
        up.append(Place(level, "2", "up", place.level))
        place = Place(level[1], "submodule", "bottom", place.level + 1)
    return [*down, place, *reversed(up)]


def _is_level(module: nn.Module) -> bool:
    from monai.networks.layers.simplelayers import SkipConnection

    return isinstance(module, nn.Sequential) and len(module) == 3 and isinstance(module[1], SkipConnection)
