"""The networks of the built-in tasks, built from their configuration."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from hpo_trainer.config import ClassificationConfig, SegmentationConfig


class BlockNetwork(nn.Module):
    """Blocks of equal convolutions with ReLU, each ended by a max-pooling, then fully connected layers.

    The family of Bertrand, Perrot, Ardon, Bloch: Classification of MRI data using deep learning and Gaussian
    process-based model selection (ISBI 2017), section 2. ``separable`` makes each s × s convolution a 1 × s and an
    s × 1. Weights start Glorot-uniform and biases at 0. Images (N, 1, S, S) to logits (N, classes).
    """

    def __init__(self, config: ClassificationConfig, classes: int) -> None:
        super().__init__()
        size = config.kernel_size
        shapes = [(1, size), (size, 1)] if config.separable else [(size, size)]
        layers: list[nn.Module] = []
        channels = 1
        for _ in range(config.blocks):
            for shape in shapes * config.convolutions_per_block:
                layers += [nn.Conv2d(channels, config.filters, shape, padding="same"), nn.ReLU()]
                channels = config.filters
            layers.append(nn.MaxPool2d(2))
        layers.append(nn.Flatten())
        units = channels * (config.image_size >> config.blocks) ** 2
        for width in config.dense_units:
            layers += [nn.Linear(units, width), nn.ReLU()]
            if config.dropout > 0:
                layers.append(nn.Dropout(config.dropout))
            units = width
        layers.append(nn.Linear(units, classes))
        self.layers = nn.Sequential(*layers)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(cast(Tensor, module.bias))

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.layers(images))


def u_net(config: SegmentationConfig, in_channels: int, classes: int) -> nn.Module:
    """MONAI's U-Net with instance normalisation and leaky ReLU: (N, in_channels, *S) to logits (N, classes, *S).

    ``depth`` levels halve the resolution ``depth`` - 1 times; level i has channels · channel_multiplier^i channels.
    MONAI needs two levels, so at depth 1 the second one keeps the resolution.
    """
    from monai.networks.nets.unet import UNet

    levels = max(2, config.depth)
    return UNet(
        spatial_dims=config.axes,
        in_channels=in_channels,
        out_channels=classes,
        channels=[max(1, round(config.channels * config.channel_multiplier**i)) for i in range(levels)],
        strides=[2 if config.depth > 1 else 1] * (levels - 1),
        num_res_units=config.residual_units,
        norm="instance",
        act=("leakyrelu", {"negative_slope": 0.01}),
        dropout=config.dropout,
    )


def parameter_count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def optimizer(
    model: nn.Module, name: str, learning_rate: float, *, momentum: float = 0.9, weight_decay: float = 0.0
) -> torch.optim.Optimizer:
    """SGD (Nesterov, if there is momentum), Adam, or AdamW."""
    parameters = model.parameters()
    if name == "SGD":
        return torch.optim.SGD(
            parameters, lr=learning_rate, momentum=momentum, nesterov=momentum > 0, weight_decay=weight_decay
        )
    kind = torch.optim.AdamW if name == "AdamW" else torch.optim.Adam
    return kind(parameters, lr=learning_rate, weight_decay=weight_decay)
