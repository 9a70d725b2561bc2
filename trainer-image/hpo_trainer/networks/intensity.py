"""Intensity transformations of feature maps, predicted from the maps themselves."""

from __future__ import annotations

from torch import Tensor, nn

from hpo_trainer.networks.predictor import Predictor


class IntensityLayer(nn.Module):
    """O(I_i) = K_i(I) · I_i + b_i(I) for each feature map I_i (Bertrand's thesis, 2019, section 3.4.2).

    Three layers predict K and b from all maps; it starts at the identity, K = 1 and b = 0. Akin to FiLM (Perez et al.,
    AAAI 2018). (N, channels, *S) to the same shape.
    """

    def __init__(self, axes: int, channels: int, width: int) -> None:
        super().__init__()
        self.predictor = Predictor(axes, channels, 2 * channels, width)

    def forward(self, maps: Tensor) -> Tensor:
        shape = (*maps.shape[:2], *[1] * (maps.ndim - 2))
        excess, offset = self.predictor(maps).chunk(2, dim=1)
        transformed: Tensor = (1 + excess.reshape(shape)) * maps + offset.reshape(shape)
        return transformed
