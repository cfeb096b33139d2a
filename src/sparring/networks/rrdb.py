"""ESRGAN's generator: residuals in residuals of dense blocks, then doublings (Wang et al. 2018, section 3.1).

In the form of the authors' PyTorch code. A doubling and its convolution are computed as one transposed convolution (see
`layers`), and weights lie channels-last, which is faster on a CPU.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from sparring.errors import UsageError
from sparring.networks.layers import Translator, UpConv, begin_at_nothing, require_count

__all__ = ["RRDBNet"]


class RRDBNet(Translator):
    """Images `[n, c, h, w]` -> images `[n, c', scale h, scale w]`, about in [-1, 1] but not bounded.

    `shape` is (given channels, height, width), of which the size does not matter; `channels` are made, by default as
    many as are given. There are `blocks` of `width` channels, whose dense layers add `growth` channels each, and a
    doubling for every factor of 2 in `scale`; the paper has 4. With `unit` the weights are those of a network of images
    in [0, 1], as the authors' are: what is given is brought there, what is made back to [-1, 1]. With `residual` the
    last layer begins at nothing, and what it makes is added to the bicubic enlargement, which theirs have not. Raises
    UsageError for another scale and fewer blocks than none.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        channels: int | None = None,
        width: int = 64,
        blocks: int = 23,
        growth: int = 32,
        scale: Literal[1, 2, 4] = 4,
        unit: bool = False,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.given, self.channels = shape[0], shape[0] if channels is None else channels
        if scale not in (1, 2, 4):
            raise UsageError(f"images cannot be enlarged {scale} times; give a scale of 1, 2 or 4")
        require_count(blocks, "blocks")
        if residual and (unit or self.channels != self.given):
            raise UsageError("what is added to an enlarged image has its channels and its range; leave residual out")
        self.scale, self.unit, self.residual = scale, unit, residual
        # 15 layers a block, the one before them and the one after, and 2 at any scale: the two last layers see a pixel
        # each at scale 1, and for each doubling there is a layer more but pixels are half as large.
        self.reach = 15 * blocks + 4
        self.first = _conv(shape[0], width)
        self.blocks = nn.Sequential(*(_Residual(width, growth) for _ in range(blocks)))
        self.trunk = _conv(width, width)
        self.ups = nn.ModuleList([UpConv(width, width) for _ in range(scale.bit_length() - 1)])
        self.fine = _conv(width, width)
        self.last = _conv(width, self.channels)
        if residual:
            begin_at_nothing(self.last)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        small = x
        x = self.first((x + 1) / 2 if self.unit else x)
        x = x + self.trunk(self.blocks(x))
        for up in self.ups:
            x = leaky_relu(up(x), 0.2)
        images: Tensor = self.last(leaky_relu(self.fine(x), 0.2))
        if self.residual:
            return images + interpolate(small, scale_factor=float(self.scale), mode="bicubic")
        return images * 2 - 1 if self.unit else images


class _Residual(nn.Module):
    """Three dense blocks, a fifth of which is added to what they are given (figure 4)."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.dense = nn.Sequential(*(_Dense(width, growth) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, self.dense(x), alpha=0.2)


class _Dense(nn.Module):
    """Five layers that each see all before them; a fifth of the last is added to what they are given."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        convs = [_conv(width + level * growth, growth if level < 4 else width) for level in range(5)]
        for conv in convs:
            # A tenth of He's deviation, so that a dense block begins near the identity however many there are
            # (section 3.1, "smaller initialization"; the number is BasicSR's).
            nn.init.kaiming_normal_(conv.weight)
            with torch.no_grad():
                conv.weight.mul_(0.1)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
        self.layers = nn.ModuleList(convs)

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        for layer in self.layers[:-1]:
            seen.append(leaky_relu(layer(torch.cat(seen, 1)), 0.2))
        return torch.add(x, self.layers[-1](torch.cat(seen, 1)), alpha=0.2)


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution of the same size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)
