"""How far an answer is from the one that was wanted."""

from __future__ import annotations

from torch import Tensor

__all__ = ["absolute"]


def absolute(x: Tensor, y: Tensor) -> Tensor:
    """Mean |x - y| of each image, `[n]`.

    >>> import torch
    >>> absolute(torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, -2.0]]]])).tolist()
    [1.5]
    """
    return (x - y).abs().flatten(1).mean(1)
