"""Labels in the two-player game: who is told what, in every kind of turn."""

from __future__ import annotations

import copy
import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from conftest import noise_loader
from sparring import recipes
from sparring.engine.devices import Devices
from sparring.engine.rounds import _Batch, _Context, rounds
from sparring.engine.state import State
from sparring.errors import UsageError
from sparring.games.two_player import TwoPlayerGame
from sparring.networks import dcgan
from sparring.networks.layers import Verdict
from sparring.objectives.losses import non_saturating, relativistic_pairing
from sparring.objectives.penalties import PenaltyInputs, wgan_gp
from sparring.recipe import Optim, Penalty, Recipe, Term, Turn
from sparring.recipes.spelling import recipe_named
from sparring.schedule import Linear
from test_contracts import play

PLAYERS = ("discriminator", "generator")


class Maker(nn.Module):
    """G(z, y) = z + b[y]; it writes down what it was asked for."""

    z_dim, z_kind = 2, "normal"

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.shift = nn.Parameter(torch.zeros(max(classes, 1), 2))
        self.asked: list[Tensor] = []

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        self.asked.append(labels)
        return (z + self.shift[labels]).view(-1, 2, 1, 1)


class Judge(nn.Module):
    """D(x, y) = w[y] x, and class logits C x; it writes down what it was shown."""

    takes_labels = True

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(2.0 * max(classes, 1)).view(-1, 2))
        self.tell = nn.Parameter(torch.arange(2.0 * max(classes, 1)).view(-1, 2) / 10)
        self.shown: list[tuple[Tensor, Tensor]] = []

    def forward(self, x: Tensor, labels: Tensor) -> Verdict:
        self.shown.append((x.detach(), labels))
        flat = x.flatten(1)
        return Verdict((flat * self.weight[labels]).sum(1), flat @ self.tell.t())


def toy(terms: tuple[Any, ...] = (Term("adversarial"),), **game: Any) -> Recipe:
    return Recipe(
        name="toy",
        summary="",
        papers=(),
        game=partial(
            TwoPlayerGame,
            **{"generator": Maker, "discriminator": Judge, "loss": non_saturating, "conditional": True, **game},
        ),
        turns=tuple(Turn((name,), terms) for name in PLAYERS),
        optims={name: Optim(kind="sgd", rate=0.1) for name in PLAYERS},
        batch=6,
    )


def one_round(recipe: Recipe, devices: Devices) -> State:
    bound = recipe.bind((2, 1, 1), 3, 96, 1000)
    state = State(bound, seed=0, device=devices.device)
    next(rounds(bound, noise_loader((2, 1, 1)), state=state, devices=devices))
    return state


def notes_of(state: State) -> tuple[list[Tensor], list[tuple[Tensor, Tensor]]]:
    maker: Any = state.players["generator"].network
    judge: Any = state.players["discriminator"].network
    return maker.asked, judge.shown


def test_reals_come_with_their_labels_and_fakes_with_those_asked_for(devices: Devices) -> None:
    asked, shown = notes_of(one_round(toy(), devices))
    images, labels = noise_loader((2, 1, 1)).draw(0, 6, slice(0, 6))
    (real, real_labels), (_, fake_labels), (_, later) = shown
    assert torch.equal(real, images)
    assert torch.equal(real_labels, labels)  # type: ignore[arg-type]
    assert torch.equal(fake_labels, asked[0])
    assert torch.equal(later, asked[1])
    assert not torch.equal(asked[0], asked[1])


def test_losses_that_pair_compare_fakes_with_reals_of_their_own_label(devices: Devices) -> None:
    asked, shown = notes_of(one_round(toy(loss=relativistic_pairing), devices))
    (_, first), (_, second), (_, third), (_, fourth) = shown
    assert torch.equal(first, second)
    assert torch.equal(first, asked[0])
    assert torch.equal(third, fourth)
    assert torch.equal(third, asked[1])
    assert torch.equal(fourth, noise_loader((2, 1, 1)).draw(6, 6, slice(0, 6))[1])  # type: ignore[arg-type]


