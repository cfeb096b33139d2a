"""Stopping anywhere and going on gives the run that never stopped, bit for bit."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from conftest import noise_loader
from sparring import recipes
from sparring.engine.checkpoint import newest, read, save
from sparring.engine.devices import Devices
from sparring.engine.rounds import rounds
from sparring.engine.state import State
from sparring.recipe import BoundRecipe
from sparring.recipes.spelling import recipe_named
from test_contracts import OF_IMAGES, bound, loader_for


def reload(state: State, fitted: BoundRecipe, folder: Path, devices: Devices) -> State:
    """Through a checkpoint file into a new state."""
    save(folder, state.tensors(), state.scalars())
    found = newest(folder)
    assert found is not None
    fresh = State(fitted, seed=99, device=devices.device)
    fresh.load(*read(found))
    return fresh


def restarted(fitted: BoundRecipe, length: int, folder: Path, devices: Devices) -> State:
    """So many rounds, restarted from the file after each of them, and equal there to those of one piece."""
    loader = loader_for(fitted)
    whole, split = (State(fitted, seed=3, device=devices.device) for _ in range(2))
    pieces = rounds(fitted, loader, seed=3, state=whole, devices=devices)
    for _ in range(length):
        next(pieces)
        next(rounds(fitted, loader, seed=3, state=split, devices=devices))
        split = reload(split, fitted, folder, devices)
        one, two = whole.tensors(), split.tensors()
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one)
    assert whole.scalars() == split.scalars()
    return split


@pytest.mark.parametrize("shape", [(1, 16, 16), (2, 1, 1)], ids=str)
@pytest.mark.parametrize("name", recipes.__all__)
def test_a_run_split_after_every_round_is_the_unsplit_run(
    name: str, shape: tuple[int, int, int], devices: Devices, folder: Path
) -> None:
    """50 rounds, restarted from the file after each of them, against 50 rounds in one piece."""
    if name in OF_IMAGES and shape[1:] == (1, 1):
        pytest.skip("points cannot play this")
    fitted = bound(name, shape, budget=600, pretrain=0.4, begin=0.4)  # phases begin and end on the way
    restarted(fitted, 50, folder, devices)


@pytest.mark.parametrize(
    "word",
    [
        "dcgan+network=dcgan+augment=ada+modify=spectral_norm",
        "gan+penalty=lecam:0.3+penalty=historical_averaging:0.1+generator_penalty=path_length:2:3",
        "gan+augment=ada+discriminator_turns=2",
        "quick+labels=projection+balance=classes+accumulate=2+freeze=1+penalty=lecam:0.1",
        "cgan+network=mirza+penalty=lecam:0.3",
        "progan+penalty=lecam:0.1",
        "stylegan+phase=20+augment=ada",
    ],
)
def test_every_new_kind_of_state_is_kept(word: str, devices: Devices, folder: Path) -> None:
    """Controllers, power iterations, running means and lazy penalties: 12 rounds, restarted after each of them."""
    fitted = recipe_named(word, width=8, batch=8).bind((1, 16, 16), 3, images=96, budget=120)
    state = restarted(fitted, 12, folder, devices)
    assert any(name.startswith(("game.strength", "penalties.discriminator/lecam")) for name in state.tensors())


@pytest.mark.parametrize("name", ["cyclegan", "quick"])
def test_what_a_turn_leaves_for_another_is_of_one_round(name: str, devices: Devices, folder: Path) -> None:
    """Where the one that leaves it comes last, the other finds nothing, as after a restart: nothing of it is saved."""
    fitted = bound(name, (1, 16, 16), budget=120)
    fitted = replace(fitted, recipe=fitted.recipe.but(turns=fitted.recipe.turns[::-1]))
    restarted(fitted, 3, folder, devices)


def test_dropout_is_part_of_the_promise(devices: Devices, folder: Path) -> None:
    fitted, loader = bound("gan", (1, 16, 16), dropout=0.5, batch_norm=True), noise_loader((1, 16, 16))
    whole = State(fitted, seed=3, device=devices.device)
    for _ in itertools.islice(rounds(fitted, loader, state=whole, devices=devices), 6):
        pass
    split = State(fitted, seed=3, device=devices.device)
    for _ in range(3):
        for _ in itertools.islice(rounds(fitted, loader, state=split, devices=devices), 2):
            torch.randn(3)  # somebody else draws from the default generator
        split = reload(split, fitted, folder, devices)
    one, two = whole.tensors(), split.tensors()
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_different_seeds_differ(devices: Devices) -> None:
    fitted = bound("gan", (1, 16, 16))
    one, two = (State(fitted, seed=seed, device=devices.device).tensors() for seed in (0, 1))
    assert any(not torch.equal(one[key], two[key]) for key in one)
