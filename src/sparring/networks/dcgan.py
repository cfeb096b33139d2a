"""DCGAN: strided convolutions, batch norm, no pooling, no dense layers (Radford, Metz & Chintala 2016).

Kernels are 4x4 (the paper's 5x5 fractional strides leave a checkerboard; 4 divides by the stride). Sizes that are
not 64 get as many stages as halve them down to a base of 4 to 7.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from sparring.networks.layers import Verdict, initialise_normal, pyramid

__all__ = ["Discriminator", "Generator"]


class Generator(nn.Module):
    """z `[n, z_dim]` -> images `[n, c, h, w]` in [-1, 1] (Radford et al. 2016, figure 1).

    `width` is the number of channels before the last layer; each earlier stage has twice as many, at most 8 x width
    (64 px at width 128 is the paper's 1024-512-256-128).
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int = 0,
        *,
        width: int = 64,
        z_dim: int = 100,
        z_kind: str = "normal",
    ) -> None:
        super().__init__()
        sizes = pyramid(shape)
        self.z_dim, self.z_kind = z_dim, z_kind
        widths = [width * min(2**stage, 8) for stage in reversed(range(max(sizes.doublings, 1)))]
        layers: list[nn.Module] = [nn.ConvTranspose2d(z_dim, widths[0], sizes.base, bias=False)]
        for inputs, outputs in pairwise(widths):
            layers += [nn.BatchNorm2d(inputs), nn.ReLU(True)]
            layers.append(nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False))
        layers += [nn.BatchNorm2d(widths[-1]), nn.ReLU(True)]
        last = nn.ConvTranspose2d if sizes.doublings else nn.Conv2d
        layers += [last(widths[-1], shape[0], *_kernel(sizes.doublings), bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        initialise_normal(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.layers(z[:, :, None, None])
        return images


class Discriminator(nn.Module):
    """Images `[n, c, h, w]` -> Verdict with logits `[n]`: the generator's mirror image, leaky ReLU 0.2."""

    def __init__(self, shape: tuple[int, int, int], classes: int = 0, *, width: int = 64) -> None:
        super().__init__()
        sizes = pyramid(shape)
        widths = [width * min(2**stage, 8) for stage in range(max(sizes.doublings, 1))]
        first = nn.Conv2d(shape[0], widths[0], *_kernel(sizes.doublings), bias=False)
        self.layers = nn.ModuleList([nn.Sequential(first, nn.LeakyReLU(0.2))])
        for inputs, outputs in pairwise(widths):
            convolution = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
            self.layers.append(nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)))
        self.head = nn.Conv2d(widths[-1], 1, sizes.base, bias=False)
        initialise_normal(self)

    def features(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """The activations of every stage, `[n, c, h, w]`."""
        found = []
        for layer in self.layers:
            x = layer(x)
            found.append(x)
        return found

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Verdict:
        return Verdict(self.head(self.features(x)[-1]).flatten())


def _kernel(doublings: int) -> tuple[int, int, int]:
    """Kernel, stride, padding: 4x4 layers halve and double; a size that is its own base keeps its pixels."""
    return (4, 2, 1) if doublings else (3, 1, 1)
