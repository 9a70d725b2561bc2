"""Published classification networks as MONAI builds them, their layers in order, and a new head.

Images have one channel; weights that were trained on colours are read by ``networks.pretrained``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor, nn

from hpo_trainer.config import TransferClassificationConfig

RESNETS: dict[str, tuple[str, tuple[int, ...]]] = {
    "ResNet10": ("basic", (1, 1, 1, 1)),
    "ResNet18": ("basic", (2, 2, 2, 2)),
    "ResNet34": ("basic", (3, 4, 6, 3)),
    "ResNet50": ("bottleneck", (3, 4, 6, 3)),
    "ResNet101": ("bottleneck", (3, 4, 23, 3)),
}
DENSENETS: dict[str, tuple[int, ...]] = {
    "DenseNet121": (6, 12, 24, 16),
    "DenseNet169": (6, 12, 32, 32),
    "DenseNet201": (6, 12, 48, 32),
}


class TransferNetwork(nn.Module):
    """A backbone and a linear head with dropout: (N, 1, S, S) to logits (N, classes).

    The first ``frozen`` layers of the backbone are not trained. Their batch normalisation keeps the statistics that it
    came with, too: those of a few images of another population would undo what was learned.
    """

    def __init__(self, config: TransferClassificationConfig, classes: int) -> None:
        super().__init__()
        self.backbone, features = _backbone(config)
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(features, classes))
        self._frozen = 0

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.head(self.backbone(images)))

    def freeze(self, share: float, *, head: bool = False) -> None:
        """Of the backbone's layers the first ``share``, rounded to whole layers; 1 leaves at most the head to train."""
        stack = layers(self.backbone)
        self._frozen = round(share * len(stack))
        self.requires_grad_(True)
        for layer in stack[: self._frozen]:
            layer.requires_grad_(False)
        self.head.requires_grad_(not head)
        self.train(self.training)

    def train(self, mode: bool = True) -> TransferNetwork:
        super().train(mode)
        for layer in layers(self.backbone)[: self._frozen]:
            layer.eval()
        return self


def layers(backbone: nn.Module) -> list[nn.Module]:
    """All that has weights, in the order in which an image passes it: the stem, then block by block.

    A residual block, a layer of a dense block with what follows it, and a mobile inverted bottleneck count one each.
    """
    model = cast(Any, backbone)
    if hasattr(model, "layer1"):
        stem = nn.ModuleList([model.conv1, model.bn1])
        return [stem, *(block for stage in (model.layer1, model.layer2, model.layer3, model.layer4) for block in stage)]
    if hasattr(model, "features"):
        return _dense_layers(model.features)
    stem = nn.ModuleList([model._conv_stem, model._bn0])
    blocks = [block for stage in model._blocks for block in stage]
    return [stem, *blocks, nn.ModuleList([model._conv_head, model._bn1])]


def _dense_layers(features: nn.Sequential) -> list[nn.Module]:
    """The last normalisation goes with the layer before it: it has no features of its own."""
    stack: list[nn.Module] = [nn.ModuleList([features.get_submodule("conv0"), features.get_submodule("norm0")])]
    for name, child in features.named_children():
        if name.startswith("denseblock"):
            stack += list(child.children())
        elif name.startswith("transition"):
            stack.append(child)
    stack[-1] = nn.ModuleList([stack[-1], features.get_submodule("norm5")])
    return stack


def _backbone(config: TransferClassificationConfig) -> tuple[nn.Module, int]:
    """Images (N, 1, S, S) to features (N, F), and F."""
    if config.backbone in RESNETS:
        return _resnet(config)
    if config.backbone in DENSENETS:
        return _densenet(config)
    return _efficientnet(config)


def _resnet(config: TransferClassificationConfig) -> tuple[nn.Module, int]:
    """With the bias-free shortcuts of torchvision. The small stem is a 3 × 3 convolution that halves nothing."""
    from monai.networks.nets.resnet import ResNet

    block, depths = RESNETS[config.backbone]
    small = config.stem == "Small"
    widths = _scaled((64, 128, 256, 512), config.width)
    network = ResNet(
        block,
        list(depths),
        widths,
        spatial_dims=2,
        n_input_channels=1,
        conv1_t_size=3 if small else 7,
        conv1_t_stride=1 if small else 2,
        no_max_pool=small,
        feed_forward=False,
        bias_downsample=False,
    )
    return network, widths[-1] * (4 if block == "bottleneck" else 1)


def _densenet(config: TransferClassificationConfig) -> tuple[nn.Module, int]:
    from monai.networks.nets.densenet import DenseNet

    channels, growth = _scaled((64, 32), config.width)
    depths = DENSENETS[config.backbone]
    network: Any = DenseNet(2, 1, 1, init_features=channels, growth_rate=growth, block_config=depths)
    if config.stem == "Small":
        network.features.conv0 = nn.Conv2d(1, channels, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(network.features.conv0.weight)
        network.features.pool0 = nn.Identity()
    features = network.class_layers.out.in_features
    network.class_layers.out = nn.Identity()
    return network, features


def _efficientnet(config: TransferClassificationConfig) -> tuple[nn.Module, int]:
    """Dropout and the linear layer are the head's."""
    from monai.networks.nets.efficientnet import EfficientNetBN

    name = f"efficientnet-{config.backbone.removeprefix('EfficientNet').lower()}"
    network: Any = EfficientNetBN(name, pretrained=False, in_channels=1, num_classes=1)
    features = network._fc.in_features
    network._dropout, network._fc = nn.Identity(), nn.Identity()
    return network, features


def _scaled(channels: Sequence[int], width: float) -> list[int]:
    return [max(1, round(width * count)) for count in channels]
