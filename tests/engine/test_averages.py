"""The average of a player's weights: how it follows them."""

from __future__ import annotations

import torch
from torch import nn

from sparring.engine.players import Player
from sparring.recipe import Ema


def test_ema_has_its_half_life_in_images() -> None:
    """After `halflife` images, in any batches, half of the way to constant weights is gone; counters are copied."""
    for batch in (1, 10, 50):
        network = nn.BatchNorm1d(2)
        player = Player("g", network, None, Ema(halflife=100, ramp=0))
        network.weight.data.fill_(3.0)
        network.running_mean.fill_(8.0)  # type: ignore[union-attr]
        network.num_batches_tracked.fill_(7)  # type: ignore[union-attr]
        for done in range(batch, 101, batch):
            player.follow(batch, done)
        assert player.average is not None
        torch.testing.assert_close(player.average.weight, torch.full((2,), 2.0))  # type: ignore[arg-type]
        torch.testing.assert_close(player.average.running_mean, torch.full((2,), 4.0))  # type: ignore[arg-type]
        assert int(player.average.num_batches_tracked) == 7  # type: ignore[arg-type]
