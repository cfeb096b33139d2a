"""DCGAN: strided convolutions, batch norm, no pooling, no dense layers (Radford, Metz & Chintala 2016).

Kernels are 4x4 (the paper's 5x5 fractional strides leave a checkerboard; 4 divides by the stride). Sizes that are
not 64 get as many stages as halve them down to a base of 4 to 7. z is normal, where the paper has it uniform. Weights
lie channels-last, which is faster on a CPU.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from sparring.networks.layers import (
    LayeredDiscriminator,
    UpConv,
    Verdict,
    initialise_normal,
    pyramid,
    require_choice,
    widths_of,
)

__all__ = ["Discriminator", "Generator"]


class Generator(nn.Module):
    """z `[n, z_dim]` -> images `[n, c, h, w]` in [-1, 1] (Radford et al. 2016, figure 1).

    `width` is the number of channels before the last layer; each earlier stage has twice as many, at most 8 x width
    (64 px at width 128 is the paper's 1024-512-256-128). `upsample` is `transposed`, the paper's fractional strides,
    or `nearest`, repetition and a 3x3 convolution, which leaves no checkerboard (Odena et al. 2016).
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int = 0,
        *,
        width: int = 64,
        upsample: Literal["transposed", "nearest"] = "transposed",
        z_dim: int = 100,
        z_kind: str = "normal",
    ) -> None:
        super().__init__()
        sizes = pyramid(shape)
        self.z_dim, self.z_kind = z_dim, z_kind
        widths = widths_of(width, 8 * width, max(sizes.doublings - 1, 0))[::-1]
        layers: list[nn.Module] = [nn.ConvTranspose2d(z_dim, widths[0], sizes.base, bias=False)]
        for inputs, outputs in pairwise(widths):
            layers += [nn.BatchNorm2d(inputs), nn.ReLU(True), _up(inputs, outputs, upsample)]
        layers += [nn.BatchNorm2d(widths[-1]), nn.ReLU(True)]
        last = _up(widths[-1], shape[0], upsample) if sizes.doublings else _same(widths[-1], shape[0])
        self.layers = nn.Sequential(*layers, last, nn.Tanh())
        initialise_normal(self)
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.layers(z[:, :, None, None])
        return images


class Discriminator(LayeredDiscriminator):
    """Images `[n, c, h, w]` -> Verdict with logits `[n]`: the generator's mirror image, leaky ReLU 0.2.

    Penalties of each image's gradient want `batch_norm` off.
    """

    def __init__(
        self, shape: tuple[int, int, int], classes: int = 0, *, width: int = 64, batch_norm: bool = True
    ) -> None:
        super().__init__()
        sizes = pyramid(shape)
        widths = widths_of(width, 8 * width, max(sizes.doublings - 1, 0))
        first = _down(shape[0], widths[0]) if sizes.doublings else _same(shape[0], widths[0])
        self.layers = nn.ModuleList([nn.Sequential(first, nn.LeakyReLU(0.2))])
        for inputs, outputs in pairwise(widths):
            norm = [nn.BatchNorm2d(outputs)] if batch_norm else []
            self.layers.append(nn.Sequential(_down(inputs, outputs, bias=not batch_norm), *norm, nn.LeakyReLU(0.2)))
        self.head = nn.Conv2d(widths[-1], 1, sizes.base, bias=False)
        initialise_normal(self)
        self.to(memory_format=torch.channels_last)

    def judge(self, last: Tensor, labels: Tensor | None = None) -> Verdict:
        """Logits of the last inner layer."""
        return Verdict(self.head(last).flatten())


def _up(inputs: int, outputs: int, how: Literal["transposed", "nearest"]) -> nn.Module:
    """Twice the size."""
    if require_choice(how, ("transposed", "nearest"), "way to double sizes,") == "nearest":
        return UpConv(inputs, outputs, bias=False)
    return nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)


def _down(inputs: int, outputs: int, *, bias: bool = False) -> nn.Module:
    """Half the size."""
    return nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)


def _same(inputs: int, outputs: int) -> nn.Module:
    """A size that is its own base keeps its pixels."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
