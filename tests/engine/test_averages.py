"""The average of a player's weights: how it follows them, and that it is what people see."""

from __future__ import annotations

import itertools
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils import parametrizations

from conftest import noise_loader
from sparring.engine.checkpoint import save
from sparring.engine.devices import Devices
from sparring.engine.players import Player
from sparring.engine.rounds import rounds
from sparring.engine.rundir import Run
from sparring.engine.state import State
from sparring.recipe import BoundRecipe, Ema
from sparring.recipes.spelling import recipe_named


def averaging(ema: Ema) -> BoundRecipe:
    """Perceptrons whose generator is averaged."""
    recipe = recipe_named("gan", width=8, batch=8)
    return recipe.but(emas={"generator": ema}).bind((1, 8, 8), 0, 96, 1000)


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


def test_the_average_follows_every_round(devices: Devices) -> None:
    """Rounds of 8 images with a half-life of half the images seen, until that is 40, by hand."""
    fitted = averaging(Ema(halflife=40, ramp=0.5))
    state = State(fitted, seed=0, device=devices.device)
    player = state.players["generator"]
    mine = {name: weight.clone().double() for name, weight in player.network.state_dict().items()}
    playing = rounds(fitted, noise_loader((1, 8, 8)), state=state, devices=devices)
    for played in itertools.islice(playing, 12):
        keep = 0.5 ** (8 / min(40, 0.5 * played.seen))
        for name, weight in player.network.state_dict().items():
            mine[name] = keep * mine[name] + (1 - keep) * weight.double()
    last, shown = player.network.state_dict(), player.shown().state_dict()
    for name, expected in mine.items():
        torch.testing.assert_close(shown[name].double(), expected, rtol=1e-5, atol=1e-6)
        assert not torch.allclose(shown[name], last[name], rtol=1e-3)


def test_directions_of_spectral_norm_are_copied() -> None:
    """A mean of unit vectors is none; the weight that they belong to is averaged."""
    torch.manual_seed(0)
    layer = parametrizations.spectral_norm(nn.Linear(5, 4))
    player = Player("d", layer, None, Ema(halflife=8, ramp=0))
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    with torch.no_grad():
        layer.parametrizations.weight.original += torch.randn(4, 5)  # type: ignore[union-attr, operator]
    layer.train()(torch.zeros(1, 5))  # one step of the power method
    player.follow(8, 8)
    assert player.average is not None
    now, found = layer.state_dict(), player.average.state_dict()
    for name in ("parametrizations.weight.0._u", "parametrizations.weight.0._v"):
        assert not torch.allclose(before[name], now[name], atol=0.01)
        assert torch.equal(found[name], now[name])
    name = "parametrizations.weight.original"
    torch.testing.assert_close(found[name], (before[name] + now[name]) / 2)


def test_a_run_shows_the_average(devices: Devices, folder: Path) -> None:
    fitted = averaging(Ema(halflife=100))
    state = State(fitted, seed=0, device=devices.device)
    player = state.players["generator"]
    assert player.average is not None
    for tensors, number in ((player.average.state_dict(), 0.25), (player.network.state_dict(), -1.0)):
        for tensor in tensors.values():
            tensor.fill_(number)
    data = {
        "source": None, "name": "noise", "fingerprint": "", "shape": [1, 8, 8], "channels": "auto",
        "classes": [], "images": 96, "held_out": [],
    }  # fmt: skip
    run = Run(folder)
    with run.locked():
        run.begin(fitted, {"seed": 0, "data": data})
        save(folder / "checkpoints", state.tensors(), state.scalars())
    assert all((weight == 0.25).all() for weight in run.generator.network.state_dict().values())
