"""Players that learn fast on a CPU: the work sits at low resolution, where convolutions are dense and cheap.

What was measured to matter: images leave and enter through pixel (un)shuffles, since convolutions with one to three
channels at full resolution run at a few per cent of the machine's matrix rate; weights lie channels-last; batch norm
in the generator only; residual blocks at the lowest levels (`benchmarks/default_against_dcgan.py`).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pixel_shuffle, pixel_unshuffle

from sparring.networks.layers import DiscriminatorBase, Verdict, pyramid, widths_of

__all__ = ["Discriminator", "Generator"]

_SLOPE = 0.2
_GAIN = math.sqrt(2)


class Generator(nn.Module):
    """z `[n, z_dim]` -> images `[n, c, h, w]` in [-1, 1].

    A dense layer, transposed 4x4 convolutions, a residual block at each of the two lowest levels, and a 3x3 convolution
    whose channels are shuffled into the last doubling. `width` is the number of channels before that; it doubles
    towards the base, at most 4 x width.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int = 0,
        *,
        width: int = 32,
        z_dim: int = 64,
        z_kind: str = "normal",
    ) -> None:
        super().__init__()
        sizes = pyramid(shape)
        self.base, self.z_dim, self.z_kind = sizes.base, z_dim, z_kind
        self.factor = 2 if sizes.doublings else 1
        widths = widths_of(width, 4 * width, max(sizes.doublings - 1, 0))[::-1]
        self.entry = nn.Linear(z_dim, widths[0] * math.prod(sizes.base), bias=False)
        self.norm = nn.BatchNorm2d(widths[0], momentum=0.05)
        self.block = _Residual(widths[0])
        self.ups = nn.ModuleList(
            [_Up(inputs, outputs, block=level == 0) for level, (inputs, outputs) in enumerate(pairwise(widths))]
        )
        self.head = nn.Conv2d(widths[-1], shape[0] * self.factor**2, 3, padding=1)
        _initialise(self.entry, z_dim, gain=1.0)
        _initialise(self.head, 9 * widths[-1], gain=0.5)
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.entry(z).unflatten(1, (*self.base, -1)).permute(0, 3, 1, 2)
        x = self.block(leaky_relu(self.norm(x), _SLOPE))
        for up in self.ups:
            x = up(x)
        return pixel_shuffle(self.head(x), self.factor).tanh()


class Discriminator(DiscriminatorBase):
    """Images `[n, c, h, w]` -> Verdict with logits `[n]`; no normalisation, so gradient penalties mean what they say.

    The first halving is a pixel unshuffle before a 3x3 convolution, the others are strided 4x4 convolutions; `width`
    doubles with each, at most 4 x width; a dense layer of `dense` units judges.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int = 0, *, width: int = 32, dense: int = 128) -> None:
        super().__init__()
        sizes = pyramid(shape)
        self.factor = 2 if sizes.doublings else 1
        widths = widths_of(width, 4 * width, max(sizes.doublings - 1, 0))
        inputs = shape[0] * self.factor**2
        first = _initialise(nn.Conv2d(inputs, widths[0], 3, padding=1), 9 * inputs)
        downs = [_initialise(nn.Conv2d(a, b, 4, stride=2, padding=1), 16 * a) for a, b in pairwise(widths)]
        self.layers = nn.ModuleList([first, *downs])
        flat = widths[-1] * math.prod(sizes.base)
        self.dense = _initialise(nn.Linear(flat, dense), flat)
        self.head = _initialise(nn.Linear(dense, 1), dense, gain=1.0)
        self.to(memory_format=torch.channels_last)

    def features(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """The activations of every convolution, `[n, c, h, w]`, and of the dense layer, `[n, dense]`."""
        x, found = pixel_unshuffle(x, self.factor).contiguous(memory_format=torch.channels_last), []
        for layer in self.layers:
            x = leaky_relu(layer(x), _SLOPE)
            found.append(x)
        return [*found, leaky_relu(self.dense(x.flatten(1)), _SLOPE)]

    def judge(self, last: Tensor, labels: Tensor | None = None) -> Verdict:
        """Logits of the last inner layer."""
        return Verdict(self.head(last).squeeze(1))


class _Residual(nn.Module):
    """act(x + 3x3(act(3x3(x)))), the identity at the start."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _initialise(nn.Conv2d(width, width, 3, padding=1), 9 * width)
        self.second = _initialise(nn.Conv2d(width, width, 3, padding=1), 9 * width, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        return leaky_relu(x + self.second(leaky_relu(self.first(x), _SLOPE)), _SLOPE)


class _Up(nn.Module):
    """A transposed 4x4 convolution, batch norm, leaky ReLU, perhaps a block: `[n, in, h, w]` -> `[n, out, 2h, 2w]`."""

    def __init__(self, inputs: int, outputs: int, *, block: bool) -> None:
        super().__init__()
        self.convolution = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs, momentum=0.05)
        self.block = _Residual(outputs) if block else nn.Identity()
        _initialise(self.convolution, 4 * inputs)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block(leaky_relu(self.norm(self.convolution(x)), _SLOPE))
        return out


_Layer = TypeVar("_Layer", nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def _initialise(layer: _Layer, fan_in: int, gain: float = _GAIN) -> _Layer:
    """Weights N(0, gain / sqrt(fan_in)), biases zero."""
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(fan_in))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
