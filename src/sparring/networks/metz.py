"""The small players of Metz et al.'s stacked-MNIST experiment, as PacGAN's code has them (Lin et al. 2018, table 3).

The discriminator is a fraction of the generator's size, which makes collapse likely and differences visible.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from sparring.networks.layers import DiscriminatorBase, Verdict

__all__ = ["Discriminator", "Generator"]


class Generator(nn.Module):
    """z `[n, z_dim]` -> images `[n, c, h, w]` in [-1, 1].

    A dense layer to the smallest size and 8 x width channels, three 3x3 transposed convolutions of stride 2 that halve
    the channels, and a 3x3 convolution; batch norm and ReLU in between. Odd sizes are rounded up on the way down, so 28
    pixels come from 4, 7 and 14.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int = 0,
        *,
        width: int = 8,
        z_dim: int = 256,
        z_kind: str = "normal",
    ) -> None:
        super().__init__()
        self.z_dim, self.z_kind = z_dim, z_kind
        sizes = _sizes(shape)
        self.base = sizes[-1]
        self.entry = nn.Linear(z_dim, 8 * width * math.prod(self.base))
        self.norms = nn.ModuleList([nn.BatchNorm2d(width * 2**level) for level in (3, 2, 1, 0)])
        self.ups = nn.ModuleList()
        for level, (small, large) in enumerate(pairwise(reversed(sizes))):
            # 2 a - 1 rows without output padding; one more where the size on the way down was even.
            rest = tuple(b - (2 * a - 1) for a, b in zip(small, large, strict=True))
            channels = width * 2 ** (3 - level)
            self.ups.append(
                nn.ConvTranspose2d(channels, channels // 2, 3, stride=2, padding=1, output_padding=(rest[0], rest[1]))
            )
        self.head = nn.Conv2d(width, shape[0], 3, padding=1)
        _initialise(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.entry(z).unflatten(1, (-1, *self.base))
        x = torch.relu(self.norms[0](x))
        for up, norm in zip(self.ups, list(self.norms)[1:], strict=True):
            x = torch.relu(norm(up(x)))
        images: Tensor = self.head(x)
        return images.tanh()


class Discriminator(DiscriminatorBase):
    """Images `[n, c, h, w]` -> Verdict with logits `[n]`: three 3x3 convolutions of stride 2, leaky ReLU 0.3.

    `width` is the number of channels of the first: 4 for the paper's D of half G's size, 2 for a quarter.
    """

    def __init__(
        self, shape: tuple[int, int, int], classes: int = 0, *, width: int = 2, batch_norm: bool = True
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for inputs, outputs in pairwise((shape[0], width, 2 * width, 4 * width)):
            norm = nn.BatchNorm2d(outputs) if batch_norm else nn.Identity()
            self.layers.append(nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), norm))
        self.head = nn.Linear(4 * width * math.prod(_sizes(shape)[-1]), 1)
        _initialise(self)

    def features(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """The activations of every layer, `[n, c, h, w]`."""
        found = []
        for layer in self.layers:
            x = leaky_relu(layer(x), 0.3)
            found.append(x)
        return found

    def judge(self, last: Tensor, labels: Tensor | None = None) -> Verdict:
        """Logits of the last inner layer."""
        return Verdict(self.head(last.flatten(1)).squeeze(1))


def _sizes(shape: tuple[int, int, int]) -> list[tuple[int, int]]:
    """(height, width) of the image and after each of three halvings, odd ones rounded up."""
    found = [(shape[1], shape[2])]
    for _ in range(3):
        height, width = found[-1]
        found.append((-(-height // 2), -(-width // 2)))
    return found


def _initialise(network: nn.Module) -> None:
    """N(0, 0.02), cut off at two deviations in convolutions; biases zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.trunc_normal_(module.weight, 0.0, 0.02, -0.04, 0.04)
        elif isinstance(module, nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
