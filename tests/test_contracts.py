"""What every member must do, for every member that discovery finds: recipes, losses, penalties, networks."""

from __future__ import annotations

import inspect
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import noise_loader
from sparring import names, recipes
from sparring.chance import generator
from sparring.engine.devices import Devices
from sparring.engine.rounds import rounds
from sparring.engine.sampler import TrainedGenerator
from sparring.engine.state import State
from sparring.errors import ShapeError
from sparring.objectives.losses import AdversarialLoss, share_right
from sparring.objectives.penalties import PenaltyFunction, PenaltyInputs
from sparring.recipe import BoundRecipe, Recipe
from sparring.recipe_file import from_json, to_json

SHAPES = [(1, 28, 28), (3, 32, 32), (4, 16, 16), (1, 24, 32), (5, 8, 8), (2, 1, 1)]
LOSSES = {n: v for n, v in names.discover("objectives").items() if isinstance(v, AdversarialLoss)}
PENALTIES = {n: v for n, v in names.discover("objectives").items() if isinstance(v, PenaltyFunction)}
GOLDEN = Path(__file__).parent / "golden" / "rounds.json"


def small(name: str, **more: Any) -> Recipe:
    """A recipe at a toy width."""
    function = getattr(recipes, name)
    wanted = {"width": 8, "blocks": 1, "batch": 8, **more}
    return function(**{k: v for k, v in wanted.items() if k in inspect.signature(function).parameters})  # type: ignore[no-any-return]


def bound(name: str, shape: tuple[int, int, int], **more: Any) -> BoundRecipe:
    """A toy recipe for 96 images and a budget of 10,000."""
    return small(name, **more).bind(shape, 0, images=96, budget=10_000)


def play(fitted: BoundRecipe, n: int, devices: Devices, *, state: State | None = None) -> State:
    """So many rounds on noise."""
    loader = noise_loader(fitted.facts.shape, mirror=fitted.recipe.mirror)
    for played in itertools.islice(rounds(fitted, loader, seed=3, state=state, devices=devices), n):
        state = played.state
    assert state is not None
    return state


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", recipes.__all__)
def test_every_recipe_plays_every_shape(name: str, shape: tuple[int, int, int], devices: Devices) -> None:
    fitted = bound(name, shape)
    before = State(fitted, seed=3, device=devices.device)
    state = play(fitted, 2, devices)
    assert state.not_finite() is None
    for player in state.players.values():
        old = before.players[player.name].network.state_dict()
        assert any(not torch.equal(old[key], now) for key, now in player.network.state_dict().items()), player.name
    means = state.notes.means()
    assert 0 <= means["right"] <= 1
    sampler = TrainedGenerator(state.players[fitted.recipe.sampler].average or state.players["generator"].network)
    assert sampler.sample(3).shape == (3, *shape)


@pytest.mark.parametrize("name", recipes.__all__)
def test_every_recipe_survives_its_file(name: str, devices: Devices) -> None:
    fitted = bound(name, (1, 16, 16))
    again = from_json(json.loads(json.dumps(to_json(fitted))))
    assert to_json(again) == to_json(fitted)
    one, two = play(fitted, 2, devices).tensors(), play(again, 2, devices).tensors()
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("name", recipes.__all__)
def test_every_recipe_is_documented(name: str) -> None:
    function = getattr(recipes, name)
    recipe = function()
    assert recipe.name == name
    assert "http" in recipe.cite()
    assert len(recipe.summary) < 90
    text = inspect.getdoc(function) or ""
    for parameter in inspect.signature(function).parameters.values():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert f"\n{parameter.name}\n" in text, f"{name}: {parameter.name} is not explained"


@pytest.mark.parametrize("name", [name for name in recipes.__all__ if name != "gan"])
def test_impossible_sizes_name_the_nearest(name: str) -> None:
    with pytest.raises(ShapeError, match="96x96 and 112x112"):
        bound(name, (3, 100, 100))


@pytest.mark.parametrize("name", recipes.__all__)
def test_golden_first_rounds(name: str, devices: Devices) -> None:
    """Three rounds at a toy width give the numbers recorded when the recipe was written (torch 2.14.1, x86-64)."""
    golden = json.loads(GOLDEN.read_text())[name]
    means = play(bound(name, (1, 16, 16)), 3, devices).notes.means()
    assert set(means) == set(golden)
    for key, value in golden.items():
        assert means[key] == pytest.approx(value, rel=1e-4, abs=1e-6), key


@pytest.mark.parametrize("loss", LOSSES.values(), ids=list(LOSSES))
def test_every_loss_pulls_the_right_way(loss: AdversarialLoss) -> None:
    """D raises real logits and lowers fake ones; G raises fake ones."""
    real = torch.randn(9, dtype=torch.double, generator=generator("real"), requires_grad=True)
    fake = torch.randn(9, dtype=torch.double, generator=generator("fake"), requires_grad=True)
    by_pair = loss.discriminator(real, fake)
    assert by_pair.shape == (9,)
    up, down = torch.autograd.grad(by_pair.sum(), (real, fake))
    assert (up <= 0).any()
    assert (down >= 0).any()
    (pull,) = torch.autograd.grad(loss.generator(real.detach(), fake).sum(), fake)
    assert pull.sum() < 0
    every_pair = loss.discriminator(real[:, None], fake[None, :4])
    assert every_pair.shape == (9, 4)
    assert 0 <= share_right(loss, real.detach(), fake.detach()) <= 1


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=list(PENALTIES))
def test_every_penalty_reaches_the_weights(penalty: PenaltyFunction) -> None:
    """A penalty is one number an image, and its gradient arrives at the discriminator."""
    layer = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(12, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)
    ).double()
    real = torch.randn(6, 3, 2, 2, dtype=torch.double).requires_grad_("real" in penalty.differentiates)
    fake = torch.randn(6, 3, 2, 2, dtype=torch.double).requires_grad_("fake" in penalty.differentiates)

    def judge(images: torch.Tensor) -> torch.Tensor:
        return layer(images).squeeze(1)  # type: ignore[no-any-return]

    value, _ = penalty(PenaltyInputs(judge, real, fake, judge(real), judge(fake)), {})
    assert value.shape == (6,)
    value.mean().backward()
    assert layer[1].weight.grad is not None
    assert float(layer[1].weight.grad.abs().sum()) > 0
