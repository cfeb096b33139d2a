"""How differently a feature network sees two images (Zhang et al. 2018, "The Unreasonable Effectiveness")."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["perceptual"]


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
