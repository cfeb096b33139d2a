"""What every member must do, for every member that discovery finds: recipes, losses, penalties, networks."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, final

import pytest
import torch

from conftest import noise_loader, noise_of
from sparring import names, recipes
from sparring.chance import generator
from sparring.data.loader import Loader
from sparring.engine.devices import Devices
from sparring.engine.rounds import rounds
from sparring.engine.sampler import TrainedGenerator
from sparring.engine.state import State
from sparring.engine.translator import exhibited
from sparring.errors import FileUnusableError, ShapeError, UsageError
from sparring.game import ImageGame
from sparring.networks.gpt import CodePrior
from sparring.networks.vqgan import Codec
from sparring.objectives.losses import AdversarialLoss, share_right
from sparring.objectives.penalties import PenaltyFunction, PenaltyInputs
from sparring.pictures import scaled
from sparring.recipe import BoundRecipe, Optim, Recipe
from sparring.recipe_file import foreign_modules, from_json, to_json
from sparring.recipes.changes import CHANGES
from sparring.recipes.players import architectures, players
from sparring.recipes.spelling import recipe_named

SHAPES = [(1, 28, 28), (3, 32, 32), (4, 16, 16), (1, 24, 32), (5, 8, 8), (2, 1, 1)]
LOSSES = {n: v for n, v in names.discover("objectives").items() if isinstance(v, AdversarialLoss)}
PENALTIES = {n: v for n, v in names.discover("objectives").items() if isinstance(v, PenaltyFunction)}
GOLDEN = Path(__file__).parent / "golden" / "rounds.json"


OF_IMAGES = ("cyclegan", "esrgan", "pix2pix", "vqgan", "vqgan_prior")
"""Recipes that points cannot play."""

CODEC = partial(Codec, width=8, multipliers=(1, 1), blocks=1, codes=16, dim=4)
PRIOR = partial(CodePrior, width=8, layers=1, heads=2, dropout=0.1, codec=CODEC)
TOYS: dict[str, dict[str, Any]] = {
    "cyclegan": {"layers": 1},
    "esrgan": {"layers": 1, "growth": 4, "pretrain": 0.0},
    "pix2pix": {"layers": 1},
    "vqgan": {"layers": 1, "begin": 0.0, "halvings": 2, "codes": 16, "dim": 4},
}


def small(name: str, **more: Any) -> Recipe:
    """A recipe at a toy width; a prior with a codec that nobody has trained."""
    function = getattr(recipes, name)
    wanted = {"width": 8, "blocks": 1, "batch": 8, **TOYS.get(name, {}), **more}
    found = function(**{k: v for k, v in wanted.items() if k in inspect.signature(function).parameters})
    return found.playing(generator=PRIOR) if name == "vqgan_prior" else found  # type: ignore[no-any-return]


def bound(name: str, shape: tuple[int, int, int], *, budget: int = 10_000, **more: Any) -> BoundRecipe:
    """A toy recipe for 96 images."""
    return fitted_to_96(small(name, **more), shape, budget=budget)


def fitted_to_96(recipe: Recipe, shape: tuple[int, int, int], *, budget: int = 10_000) -> BoundRecipe:
    """A recipe for 96 images; of pairs and of two kinds where it plays those."""
    shape = (2 * shape[0], *shape[1:]) if recipe.reading == "pairs" else shape
    return recipe.bind(shape, 2 if recipe.reading == "sides" else 3, images=96, budget=budget)


def loader_for(fitted: BoundRecipe) -> Loader:
    """Noise of the shape and the classes that a recipe was fitted to."""
    facts, recipe = fitted.facts, fitted.recipe
    return noise_loader(facts.shape, mirror=recipe.mirror, balanced=recipe.balanced, classes=facts.classes)


def play(fitted: BoundRecipe, n: int, devices: Devices, *, state: State | None = None) -> State:
    """So many rounds on noise."""
    loader = loader_for(fitted)
    state = state or State(fitted, seed=3, device=devices.device)
    for played in itertools.islice(rounds(fitted, loader, seed=3, state=state, devices=devices), n):
        state = played.state
    assert state is not None
    return state


@pytest.mark.parametrize(
    "damage",
    [{"emas": None}, {"turns": None}, {"batch": "8"}, {"game": {}}, {"optims": []}, {"papers": [1]}, {"sampler": 3}],
)
def test_a_recipe_file_with_other_kinds_of_values_is_refused(damage: dict[str, Any]) -> None:
    encoded = to_json(bound("gan", (1, 16, 16)))
    encoded["with"]["recipe"]["with"].update(damage)
    with pytest.raises(FileUnusableError, match=f"damaged: {min(damage)} cannot be what it says; restore it"):
        from_json(encoded)


@final
@dataclasses.dataclass(frozen=True)
class Halving:
    """A person's own schedule."""

    start: float

    def __call__(self, seen: float) -> float:
        return self.start / 2