def test_the_classification_term_by_hand(devices: Devices) -> None:
    """-log softmax(C x)[y] of reals and of fakes in D's turn, of fakes in G's (Odena et al. 2017, eq. 3)."""
    terms = (Term("adversarial", 0.0), Term("classification", 2.0))
    recipe = toy(terms)
    both = Turn(("discriminator",), (*terms, Term("fake_classification", 2.0)))
    state = one_round(recipe.but(turns=(both, recipe.turns[1])), devices)
    _, shown = notes_of(state)
    before: Any = Judge((2, 1, 1), 3)

    def told(x: Tensor, labels: Tensor, tell: Tensor) -> float:
        total = 0.0
        for image, label in zip(x.flatten(1), labels, strict=True):
            scores = [math.exp(float(row @ image)) for row in tell]
            total -= math.log(scores[int(label)] / sum(scores))
        return total / len(x)

    tell = before.tell.detach()
    real, fake, later = shown
    means = state.notes.means()
    assert means["discriminator/classification"] == pytest.approx(told(*real, tell), rel=1e-5)
    assert means["discriminator/fake_classification"] == pytest.approx(told(*fake, tell), rel=1e-5)
    after: Any = state.players["discriminator"].network
    assert means["generator/classification"] == pytest.approx(told(*later, after.tell.detach()), rel=1e-5)
    leaf = before.tell.detach().clone().requires_grad_()
    loss = sum(nn.functional.cross_entropy(x.flatten(1) @ leaf.t(), labels) for x, labels in (real, fake))
    (slope,) = torch.autograd.grad(loss, leaf)  # type: ignore[arg-type]
    torch.testing.assert_close(after.tell.detach(), tell - 0.1 * 2.0 * slope)


def test_penalties_judge_under_the_labels_of_their_side() -> None:
    heard: list[Tensor] = []

    def judge(images: Tensor, labels: Tensor) -> Tensor:
        heard.append(labels)
        return images.sum((1, 2, 3))

    images, labels = torch.randn(4, 1, 2, 2), torch.tensor([0, 1, 2, 0])
    inputs = PenaltyInputs(judge, images, images, images[:, 0, 0, 0], images[:, 0, 0, 0], labels, labels.flip(0))
    inputs.judge(images[:3], "real")
    inputs.judge(images, "fake")
    assert [told.tolist() for told in heard] == [[0, 1, 2], [0, 2, 1, 0]]


WORDS = [
    "cgan+penalty=r1:1+penalty=r2:1",
    "cgan+penalty=wgan_gp:1+penalty=dragan:1",
    "cgan+penalty=consistency:1+penalty=lecam:0.1",
    "cgan+loss=relativistic_pairing",
    "cgan+loss=relativistic_average",
    "cgan+unroll=2",
    "cgan+augment=ada",
    "cgan+modify=discriminate_minibatch",
    "acgan+modify=minibatch_deviation",
    "acgan+network=resnet+balance=classes",
    "quick+labels=projection",
    "r3gan+labels=concat+accumulate=2",
    "sngan+network=biggan+labels=classes",
    "feature_matching+labels=projection",
    "biggan+freeze=2+accumulate=4",
    "cgan+network=mirza",
    "biggan+network=dcgan",
    "acgan+network=mirza",
    "gan+labels=concat+unroll=1+freeze=1",
    "projection_gan+network=mirza",
]


