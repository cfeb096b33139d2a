"""R3GAN: residual blocks of grouped convolutions, no normalisation of any kind (Huang et al. 2024, section 4).

Stable without normalisation because of its initialisation (Zhang et al. 2019, "Fixup"): the last layer of every
block starts at zero, the others are scaled down with the depth.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu

from sparring.networks.layers import DiscriminatorBase, Verdict, pyramid, require_count

__all__ = ["Discriminator", "Generator"]

_SLOPE = 0.2
_GAIN = math.sqrt(2 / (1 + _SLOPE**2))


class Generator(nn.Module):
    """z `[n, z_dim]` -> images `[n, c, h, w]`, nominally in [-1, 1], with no squashing at the end.

    A learned basis is scaled by a linear map of z; every stage has `blocks` residual blocks. `width` is the number
    of channels of the stages up to 32 px; it halves with every doubling beyond (the paper: 768, then 384, 192, 96).
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int = 0,
        *,
        width: int = 96,
        blocks: int = 2,
        z_dim: int = 64,
        z_kind: str = "normal",
    ) -> None:
        super().__init__()
        self.z_dim, self.z_kind = z_dim, z_kind
        require_count(blocks, "blocks", least=1)
        sizes = pyramid(shape)
        widths = _widths(width, sizes.doublings)
        depth = blocks * len(widths)
        self.basis = nn.Parameter(torch.randn(widths[0], *sizes.base))
        self.scale = _weight(widths[0], z_dim, 1, linear=True)
        stages: list[nn.Module] = [_stage(widths[0], blocks, depth)]
        for inputs, outputs in pairwise(widths):
            stages.append(nn.Sequential(_Up(inputs, outputs), *_stage(outputs, blocks, depth)))
        self.stages = nn.ModuleList(stages)
        self.head = _Convolution(widths[-1], shape[0], 1)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.basis * (z @ self.scale.t())[:, :, None, None]
        for stage in self.stages:
            x = stage(x)
        images: Tensor = self.head(x)
        return images


class Discriminator(DiscriminatorBase):
    """Images `[n, c, h, w]` -> Verdict with logits `[n]`: the generator turned round."""

    def __init__(self, shape: tuple[int, int, int], classes: int = 0, *, width: int = 96, blocks: int = 2) -> None:
        super().__init__()
        require_count(blocks, "blocks", least=1)
        sizes = pyramid(shape)
        widths = _widths(width, sizes.doublings)[::-1]
        depth = blocks * len(widths)
        self.entry = _Convolution(shape[0], widths[0], 1)
        stages: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            stages.append(nn.Sequential(*_stage(inputs, blocks, depth), _Down(inputs, outputs)))
        stages.append(_stage(widths[-1], blocks, depth))
        self.stages = nn.ModuleList(stages)
        self.basis = nn.Parameter(torch.randn(widths[-1], 1, *sizes.base) / math.sqrt(math.prod(sizes.base)))
        self.head = _weight(1, widths[-1], 1, linear=True)

    def features(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """The activations of every stage, `[n, c, h, w]`."""
        x, found = self.entry(x), []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

    def judge(self, last: Tensor, labels: Tensor | None = None) -> Verdict:
        """Logits of the last inner layer."""
        pooled = conv2d(last, self.basis, groups=last.shape[1]).flatten(1)
        return Verdict((pooled @ self.head.t()).squeeze(1))


def _widths(width: int, doublings: int) -> list[int]:
    """Channels by stage, from the base up: `width` for the first four, halved with every stage beyond."""
    return [max(width // 2 ** max(stage - 3, 0), 8) for stage in range(doublings + 1)]


def _stage(width: int, blocks: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*[_Block(width, depth) for _ in range(blocks)])


class _Block(nn.Module):
    """x + 1x1(act(grouped 3x3(act(1x1(x))))), inner width doubled, groups of 16 channels (figure 4 of the paper)."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        inner = 2 * width
        groups = inner // 16 if inner % 16 == 0 else 1
        gain = _GAIN * depth ** (-1 / 4)  # Fixup's L^(-1/(2m-2)) with m = 3 layers
        self.expand = _Convolution(width, inner, 1, gain=gain)
        self.expand_bias = nn.Parameter(torch.zeros(inner))
        self.spatial = _Convolution(inner, inner, 3, gain=gain, groups=groups)
        self.spatial_bias = nn.Parameter(torch.zeros(inner))
        self.reduce = _Convolution(inner, width, 1, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        inner = _activate(self.expand(x), self.expand_bias)
        inner = _activate(self.spatial(inner), self.spatial_bias)
        return x + self.reduce(inner)  # type: ignore[no-any-return]


class _Convolution(nn.Module):
    """A convolution without bias, N(0, gain / sqrt(fan_in))."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, gain: float = 1.0, groups: int = 1) -> None:
        super().__init__()
        self.groups = groups
        self.weight = _weight(outputs, inputs // groups, kernel, gain=gain)

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight, padding=self.weight.shape[-1] // 2, groups=self.groups)


class _Up(nn.Module):
    """1x1 where the width changes, then x2 by zero insertion and the filter [1, 2, 1]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = _Convolution(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return _stretch(_stretch(self.convolution(x), 2), 3)


class _Down(nn.Module):
    """The filter [1, 2, 1] with stride 2, then 1x1 where the width changes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = _Convolution(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        shrunk: Tensor = self.convolution(_shrink(_shrink(x, 2), 3))
        return shrunk


def _stretch(x: Tensor, axis: int) -> Tensor:
    """Twice as long: [.., (x[i-1] + x[i]) / 2, x[i], ..], zero before the first.

    Written as sums, since a depth-wise convolution is slow to differentiate twice; the phase is the reference's.
    """
    before = torch.cat([torch.zeros_like(x.narrow(axis, 0, 1)), x.narrow(axis, 0, x.shape[axis] - 1)], axis)
    return torch.stack([(before + x) / 2, x], axis + 1).flatten(axis, axis + 1)


def _shrink(x: Tensor, axis: int) -> Tensor:
    """Half as long: (x[2i-1] + 2 x[2i] + x[2i+1]) / 4, zero before the first."""
    even, odd = x.unflatten(axis, (-1, 2)).unbind(axis + 1)
    before = torch.cat([torch.zeros_like(odd.narrow(axis, 0, 1)), odd.narrow(axis, 0, odd.shape[axis] - 1)], axis)
    shrunk: Tensor = (before + odd) / 4 + even / 2
    return shrunk


def _activate(x: Tensor, bias: Tensor) -> Tensor:
    return leaky_relu(x + bias[:, None, None], _SLOPE)


def _weight(outputs: int, inputs: int, kernel: int, *, gain: float = 1.0, linear: bool = False) -> nn.Parameter:
    """N(0, gain / sqrt(fan_in)), `[outputs, inputs, kernel, kernel]` or `[outputs, inputs]`."""
    shape = (outputs, inputs) if linear else (outputs, inputs, kernel, kernel)
    return nn.Parameter(torch.randn(shape) * (gain / math.sqrt(inputs * kernel**2)))
