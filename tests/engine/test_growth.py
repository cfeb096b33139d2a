"""Players that grow: the level is a function of `seen`, moments begin anew, and minutes count every stage."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from conftest import noise_loader
from sparring import recipes
from sparring.engine import pace
from sparring.engine.devices import Devices
from sparring.engine.rounds import rounds
from sparring.engine.sampler import TrainedGenerator
from sparring.engine.state import State
from sparring.errors import UsageError
from sparring.networks import progan
from sparring.networks.conditioning import LabelledDiscriminator
from sparring.networks.growing import grow
from sparring.recipe import BoundRecipe
from sparring.recipes.spelling import recipe_named
from sparring.schedule import Path, Steps


def growing(budget: int = 400, **changes: object) -> BoundRecipe:
    """A toy ProGAN of 16 pixels: levels 0 to 2 in four phases of 60 images each."""
    recipe = recipes.progan(width=4, most=8, z_dim=6, batch=10, **changes)  # type: ignore[arg-type]
    return recipe.bind((1, 16, 16), 0, images=96, budget=budget)


def test_levels_follow_the_phases(devices: Devices) -> None:
    """A level stays for a phase, the next is faded in over another; the average's level is that of the weights."""
    fitted = growing()
    assert fitted.recipe.growth == Path((0.0, 0.0, 1.0, 1.0, 2.0), (0.0, 60.0, 120.0, 180.0, 240.0))
    state = State(fitted, seed=0, device=devices.device)
    found = {}
    for played in rounds(fitted, noise_loader((1, 16, 16)), state=state, devices=devices, until=400):
        player = state.players["generator"]
        found[played.seen] = player.network.level
        assert player.average is not None
        assert player.average.eval().level == player.network.level  # type: ignore[union-attr]
        assert TrainedGenerator(player.shown()).sample(2).shape == (2, 1, 16, 16)
    assert [found[seen] for seen in (10, 70, 100, 130, 190, 260, 400)] == pytest.approx(
        [0, 0, 0.5, 1, 1, 2, 2], abs=1e-6
    )


def test_moments_begin_anew_at_a_level(devices: Devices) -> None:
    """When a level begins to be faded in and when it is there (the authors' code); Adam counts its steps from 1."""
    fitted, steps = growing(), {}
    state = State(fitted, seed=0, device=devices.device)
    for played in rounds(fitted, noise_loader((1, 16, 16)), state=state, devices=devices, until=400):
        optimizer = state.players["generator"].optimizer
        assert optimizer is not None
        steps[played.seen] = max((int(moments["step"]) for moments in optimizer.state.values()), default=0)
    begun = [seen for seen in steps if steps[seen] == 0]
    assert begun == [70, 120, 190, 240]  # the rounds that cross 60 (whose level is 0 still), 120, 180 and 240
    assert [steps[seen] for seen in (10, 60, 80, 110, 130, 400)] == [1, 6, 1, 4, 1, 16]


def test_minutes_count_every_stage(monkeypatch: pytest.MonkeyPatch, devices: Devices) -> None:
    """An image that costs 10 to the power of its level, over the stages of the run."""
    asked = []

    def cost(stage: BoundRecipe, batch: int, *_: object) -> tuple[float, float]:
        asked.append((stage.recipe.growth, batch))
        return 10.0 ** float(stage.recipe.growth), 0.0  # type: ignore[arg-type]

    monkeypatch.setattr(pace, "_time", cost)
    found = pace.measure_pace(growing(), noise_loader((1, 16, 16)), devices)
    assert asked == [(0.0, 10), (1.0, 10), (2.0, 10)]
    assert found.seconds_per_image == pytest.approx((60 * 1 + 120 * 10 + 220 * 100) / 400, rel=0.05)


def test_minutes_become_the_budget_that_takes_them(monkeypatch: pytest.MonkeyPatch, devices: Devices) -> None:
    """Phases of a fixed length: a longer run spends more of its time at the costly level."""

    def cost(stage: BoundRecipe, batch: int, *_: object) -> tuple[float, float]:
        return 10.0 ** float(stage.recipe.growth), 0.0  # type: ignore[arg-type]

    def fitted(budget: int) -> BoundRecipe:
        return growing(budget, phase=100)

    monkeypatch.setattr(pace, "_time", cost)
    measured = pace.measure_pace(fitted(1000), noise_loader((1, 16, 16)), devices)
    for budget in (300, 1000, 20_000):
        seconds = sum(
            10.0 ** math.ceil(float(Path((0, 0, 1, 1, 2), (0, 100, 200, 300, 400))(k))) for k in range(budget)
        )
        assert pace.affordable(fitted, measured, seconds / 60 / 0.97) == pytest.approx(budget, rel=0.05)
    left = measured.over(fitted(1000), 500)
    assert left.seconds_per_image == pytest.approx(100)


