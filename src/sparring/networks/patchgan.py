"""PatchGAN: a discriminator that judges patches, each by itself (Isola et al. 2017, section 3.2.2).

In the form of the authors' PyTorch code. Weights lie channels-last, which is faster on a CPU, unless norms are those of
an instance, which PyTorch copies back and forth for that.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from sparring.errors import ShapeError
from sparring.networks.layers import (
    LayeredDiscriminator,
    Verdict,
    initialise_normal,
    norm_layer,
    require_count,
    widths_of,
)

__all__ = ["PatchDiscriminator"]


class PatchDiscriminator(LayeredDiscriminator):
    """Images `[n, c, h, w]` -> Verdict with a logit for every patch, `[n, 1, h', w']`.

    `layers` halvings and two more layers, all of 4x4 kernels: with 3, the paper's, a logit sees 70x70 pixels. The first
    has `width` channels, each further one twice as many, at most 8 x width. A pair of images, as the paper has it, is
    one image of the channels of both. Penalties of each image's gradient want no batch norm. Raises ShapeError if an
    image is too small for a single patch, UsageError for fewer halvings than none.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int = 0,
        *,
        width: int = 64,
        layers: int = 3,
        norm: Literal["batch", "instance", "none"] = "batch",
    ) -> None:
        super().__init__()
        _require_patch(shape, layers)
        widths = widths_of(width, 8 * width, layers)
        first = _conv(shape[0], width, stride=2 if layers else 1)
        self.layers = nn.ModuleList([nn.Sequential(first, nn.LeakyReLU(0.2))])
        for level, (inputs, outputs) in enumerate(pairwise(widths), start=1):
            conv = _conv(inputs, outputs, stride=2 if level < layers else 1, bias=norm != "batch")
            self.layers.append(nn.Sequential(conv, norm_layer(norm, outputs), nn.LeakyReLU(0.2)))
        self.head = _conv(widths[-1], 1)
        initialise_normal(self)
        if norm != "instance":
            self.to(memory_format=torch.channels_last)

    def judge(self, last: Tensor, labels: Tensor | None = None) -> Verdict:
        """Logits of the last inner layer."""
        return Verdict(self.head(last))


def _conv(inputs: int, outputs: int, *, stride: int = 1, bias: bool = True) -> nn.Module:
    """A 4x4 convolution, which with stride 1 takes a pixel off the size."""
    return nn.Conv2d(inputs, outputs, 4, stride=stride, padding=1, bias=bias)


def _require_patch(shape: tuple[int, int, int], layers: int) -> None:
    """Two pixels are lost after all halvings, and one is to be left."""
    require_count(layers, "halvings")
    _, height, width = shape
    least = 3 * 2**layers
    if min(height, width) >= least:
        return
    nearest = max(height, least), max(width, least)
    raise ShapeError(
        f"{height}x{width} pixels are too few for a patch of {layers} halvings, which takes {least} along both sides; "
        f"use fewer layers, or {nearest[0]}x{nearest[1]} pixels (--size)",
        (nearest,),
    )
