"""A player's optimiser has the settings of its recipe."""

from __future__ import annotations

import pytest
from torch import nn

from sparring.engine.players import Player
from sparring.recipe import Optim


@pytest.mark.parametrize(
    ("optim", "settings"),
    [
        (Optim("adam", 0.1, (0.5, 0.9), eps=0.1), {"eps": 0.1}),
        (Optim("sgd", 0.1, momentum=0.9), {"momentum": 0.9}),
        (Optim("rmsprop", 0.1, momentum=0.9, eps=0.1), {"momentum": 0.9, "eps": 0.1}),
    ],
    ids=["adam", "sgd", "rmsprop"],
)
def test_every_setting_reaches_the_optimiser(optim: Optim, settings: dict[str, float]) -> None:
    player = Player("g", nn.Linear(2, 1), optim, None)
    assert player.optimizer is not None
    (group,) = player.optimizer.param_groups
    assert {name: group[name] for name in settings} == settings
