"""Weight clipping moves what is trained, and nothing else."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from sparring.errors import UsageError
from sparring.objectives.constraints import clip_weights


def test_weights_are_moved_into_the_interval() -> None:
    network = nn.Linear(3, 1)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[-2.0, 0.05, 0.3]]))
        network.bias.fill_(0.2)
    clip_weights(network, bound=0.1)
    assert torch.equal(network.weight, torch.tensor([[-0.1, 0.05, 0.1]]))
    assert torch.equal(network.bias, torch.tensor([0.1]))


def test_frozen_weights_stay() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    network[0].requires_grad_(False)
    clip_weights(network)
    assert [float(parameter.detach().max()) for parameter in network.parameters()] == pytest.approx([1, 1, 0.01, 0.01])


@pytest.mark.parametrize("bound", [0.0, -1.0, math.inf, math.nan])
def test_bounds_that_cannot_be(bound: float) -> None:
    with pytest.raises(UsageError, match="give a bound above 0"):
        clip_weights(nn.Linear(1, 1), bound=bound)