def test_the_module_of_ones_own_schedule_is_known() -> None:
    recipe = recipes.gan()
    own = recipe.but(optims={name: Optim(rate=Halving(1e-3)) for name in recipe.optims})
    assert foreign_modules(own) == (Halving.__module__,)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", recipes.__all__)
def test_every_recipe_plays_every_shape(name: str, shape: tuple[int, int, int], devices: Devices) -> None:
    if name in OF_IMAGES and shape[1:] == (1, 1):
        with pytest.raises(UsageError, match=r"give images|give two folders|pixels"):
            bound(name, shape)
        return
    fitted = bound(name, shape)
    before = State(fitted, seed=3, device=devices.device)
    state = play(fitted, 2, devices)
    assert state.not_finite() is None
    for player in (state.players[who] for turn in fitted.recipe.turns if turn.within(0) for who in turn.players):
        old = before.players[player.name].network.state_dict()
        assert any(not torch.equal(old[key], now) for key, now in player.network.state_dict().items()), player.name
    means = state.notes.means()
    assert name == "vqgan_prior" or 0 <= means["right"] <= 1
    if isinstance(state.game, ImageGame):
        images, labels = loader_for(fitted).draw(0, 6, slice(0, 6))
        shown = {who: player.shown() for who, player in state.players.items()}
        columns = exhibited(state.game, shown, scaled(images), labels)
        assert len({len(column) for column in columns.values()}) == 1
        assert all(column.dtype == torch.uint8 for column in columns.values())
        return
    sampler = TrainedGenerator(state.players[fitted.recipe.sampler].shown())
    assert sampler.sample(3).shape == (3, *shape)
    assert sampler.classes == (3 if fitted.recipe.game().conditional else 0)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", recipes.__all__)
def test_every_recipe_survives_its_file(name: str, devices: Devices) -> None:
    fitted = bound(name, (1, 16, 16))
    again = from_json(json.loads(json.dumps(to_json(fitted))))
    assert to_json(again) == to_json(fitted)
    one, two = play(fitted, 2, devices).tensors(), play(again, 2, devices).tensors()
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("damage", [{"shape": [2]}, {"shape": None}, {"shape": [1, 0, 8]}, {"budget": 0}])
def test_a_recipe_file_of_data_that_cannot_be_is_refused(damage: dict[str, Any]) -> None:
    encoded = to_json(bound("gan", (1, 16, 16)))
    encoded["with"]["facts"]["with"].update(damage)
    with pytest.raises(FileUnusableError, match="does not hold a bound recipe"):
        from_json(encoded)
    encoded["with"] |= {"facts": to_json(bound("gan", (1, 16, 16)))["with"]["facts"], "recipe": None}
    with pytest.raises(FileUnusableError, match="does not hold a bound recipe"):
        from_json(encoded)


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


@pytest.mark.parametrize("name", [name for name in recipes.__all__ if name not in ("gan", *OF_IMAGES)])
def test_impossible_sizes_name_the_nearest(name: str) -> None:
    with pytest.raises(ShapeError, match="96x96 and 112x112"):
        bound(name, (3, 100, 100))


@pytest.mark.parametrize("name", recipes.__all__)
def test_golden_first_rounds(name: str, devices: Devices) -> None:
    """Three rounds at a toy width give the numbers recorded when the recipe was written (torch 2.14.1, x86-64).

    Processors round differently. In sngan's five turns of D a round, Adam's first steps, which hardly see how small a
    gradient is, enlarge that.
    """
    golden = json.loads(GOLDEN.read_text())[name]
    means = play(bound(name, (1, 16, 16)), 3, devices).notes.means()
    assert set(means) == set(golden)
    near = {"rel": 5e-3, "abs": 5e-4} if name == "sngan" else {"rel": 1e-4, "abs": 1e-6}
    for key, value in golden.items():
        assert means[key] == pytest.approx(value, **near), key