@pytest.mark.filterwarnings("ignore::sparring.recipe.RecipeWarning")
@pytest.mark.parametrize("word", WORDS)
def test_labels_go_with_everything(word: str, devices: Devices) -> None:
    bound = recipe_named(word, width=4, batch=8).bind((1, 16, 16), 3, 96, 1000)
    state = play(bound, 2, devices)
    assert state.not_finite() is None
    judge = state.players["discriminator"].network.eval()
    x = torch.randn(1, 1, 16, 16).expand(2, -1, -1, -1)
    heard = judge(x, torch.tensor([0, 1]))
    assert heard.class_logits is not None or heard.per_image[0] != heard.per_image[1]
    generator = state.players["generator"].shown()
    z = torch.randn(1, generator.z_dim).expand(2, -1)  # type: ignore[arg-type]
    one, two = generator(z, torch.tensor([0, 1]))
    assert not torch.equal(one, two)


WRONG = {
    "cgan+packing=2": "the images of a pack have one label each",
    "cgan+labels=projection": "cgan has labels already",
    "dcgan+labels=onehot": "there is no way to tell labels 'onehot'",
    "quick+labels=concat+loss=hinge+freeze=9": "9 layers cannot be frozen; this discriminator takes 1 to",
    "dcgan+accumulate=0": "a batch in 0 parts cannot be",
}


@pytest.mark.parametrize("word", WRONG)
def test_what_labels_do_not_go_with(word: str) -> None:
    with pytest.raises(UsageError, match=WRONG[word]):
        recipe_named(word).bind((1, 16, 16), 3, 96, 1000)


def test_data_without_classes_are_refused() -> None:
    with pytest.raises(UsageError, match="this recipe needs classes, and the data have none"):
        recipes.cgan().bind((1, 16, 16), 0, 96, 1000)
    with pytest.raises(UsageError, match="balances classes, but these data have 0"):
        recipe_named("dcgan+balance=classes").bind((1, 16, 16), 0, 96, 1000)


def test_a_term_for_classes_needs_a_judge_that_tells_them(devices: Devices) -> None:
    recipe = recipes.cgan(width=4, batch=8).but(
        turns=tuple(Turn((name,), (Term("classification"),)) for name in PLAYERS)
    )
    with pytest.raises(UsageError, match="tells no classes apart"):
        play(recipe.bind((1, 16, 16), 3, 96, 1000), 1, devices)


TURNS = {
    ("generator",): "fake_classification",
    ("discriminator",): "feature_matching",
    ("discriminator", "generator"): "classification",
}


@pytest.mark.parametrize("players", TURNS)
def test_terms_belong_to_their_turn(players: tuple[str, ...], devices: Devices) -> None:
    recipe = toy().but(turns=(Turn(players, (Term(TURNS[players]),)),))
    with pytest.raises(UsageError, match=f"a turn of {' and '.join(players)} has no term '{TURNS[players]}'"):
        one_round(recipe, devices)


def test_penalties_between_reals_and_fakes_stay_within_a_class(devices: Devices) -> None:
    """WGAN-GP mixes a fake with a real: in such turns both have the real's label."""
    between = Penalty("between", of=wgan_gp, weight=1.0)
    recipe = toy((Term("adversarial"), between)).but(turns=(Turn(("discriminator",), (Term("adversarial"), between)),))
    _, shown = notes_of(one_round(recipe, devices))
    assert torch.equal(shown[0][1], shown[1][1])
    assert torch.equal(shown[0][1], shown[2][1])


@pytest.mark.parametrize("ratio", [0.5, 2.0])
def test_so_do_they_where_d_sees_more_or_fewer_fakes_than_reals(ratio: float, devices: Devices) -> None:
    """Those that are set beside a real have its label; the others have labels of their own."""
    between = Penalty("between", of=wgan_gp, weight=1.0)
    recipe = toy((Term("adversarial"),), fakes_per_real=ratio)
    recipe = recipe.but(turns=(Turn(("discriminator",), (Term("adversarial"), between)), recipe.turns[1]))
    players = one_round(recipe, devices).players
    asked = players["generator"].network.asked[0]  # type: ignore[index, union-attr]
    told = players["discriminator"].network.shown[0][1]  # type: ignore[index, union-attr]
    assert (len(asked), len(told)) == (round(6 * ratio), 6)
    pairs = min(len(asked), len(told))
    assert torch.equal(asked[:pairs], told[:pairs])  # type: ignore[index]


