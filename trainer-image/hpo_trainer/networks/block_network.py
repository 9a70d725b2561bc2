"""The parametric family of classification networks."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from hpo_trainer.config import ClassificationConfig


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