@pytest.mark.parametrize("loss", LOSSES.values(), ids=list(LOSSES))
def test_every_loss_pulls_the_right_way(loss: AdversarialLoss) -> None:
    """D raises real logits and lowers fake ones; G raises fake ones."""
    real = torch.randn(9, dtype=torch.double, generator=generator("real"), requires_grad=True)
    fake = torch.randn(9, dtype=torch.double, generator=generator("fake"), requires_grad=True)
    by_pair = loss.discriminator(real, fake)
    assert by_pair.shape == (9,)
    up, down = torch.autograd.grad(by_pair.sum(), (real, fake))
    assert up.sum() < 0 < down.sum()
    (pull,) = torch.autograd.grad(loss.generator(real.detach(), fake).sum(), fake)
    assert pull.sum() < 0
    every_pair = loss.discriminator(real[:, None], fake[None, :4])
    assert every_pair.shape == (9, 4)
    assert 0 <= share_right(loss, real.detach(), fake.detach()) <= 1


def penalised(penalty: PenaltyFunction, seed: int = 0) -> tuple[torch.nn.Module, Callable[[], torch.Tensor]]:
    """Two players of a toy in float64, and the penalty's value as a function of their weights, chance held still."""
    source = torch.Generator().manual_seed(seed)
    layers = [torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)]
    players = torch.nn.ModuleDict(
        {"judge": torch.nn.Sequential(torch.nn.Flatten(), *layers), "maker": torch.nn.Linear(3, 4)}
    ).double()
    real = torch.randn(6, 1, 2, 2, dtype=torch.double, generator=source)
    latents = torch.randn(6, 3, dtype=torch.double, generator=source)
    state: dict[str, torch.Tensor] = {}
    means: dict[int, torch.Tensor] = {}

    def judge(images: torch.Tensor) -> torch.Tensor:
        return players["judge"](images).squeeze(1)  # type: ignore[no-any-return]

    def look() -> torch.Tensor:
        noise, count = noise_of(5), itertools.count()

        def mean(x: torch.Tensor) -> torch.Tensor:  # statistics of the batch stand still, as they have no gradient
            return means.setdefault(next(count), x.mean(0))

        shown = real.clone().requires_grad_("real" in penalty.differentiates)
        z = latents.clone().requires_grad_("latents" in penalty.differentiates)
        made = players["maker"](z).tanh().view(6, 1, 2, 2)
        if "latents" not in penalty.differentiates:
            made = made.detach().requires_grad_("fake" in penalty.differentiates)
        inputs = PenaltyInputs(
            judge, shown, made, judge(shown), judge(made), latents=z, network=players["judge"],
            draw=lambda n, dim, kind: noise(n, dim, kind).double(), mean=mean,
        )  # fmt: skip
        value, found = penalty(inputs, state)
        state.update({k: t for k, t in found.items() if k not in state})  # as it was after the first look
        return value

    look()  # an earlier round, for those that remember
    means.clear()
    with torch.no_grad():
        for weight in players.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, dtype=torch.double, generator=source))
    return players, look


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=list(PENALTIES))
def test_every_penalty_reaches_the_weights(penalty: PenaltyFunction) -> None:
    """A penalty is one number an image, or one in all, and moves weights as finite differences say."""
    torch.manual_seed(4)
    players, look = penalised(penalty)
    value = look()
    assert value.shape in {(6,), (1,)}
    value.mean().backward()
    found = [(weight, weight.grad) for weight in players.parameters() if weight.grad is not None]
    assert sum(float(gradient.abs().sum()) for _, gradient in found) > 0
    for weight, gradient in found:
        for place in (0, weight.numel() // 2):
            sides = []
            for step in (1e-6, -2e-6):
                with torch.no_grad():
                    weight.view(-1)[place] += step
                sides.append(float(look().mean().detach()))
            with torch.no_grad():
                weight.view(-1)[place] += 1e-6
            expected = (sides[0] - sides[1]) / 2e-6
            assert float(gradient.view(-1)[place]) == pytest.approx(expected, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 16, 24), (2, 1, 1)], ids=str)
