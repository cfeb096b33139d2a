"""Equalised layers and resampling filters: the bricks of ProGAN and the StyleGANs.

Weights are stored as N(0, 1) and scaled at every use by He's constant, so that an optimiser that normalises its steps
moves all layers at one relative speed (Karras et al. 2018, section 4.1).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu, linear

__all__ = [
    "HE",
    "EqualConv",
    "EqualLinear",
    "blurred",
    "doubled",
    "filtered_down",
    "filtered_up",
    "normalised",
    "softened",
    "unscaled",
]

HE = math.sqrt(2)
"""The gain of weights before a leaky ReLU (He et al. 2015)."""

_FILTER = (0.125, 0.375, 0.375, 0.125)
"""[1, 3, 3, 1] with sum 1, along either axis (Karras et al. 2020, appendix B)."""


class EqualLinear(nn.Module):
    """A dense layer `[n, in]` -> `[n, out]`, equalised; with `rate` it learns so many times as fast as the others.

    `gain` multiplies the weights: sqrt(2) before a leaky ReLU that does not scale its output itself. With `active` a
    leaky ReLU 0.2 times sqrt(2) follows, which keeps the second moment (Karras et al. 2020).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        rate: float = 1.0,
        start: float = 0.0,
        gain: float = 1.0,
        active: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), start)) if bias else None
        self.scale, self.rate, self.active = rate * gain / math.sqrt(inputs), rate, active

    def forward(self, x: Tensor) -> Tensor:
        lift = HE if self.active else 1.0  # before the leaky ReLU, where it costs no pass of its own
        bias = None if self.bias is None else self.bias * (self.rate * lift)
        x = linear(x, self.weight * (self.scale * lift), bias)
        return leaky_relu(x, 0.2) if self.active else x


class EqualConv(nn.Module):
    """A convolution, equalised; with `resample` it doubles or halves the size through the filter [1, 3, 3, 1].

    `[n, in, h, w]` -> `[n, out, h', w']`. A halving one is filtered before it strides, a doubling one after it. `gain`
    multiplies the weights and `active` adds a leaky ReLU, as in `EqualLinear`.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        *,
        bias: bool = True,
        resample: Literal["none", "up", "down"] = "none",
        gain: float = 1.0,
        active: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale, self.resample, self.active = gain / math.sqrt(inputs * kernel**2), resample, active

    def forward(self, x: Tensor) -> Tensor:
        lift = HE if self.active else 1.0
        x = self._convolved(x, self.weight * (self.scale * lift), None if self.bias is None else self.bias * lift)
        return leaky_relu(x, 0.2) if self.active else x

    def _convolved(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        kernel = weight.shape[2]
        if self.resample == "up":
            x = doubled(x, weight)
            return x if bias is None else x + bias[:, None, None]
        if self.resample == "down" and kernel == 1:
            return conv2d(filtered_down(x), weight, bias)
        if self.resample == "down":
            return conv2d(blurred(x, 2), weight, bias, stride=2)
        return conv2d(x, weight, bias, padding=kernel // 2)


def unscaled(layer: nn.Module) -> None:
    """Use the weights of an equalised layer as they are, whatever scale they have; other layers always do."""
    if isinstance(layer, EqualLinear | EqualConv):
        layer.scale = 1 / HE if layer.active else 1.0  # an active layer multiplies by HE once more


def doubled(x: Tensor, weight: Tensor) -> Tensor:
    """A doubling convolution, then the filter: `[n, in, h, w]` -> `[n, out, 2h, 2w]`, weight `[out, in, k, k]`."""
    if weight.shape[2] == 1:
        return filtered_up(conv2d(x, weight))
    return blurred(conv_transpose2d(x, weight.transpose(0, 1), stride=2), 1, gain=4)


def normalised(x: Tensor) -> Tensor:
    """x / sqrt(mean of x^2 + 1e-8) over axis 1 (Karras et al. 2018, section 4.2)."""
    scale: Tensor = (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()
    return x * scale


def blurred(x: Tensor, around: int, *, gain: float = 1.0) -> Tensor:
    """The filter [1, 3, 3, 1] along both axes, with so many zeros on every side: h + 2 around - 3 rows."""
    return conv2d(x, _taps(x, _FILTER, gain), padding=around, groups=x.shape[1])


def filtered_up(x: Tensor) -> Tensor:
    """Twice the size by zeros in between and the filter: `[n, c, h, w]` -> `[n, c, 2h, 2w]`."""
    return conv_transpose2d(x, _taps(x, _FILTER, 4.0), stride=2, padding=1, groups=x.shape[1])


def filtered_down(x: Tensor) -> Tensor:
    """Half the size through the filter: `[n, c, 2h, 2w]` -> `[n, c, h, w]`."""
    return conv2d(x, _taps(x, _FILTER, 1.0), stride=2, padding=1, groups=x.shape[1])


def softened(x: Tensor) -> Tensor:
    """The filter [1, 2, 1] along both axes, zeros around: `[n, c, h, w]` of the same size (Karras et al. 2019, 2)."""
    return conv2d(x, _taps(x, (0.25, 0.5, 0.25), 1.0), padding=1, groups=x.shape[1])


def _taps(x: Tensor, taps: tuple[float, ...], gain: float) -> Tensor:
    """A filter along both axes, times a gain, as weights of a convolution of each channel by itself.

    One step of both axes: on a CPU up to six times as fast as one axis after the other.
    """
    along = torch.cat([x.new_full((1,), tap) for tap in taps])  # a copy from the host would make a GPU wait for it
    return (gain * along[:, None] * along).expand(x.shape[1], 1, -1, -1)
