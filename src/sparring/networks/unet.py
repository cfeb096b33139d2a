"""pix2pix's U-Net: halvings to a bottleneck, doublings back, and every size seen again on the way (Isola et al. 2017).

Section 3.2.1 and appendix 6.1.1, in the form of the authors' PyTorch code. Weights lie channels-last, which is faster
on a CPU.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from sparring.errors import UsageError
from sparring.networks.layers import Translator, initialise_normal, norm_layer, require_multiple, widths_of

__all__ = ["UNet"]


class UNet(Translator):
    """Images `[n, c, h, w]` -> images `[n, c', h, w]`, both in [-1, 1].

    `shape` is (given channels, height, width); `channels` are made, by default as many as are given. There are
    `doublings` halvings, by default as many as the size allows: 256 pixels come down to one in 8. The first makes
    `width` channels, each further one twice as many, at most 8 x width.

    The paper's noise is `dropout` in the doublings next to the bottleneck, kept on when images are made. It is in those
    between two layers of 8 x width, the innermost left out, and in three at most: three at 256 pixels, two at 128, one
    at 64, and none where there are fewer than six halvings. Raises ShapeError if the sides do not
    halve, UsageError for no halvings.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        channels: int | None = None,
        width: int = 64,
        norm: Literal["batch", "instance"] = "batch",
        dropout: float = 0.5,
        doublings: int | None = None,
    ) -> None:
        super().__init__()
        if doublings is None:
            doublings = _halvings(min(shape[1:]), max(shape[1:]))
        elif doublings < 1:
            raise UsageError(f"a U-Net of {doublings} halvings cannot be; give 1 or more")
        require_multiple(*shape[1:], 2**doublings)
        self.given, self.channels = shape[0], shape[0] if channels is None else channels
        self.multiple = 2**doublings
        noisy = range(doublings - 1 - min(max(doublings - 5, 0), 3), doublings - 1) if dropout > 0 else range(0)
        self.noisy = len(noisy) > 0
        widths = [shape[0], *widths_of(width, 8 * width, doublings - 1)]
        innermost = doublings - 1
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        for level, (outer, inner) in enumerate(pairwise(widths)):
            made = outer if level else self.channels
            given = inner if level == innermost else 2 * inner
            self.downs.append(_Down(outer, inner, norm, first=level == 0, last=level == innermost))
            self.ups.append(_Up(given, made, norm, last=level == 0, dropout=dropout if level in noisy else 0.0))
        initialise_normal(self)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        seen = []
        for down in self.downs:
            x = down(x)
            seen.append(x)
        x = seen.pop()
        for up in reversed(self.ups):
            x = up(x)
            if seen:
                x = torch.cat([seen.pop(), x], 1)
        return x.tanh()


class _Down(nn.Module):
    """Leaky ReLU 0.2 but for the image, a 4x4 convolution of stride 2, a norm but for the first and the last."""

    def __init__(self, inputs: int, outputs: int, norm: Literal["batch", "instance"], *, first: bool, last: bool):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=norm == "instance")
        self.norm = norm_layer("none" if first or last else norm, outputs)
        self.first = first

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.norm(self.conv(x if self.first else leaky_relu(x, 0.2)))
        return found


class _Up(nn.Module):
    """ReLU, a 4x4 transposed convolution of stride 2, and but for the last a norm and dropout."""

    def __init__(self, inputs: int, outputs: int, norm: Literal["batch", "instance"], *, last: bool, dropout: float):
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=last or norm == "instance")
        self.norm = norm_layer("none" if last else norm, outputs)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.dropout(self.norm(self.conv(x.relu())))
        return found


def _halvings(shorter: int, longer: int) -> int:
    """The most halvings of both sides that leave the shorter one a pixel; at least 1, whether or not they halve.

    >>> _halvings(256, 256), _halvings(96, 128), _halvings(64, 256), _halvings(27, 27)
    (8, 5, 6, 1)
    """
    found = 1
    while shorter % 2 ** (found + 1) == 0 and longer % 2 ** (found + 1) == 0:
        found += 1
    return found