def test_phases_are_the_papers_unless_the_run_is_short() -> None:
    long = growing(budget=25_000_000).recipe.growth
    assert isinstance(long, Path)
    assert long.at == (0, 600_000, 1_200_000, 1_800_000, 2_400_000)
    asked = growing(phase=1000).recipe.growth
    assert isinstance(asked, Path)
    assert asked.at[-1] == 4000


def test_style_gan_learns_faster_when_it_makes_larger_images() -> None:
    """From the moment that a size is faded in: 1.5 times at 128 px, twice at 256 px (the authors' code)."""
    fitted = recipes.stylegan(width=4, most=8, phase=100).bind((3, 256, 256), 0, images=96, budget=10_000)
    rate, growth = fitted.recipe.optims["generator"].rate, fitted.recipe.growth
    assert isinstance(rate, Steps)
    assert isinstance(growth, Path)
    assert (growth(0), growth(99)) == (1.0, 1.0)
    levels = {seen: 4 * 2 ** math.ceil(growth(seen + 1)) for seen in range(0, 1200, 50)}
    for seen, size in levels.items():
        assert rate(seen + 1) == pytest.approx(1e-3 * {256: 2.0, 128: 1.5}.get(size, 1.0)), seen


@pytest.mark.parametrize("phase", [0, -5, math.nan])
def test_phases_that_cannot_be(phase: float) -> None:
    with pytest.raises(UsageError, match="a phase of"):
        growing(phase=phase)


@pytest.mark.parametrize(("values", "at"), [((0.0,), (0.0, 1.0)), ((0.0, 1.0), (1.0, 2.0)), ((0.0, 1.0), (0.0, 0.0))])
def test_paths_that_cannot_be(values: tuple[float, ...], at: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="cannot be; give one place a value"):
        Path(values, at)


def test_the_first_samples_are_of_the_first_level(devices: Devices) -> None:
    state = State(growing(), seed=0, device=devices.device)
    images = TrainedGenerator(state.players["generator"].shown()).sample(2)
    assert torch.equal(images, images[:, :, ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3))


@pytest.mark.parametrize("name", ["progan", "stylegan", "stylegan2"])
def test_players_of_styles_play_in_half_precision(name: str, monkeypatch: pytest.MonkeyPatch, devices: Devices) -> None:
    """As on a GPU that has bfloat16."""
    monkeypatch.setattr(devices, "precision", lambda: torch.autocast("cpu", torch.bfloat16))
    fitted = getattr(recipes, name)(width=4, most=8, z_dim=6, batch=8).bind((1, 16, 16), 0, images=96, budget=100)
    state = State(fitted, seed=0, device=devices.device)
    for _ in rounds(fitted, noise_loader((1, 16, 16)), state=state, devices=devices, until=100):
        pass
    assert state.not_finite() is None


def test_label_pictures_shrink_with_what_they_are_beside() -> None:
    judge = LabelledDiscriminator((1, 16, 16), 3, network=lambda shape, _: progan.Discriminator(shape, width=2, most=4))
    grow(judge, 1.0)
    assert judge(torch.randn(3, 1, 8, 8), torch.tensor([0, 1, 2])).logits.shape == (3,)


def test_points_do_not_grow() -> None:
    assert recipes.progan().bind((2, 1, 1), 0, images=96, budget=1000).recipe.growth is None


def test_players_that_cannot_grow_are_refused() -> None:
    with pytest.raises(UsageError, match=r"generator of progan\+network=dcgan cannot grow"):
        recipe_named("progan+network=dcgan").bind((1, 16, 16), 0, images=96, budget=1000)


def test_a_recipe_at_one_level_plays_it_alone(devices: Devices) -> None:
    fitted = growing()
    fitted = dataclasses.replace(fitted, recipe=fitted.recipe.but(growth=1.0))
    state = State(fitted, seed=0, device=devices.device)
    for _ in rounds(fitted, noise_loader((1, 16, 16)), state=state, devices=devices, until=30):
        pass
    assert state.players["generator"].network(torch.randn(2, 6)).shape == (2, 1, 8, 8)
    assert state.players["discriminator"].network.level == 1.0