@pytest.mark.parametrize("name", architectures())
def test_every_architecture_has_both_players(name: str, shape: tuple[int, int, int]) -> None:
    """G makes the shape from z; D judges what `features` ends with, one logit an image."""
    cast = players(name, width=8)
    recipe = recipes.gan().playing(**cast).bind(shape, 0, images=96, budget=1000).recipe
    generator, discriminator = (recipe.game.keywords[who](shape, 0) for who in ("generator", "discriminator"))  # type: ignore[attr-defined]
    images = generator(torch.randn(5, generator.z_dim))
    assert images.shape == (5, *shape)
    discriminator.eval()
    layers = discriminator.features(images)
    assert all(len(layer) == 5 for layer in layers)
    logits = discriminator(images).per_image
    assert logits.shape == (5,)
    assert torch.equal(discriminator.judge(layers[-1]).per_image, logits)


CHANGED = [
    "dcgan+network=sngan",
    "quick+network=dcgan",
    "gan+loss=relativistic_average",
    "dcgan+network=dcgan+modify=spectral_norm",
    "dcgan+modify=discriminate_minibatch+modify=minibatch_deviation",
    "quick+packing=4",
    "dcgan+unroll=2",
    "lsgan+augment=diffaugment",
    "dcgan+augment=ada",
    "r3gan+augment=ada",
    "gan+augment=instance_noise:0.2",
    "gan+penalty=lecam:0.3+penalty=historical_averaging:0.1+penalty=label_smoothing:0.1",
    "wgan_gp+penalty=drift:0.001+penalty=consistency:10",
    "quick+discriminator_rate=2+discriminator_turns=2+decay=cosine",
    "r3gan+generator_penalty=path_length:2:4+generator_penalty=orthogonal:0.0001",
    "r3gan+modify=spectral_norm",
]


LABELLED = {"acgan", "biggan", "cgan", "projection_gan"}
JUDGELESS = {"cyclegan", "vqgan_prior"}
"""No turn is a discriminator's alone."""
CONSTRAINED = {"dragan", "progan", "quick", "r3gan", "stylegan", "stylegan2", "wgan", "wgan_gp"}
"""D has penalties, or its weights are clipped: what looking ahead leaves out."""

ONE_OF_EACH: dict[str, tuple[str, set[str]]] = {
    "penalty": ("lecam:0.1", {*JUDGELESS, "unrolled", "vqgan"}),
    "generator_penalty": ("path_length:2", {*OF_IMAGES, "stylegan2"}),
    "modify": ("spectral_norm", {*OF_IMAGES}),
    "network": ("dcgan", {*OF_IMAGES}),
    "labels": ("classes", {*OF_IMAGES, *LABELLED, "pacgan"}),
    "balance": ("classes", set()),
    "loss": ("hinge", {"vqgan_prior"}),
    "packing": ("2", {*OF_IMAGES, *LABELLED}),
    "unroll": ("1", {*OF_IMAGES, *CONSTRAINED, "feature_matching"}),
    "discriminator_turns": ("3", JUDGELESS),
    "discriminator_rate": ("2", JUDGELESS),
    "decay": ("cosine", set()),
    "augment": ("ada", {*OF_IMAGES}),
    "accumulate": ("2", set()),
    "freeze": ("1", {*OF_IMAGES}),
}
"""A word for each change, and the recipes that refuse it."""


@pytest.mark.parametrize("name", recipes.__all__)
def test_every_recipe_takes_every_change_or_says_why_not(name: str, devices: Devices) -> None:
    """A recipe whose game can be made, or a sentence; what games of images take is played for a round."""
    assert set(ONE_OF_EACH) == set(CHANGES)
    refused = set()
    for change, (word, _) in ONE_OF_EACH.items():
        try:
            changed = CHANGES[change](small(name), word)
            changed.game()
            if name in OF_IMAGES:
                play(fitted_to_96(changed, (1, 16, 16)), 1, devices)
        except UsageError:
            refused.add(change)
    assert refused == {change for change, (_, refusing) in ONE_OF_EACH.items() if name in refusing}


@pytest.mark.parametrize("word", CHANGED)
def test_every_change_plays_and_survives_its_file(word: str, devices: Devices) -> None:
    recipe = recipe_named(word, **({"batch": 8} if word.startswith(("quick", "r3gan")) else {"batch": 8, "width": 8}))
    fitted = recipe.bind((3, 16, 16), 0, images=96, budget=10_000)
    assert fitted.recipe.name == word
    again = from_json(json.loads(json.dumps(to_json(fitted))))
    assert to_json(again) == to_json(fitted)
    one, two = play(fitted, 4, devices).tensors(), play(again, 4, devices).tensors()
    assert all(torch.equal(one[key], two[key]) for key in one)
