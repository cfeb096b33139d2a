"""CycleGAN's generator: two halvings, residual blocks, two doublings (Johnson et al. 2016; Zhu et al. 2017, 7.2).

In the form of the authors' PyTorch code. Weights lie channels-last, which is faster on a CPU, unless norms are those of
an instance, which PyTorch copies back and forth for that.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from sparring.errors import UsageError
from sparring.networks.layers import (
    Translator,
    UpConv,
    begin_at_nothing,
    initialise_normal,
    norm_layer,
    require_choice,
    require_count,
    require_multiple,
)

__all__ = ["ResNetTranslator"]


class ResNetTranslator(Translator):
    """Images `[n, c, h, w]` -> images `[n, c', h, w]`, both in [-1, 1]; sides are multiples of 4, and at least 8.

    `shape` is (given channels, height, width); `channels` are made, by default as many as are given. Layers next to an
    image have `width` channels, the `blocks` 4 x width: the paper has 6 for 128 pixels and 9 for 256. `dropout`, which
    the paper does not use, is within a block. `upsample` is `transposed`, the paper's, or `nearest`, which leaves no
    pattern of pixels (Odena et al. 2016, "Deconvolution and Checkerboard Artifacts"). With `residual` the last layer
    begins at nothing, and what it makes is added to what is given, in place of a tanh (as DeblurGAN does, Kupyn et al.
    2018, section 3.2); raises UsageError where channels are more or fewer, or blocks fewer than none.
    """

    multiple, least = 4, 2  # a block's border is reflected at a quarter of the size, where one pixel has no other

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        channels: int | None = None,
        width: int = 64,
        blocks: int = 9,
        norm: Literal["batch", "instance"] = "instance",
        dropout: float = 0.0,
        upsample: Literal["transposed", "nearest"] = "transposed",
        residual: bool = False,
    ) -> None:
        super().__init__()
        require_multiple(*shape[1:], self.multiple, least=self.least)
        require_count(blocks, "blocks")
        self.given, self.channels = shape[0], shape[0] if channels is None else channels
        if residual and self.channels != self.given:
            raise UsageError("what is added to an image has its channels; leave residual out")
        self.residual = residual
        self.noisy = dropout > 0 and blocks > 0
        # At a quarter of the size every block sees two pixels further. The rest: 3 + 3 pixels of the 7x7 kernels, two
        # strides of 1 + 2, and 3 or 6 more because a doubled pixel is not in the middle of those that it is made of.
        self.reach = 8 * blocks + (12 if upsample == "transposed" else 15) if norm == "batch" else None
        self.entry = _Layer(nn.Conv2d(shape[0], width, 7, bias=norm == "instance"), norm, reflect=3)
        self.downs = nn.Sequential(_down(width, norm), _down(2 * width, norm))
        self.blocks = nn.Sequential(*(_Block(4 * width, norm, dropout) for _ in range(blocks)))
        self.ups = nn.Sequential(*(_up(factor * width, norm, upsample) for factor in (4, 2)))
        self.exit = nn.Conv2d(width, self.channels, 7)
        initialise_normal(self)
        if residual:
            begin_at_nothing(self.exit)
        if norm != "instance":
            self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.exit(_reflected(self.ups(self.blocks(self.downs(self.entry(x)))), 3))
        return x + made if self.residual else made.tanh()


class _Layer(nn.Module):
    """Reflected borders, a convolution, a norm, ReLU."""

    def __init__(
        self,
        conv: nn.Conv2d | nn.ConvTranspose2d | UpConv,
        norm: Literal["batch", "instance"],
        *,
        reflect: int = 0,
        relu: bool = True,
    ) -> None:
        super().__init__()
        outputs = conv.weight.shape[0] if isinstance(conv, UpConv) else conv.out_channels
        self.conv, self.norm = conv, norm_layer(norm, outputs)
        self.reflect, self.relu = reflect, relu

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(_reflected(x, self.reflect)))
        return x.relu() if self.relu else x


class _Block(nn.Module):
    """Two 3x3 layers beside what they are given; no ReLU after the sum (Gross & Wilber 2016)."""

    def __init__(self, width: int, norm: Literal["batch", "instance"], dropout: float) -> None:
        super().__init__()
        bias = norm == "instance"
        self.first = _Layer(nn.Conv2d(width, width, 3, bias=bias), norm, reflect=1)
        self.second = _Layer(nn.Conv2d(width, width, 3, bias=bias), norm, reflect=1, relu=False)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.second(self.dropout(self.first(x)))
        return found


def _down(width: int, norm: Literal["batch", "instance"]) -> nn.Module:
    """Half the size, twice the channels."""
    return _Layer(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=norm == "instance"), norm)


def _up(width: int, norm: Literal["batch", "instance"], upsample: Literal["transposed", "nearest"]) -> nn.Module:
    """Twice the size, half the channels."""
    bias = norm == "instance"
    if require_choice(upsample, ("transposed", "nearest"), "way to double sizes,") == "nearest":
        return _Layer(UpConv(width, width // 2, bias=bias), norm)
    return _Layer(nn.ConvTranspose2d(width, width // 2, 3, stride=2, padding=1, output_padding=1, bias=bias), norm)


def _reflected(x: Tensor, pixels: int) -> Tensor:
    """The image with as many pixels around, reflected at its border."""
    return pad(x, (pixels,) * 4, mode="reflect") if pixels else x
