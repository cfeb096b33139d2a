"""What a recipe names exists, whoever names it: a mistyped word never becomes another play."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from torch import nn

from sparring import recipes
from sparring.errors import UsageError
from sparring.networks import biggan, dcgan, johnson, mlp, patchgan, stylegan2, unet
from sparring.networks.quantiser import Quantiser
from sparring.recipe import Constraint, Ema, Given, Optim, Turn
from sparring.recipes.spelling import recipe_named


def nothing(_: nn.Module) -> None:
    """A constraint."""


@pytest.mark.parametrize(
    "change",
    [
        {"sampler": "generater"},
        {"emas": {"generater": Ema(100)}},
        {"optims": {"generater": Optim(), "generator": Optim(), "discriminator": Optim()}},
        {"constraints": (Constraint("generater", nothing),)},
        {"turns": (Turn(("generater",)),)},
        {"turns": (Turn(("generator",), awake=("generater",)),)},
        {"given": {"generater.head": Given("run", "generator", "0" * 16)}},
    ],
    ids=["sampler", "emas", "optims", "constraints", "turns", "awake", "given"],
)
def test_every_player_that_is_named_is_in_the_game(change: dict[str, Any]) -> None:
    recipe = recipes.gan().but(**change)
    with pytest.raises(UsageError, match="no player of gan, 'generater'; did you mean 'generator'"):
        recipe.bind((1, 8, 8), 0, 96, 1000)


def test_who_takes_turns_has_an_optimiser() -> None:
    recipe = recipes.gan().but(optims={"generator": Optim()})
    with pytest.raises(UsageError, match="'discriminator' takes turns but has no optimiser"):
        recipe.bind((1, 8, 8), 0, 96, 1000)


@pytest.mark.parametrize(
    "build",
    [
        partial(dcgan.Generator, (3, 32, 32), upsample="wrogn"),
        partial(johnson.ResNetTranslator, (3, 32, 32), upsample="wrogn"),
        partial(johnson.ResNetTranslator, (3, 32, 32), norm="wrogn"),
        partial(unet.UNet, (3, 32, 32), norm="wrogn"),
        partial(patchgan.PatchDiscriminator, (3, 32, 32), layers=1, norm="wrogn"),
        partial(biggan.Generator, (3, 32, 32), start="wrogn"),
        partial(stylegan2.Generator, (3, 32, 32), architecture="wrogn"),
        partial(stylegan2.Discriminator, (3, 32, 32), architecture="wrogn"),
        partial(Quantiser, 8, 4, how="wrogn"),
    ],
    ids=lambda build: f"{build.func.__module__.rpartition('.')[2]}-{[*build.keywords][-1]}",
)
def test_a_mistyped_word_is_no_other_network(build: Callable[[], nn.Module]) -> None:
    with pytest.raises(UsageError, match=r"there is no [a-z ]+,? 'wrogn'"):
        build()


def test_z_of_an_unknown_kind_is_refused_before_anything_is_trained() -> None:
    recipe = recipes.gan()
    told = recipe.playing(generator=partial(mlp.Generator, z_kind="gaussian"))
    with pytest.raises(UsageError, match="there is no kind of z, 'gaussian'; there are: normal, uniform"):
        told.bind((1, 8, 8), 0, 96, 1000)
    assert replace(told, game=recipe.game).bind((1, 8, 8), 0, 96, 1000)


def test_a_parameter_by_keyword_is_named_as_in_a_word() -> None:
    with pytest.raises(UsageError, match="no parameter of dcgan, 'widht'; did you mean 'width'"):
        recipe_named("dcgan", widht=3)
