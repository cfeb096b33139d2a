"""Constraints: changes of a player's weights after each of its steps."""

from __future__ import annotations

import math

import torch
from torch import nn

from sparring.errors import UsageError

__all__ = ["clip_weights"]


def clip_weights(network: nn.Module, *, bound: float = 0.01) -> None:
    """Move every weight that is trained into [-bound, bound] (Arjovsky et al. 2017, algorithm 1, line 7).

    Modules that say they are `unbounded` are left alone: what is no layer of the function that is to be bounded.
    """
    if not 0 < bound < math.inf:
        raise UsageError(f"weights cannot be clipped to {bound}; give a bound above 0, such as 0.01")
    spared = {id(w) for m in network.modules() if getattr(m, "unbounded", False) for w in m.parameters()}
    with torch.no_grad():
        for weight in network.parameters():
            if weight.requires_grad and id(weight) not in spared:
                weight.clamp_(-bound, bound)
