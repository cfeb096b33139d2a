"""Weight clipping moves what is trained, and nothing else."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from sparring.engine.devices import Devices
from sparring.errors import UsageError
from sparring.objectives.constraints import clip_weights
from sparring.recipes.spelling import recipe_named
from test_contracts import play


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


@pytest.mark.parametrize("word", ["wgan+labels=concat", "sngan+labels=concat", "wgan+labels=classes"])
def test_what_d_is_shown_of_labels_and_tells_of_them_is_not_bounded(word: str, devices: Devices) -> None:
    """Pictures of labels are as bright as images, and a head that tells classes may be sure of them."""
    bound = recipe_named(word, width=4, batch=8).bind((1, 16, 16), 3, 96, 1000)
    state = play(bound, 2, devices)
    network: Any = state.players["discriminator"].network
    free = network.classes.weight if "classes" in word else network.embedding.weight
    assert float(free.detach().std()) > 0.05
    others = [w for name, w in network.named_parameters() if not name.startswith(("embedding", "classes"))]
    if word.startswith("wgan"):
        assert max(float(weight.detach().abs().max()) for weight in others) <= 0.01
