"""How far an answer is from the one that was wanted: pixel by pixel, and as a feature network sees both."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["absolute", "perceptual"]


def absolute(x: Tensor, y: Tensor) -> Tensor:
    """Mean |x - y| of each image, `[n]`.

    >>> absolute(torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, -2.0]]]])).tolist()
    [1.5]
    """
    return (x - y).abs().flatten(1).mean(1)


def perceptual(x: Sequence[Tensor], y: Sequence[Tensor]) -> Tensor:
    """The distance of two images' inner layers `[n, c, h, w]`, `[n]`: Zhang et al. 2018, eq. 1, with all weights 1.

    At every place the channels are scaled to length 1; squared differences are summed over channels, and averaged over
    places and layers.

    >>> perceptual([torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)], [torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)]).item()
    0.800000011920929
    """
    each = [(_unit(a) - _unit(b)).square().sum(1).flatten(1).mean(1) for a, b in zip(x, y, strict=True)]
    return torch.stack(each).mean(0)


def _unit(maps: Tensor) -> Tensor:
    """Channels at each place scaled to length 1; where there is nothing it stays nothing."""
    return maps / maps.square().sum(1, keepdim=True).add(1e-10).sqrt()
