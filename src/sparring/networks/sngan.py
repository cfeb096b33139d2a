"""SNGAN's standard convolutional players (Miyato et al. 2018, table 3); spectral norm is put on D by a modifier."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from sparring.networks.layers import LayeredDiscriminator, Verdict, pyramid, widths_of

__all__ = ["Discriminator", "Generator"]


class Generator(nn.Module):
    """z `[n, z_dim]` -> images `[n, c, h, w]` in [-1, 1].

    A dense layer, then transposed 4x4 convolutions of stride 2 with batch norm and ReLU, then a 3x3 convolution.
    `width` is the number of channels next to the image; it doubles towards the base, at most 8 x width (32 px at width
    64 is the paper's 512-256-128-64).
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int = 0,
        *,
        width: int = 64,
        z_dim: int = 128,
        z_kind: str = "normal",
    ) -> None:
        super().__init__()
        sizes = pyramid(shape)
        self.base, self.z_dim, self.z_kind = sizes.base, z_dim, z_kind
        widths = widths_of(width, 8 * width, sizes.doublings)[::-1]
        self.entry = nn.Linear(z_dim, widths[0] * math.prod(sizes.base))
        steps: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            steps += [
                nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1),
                nn.BatchNorm2d(outputs),
                nn.ReLU(True),
            ]
        self.layers = nn.Sequential(*steps, nn.Conv2d(widths[-1], shape[0], 3, padding=1), nn.Tanh())

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.layers(self.entry(z).unflatten(1, (-1, *self.base)))
        return images


class Discriminator(LayeredDiscriminator):
    """Images `[n, c, h, w]` -> Verdict with logits `[n]`; no batch norm, leaky ReLU 0.1.

    At every size a 3x3 convolution and a 4x4 one of stride 2, at the base a 3x3 convolution and a dense layer.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int = 0, *, width: int = 64) -> None:
        super().__init__()
        sizes = pyramid(shape)
        widths = widths_of(width, 8 * width, sizes.doublings)
        self.layers = nn.ModuleList()
        channels = shape[0]
        for outputs in widths[:-1]:
            self.layers.append(_layer(channels, outputs, 3, 1))
            self.layers.append(_layer(outputs, outputs, 4, 2))
            channels = outputs
        self.layers.append(_layer(channels, widths[-1], 3, 1))
        self.head = nn.Linear(widths[-1] * math.prod(sizes.base), 1)

    def judge(self, last: Tensor, labels: Tensor | None = None) -> Verdict:
        """Logits of the last inner layer."""
        return Verdict(self.head(last.flatten(1)).squeeze(1))


def _layer(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=1), nn.LeakyReLU(0.1))