def test_a_judge_that_hears_no_labels_is_refused() -> None:
    deaf = partial(dcgan.Discriminator, width=4)
    with pytest.raises(UsageError, match="makes a D that takes no labels"):
        recipes.cgan(width=4).playing(discriminator=deaf).bind((1, 16, 16), 3, 96, 1000)


def test_every_part_of_every_process_has_labels_of_its_own(devices: Devices) -> None:
    """Two processes with two parts each: together the labels, z and reals of one process with one part."""

    def drawn(world: int, parts: int) -> list[Tensor]:
        loader = noise_loader((1, 8, 8))
        recipe = recipe_named("gan+labels=concat", width=4, batch=8).but(accumulate=parts)
        bound = recipe.bind((1, 8, 8), 3, 96, 1000)
        state = State(bound, seed=0, device=devices.device)
        found: list[list[Tensor]] = [[], [], []]
        for part in range(parts):
            for rank in range(world):
                place = copy.copy(devices)
                place.world, place.rank = world, rank
                draw = _Batch(_Context(bound, loader, place, state, 8, 0, "generator"), recipe.turns[1], 0, part, parts)
                pieces = draw.fake_labels(draw.size), draw.z(draw.size, 3), draw.real
                for kept, piece in zip(found, pieces, strict=True):
                    kept.append(piece)
        return [torch.cat(pieces) for pieces in found]

    for one, two in zip(drawn(1, 1), drawn(2, 2), strict=True):
        assert torch.equal(one, two)


def test_batches_on_a_schedule_split_into_parts(devices: Devices) -> None:
    recipe = recipe_named("gan+accumulate=4", width=4, batch=8).but(batch=Linear(8, 16, over=60))
    state = play(recipe.bind((1, 8, 8), 0, 96, 1000), 6, devices)
    assert state.seen % 4 == 0


def test_frozen_layers_stay_and_the_others_learn(devices: Devices) -> None:
    bound = recipe_named("dcgan+freeze=1", width=4, batch=8).bind((1, 16, 16), 0, 96, 1000)
    before = {
        k: t.clone()
        for k, t in State(bound, seed=3, device=devices.device).players["discriminator"].network.state_dict().items()
    }
    after = play(bound, 3, devices).players["discriminator"].network.state_dict()
    moved = {key for key, tensor in after.items() if not torch.equal(tensor, before[key])}
    assert "layers.0.0.weight" not in moved
    assert {"layers.1.0.weight", "head.weight"} <= moved


def test_parts_of_a_batch_are_the_batch(devices: Devices) -> None:
    """Without batch statistics four parts give the step of the whole: the same reals, z and labels."""
    whole, parts = (
        play(recipe_named(word, width=8, batch=8).bind((1, 8, 8), 3, 96, 1000), 3, devices)
        for word in ("gan+labels=concat+penalty=r1:1", "gan+labels=concat+penalty=r1:1+accumulate=4")
    )
    assert (whole.drawn, whole.seen) == (parts.drawn, parts.seen)
    for name, player in whole.players.items():
        other = parts.players[name].network.state_dict()
        for key, tensor in player.network.state_dict().items():
            torch.testing.assert_close(other[key], tensor, rtol=1e-4, atol=1e-6)
    one, two = whole.notes.means(), parts.notes.means()
    for key in ("discriminator/adversarial", "generator/adversarial", "discriminator/r1"):
        assert two[key] == pytest.approx(one[key], rel=1e-4)


def test_a_batch_that_does_not_split_into_parts(devices: Devices) -> None:
    with pytest.raises(UsageError, match="batch 8 does not split over 3 parts of 1 processes; use 6 or 9"):
        play(recipe_named("gan+accumulate=3", width=8, batch=8).bind((1, 8, 8), 0, 96, 1000), 1, devices)
