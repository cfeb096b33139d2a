"""Games whose players make images of images: every term by hand, pools, phases, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from image_games import Drawn, Patches, noise, played
from sparring import recipes
from sparring.chance import generator
from sparring.errors import ShapeError, UsageError
from sparring.games.cycle import CycleGame
from sparring.games.paired import PairedGame
from sparring.games.pool import Pool
from sparring.games.questions import Halves, Shrunken, shrunken
from sparring.games.views import Pieces
from sparring.networks.layers import Verdict
from sparring.objectives.losses import hinge, least_squares, non_saturating, relativistic_average
from sparring.objectives.penalties import consistency, drift, r1, r2
from sparring.recipe import Penalty, Recipe, Term, Turn


class Scale(nn.Module):
    """y = a x."""

    def __init__(self, shape: tuple[int, int, int], factor: float = 0.5) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


def softplus(x: Tensor) -> Tensor:
    return torch.log1p(x.exp())


def test_pairs_by_hand() -> None:
    """Isola et al. 2017, eq. 1 to 4, of every patch: log-likelihoods are taken before they are averaged."""
    game = PairedGame(generator=Scale, discriminator=Patches, loss=non_saturating, question=Halves())
    players = game.build((2, 4, 4), 0)
    pairs = noise(3, 2, 4, 4)
    x, y = pairs[:, :1], pairs[:, 1:]
    values, lent = played(game, Turn(("discriminator",)), Drawn(pairs), players)
    real, fake = 0.7 * (x + y), 0.7 * (x + 0.5 * x)
    assert values["adversarial"].item() == pytest.approx((softplus(-real) + softplus(fake)).mean().item(), rel=1e-6)
    assert lent.noted["real_logit"].item() == pytest.approx(real.mean().item(), abs=1e-6)
    assert 0 <= lent.noted["right"] <= 1
    turn = Turn(("generator",), (Term("adversarial"), Term("absolute", 100.0)))
    values, _ = played(game, turn, Drawn(pairs), players)
    assert values["adversarial"].item() == pytest.approx(softplus(-fake).mean().item(), rel=1e-6)
    assert values["absolute"].item() == pytest.approx((0.5 * x - y).abs().mean().item(), rel=1e-6)
    values["absolute"].backward()
    assert players["generator"].factor.grad != 0


class Squares(Patches):
    """Logits of every pixel: w times the squared sum of its channels."""

    def forward(self, x: Tensor) -> Verdict:
        return Verdict(self.weight * x.sum(1, keepdim=True).square())


def test_penalties_of_answers_by_hand() -> None:
    """D says 0.7 (x + y)^2 of the answer y to x, the mean over 16 places, whose slope at each is 1.4 (x + y) / 16."""
    game = PairedGame(generator=Scale, discriminator=Squares, loss=hinge, question=Halves())
    players = game.build((2, 4, 4), 0)
    pairs = noise(3, 2, 4, 4)
    real, fake = pairs[:, 0] + pairs[:, 1], 1.5 * pairs[:, 0]  # G(x) = x / 2
    terms = (Penalty("drift", drift, 1.0), Penalty("r1", r1, 1.0), Penalty("r2", r2, 1.0))
    values, _ = played(game, Turn(("discriminator",), terms), Drawn(pairs), players)
    assert values["drift"].item() == pytest.approx((0.7 * real.square()).mean((1, 2)).square().mean().item(), rel=1e-5)
    for name, sums in (("r1", real), ("r2", fake)):
        expected = (1.4 * sums / 16).square().sum((1, 2)).mean() / 2
        assert values[name].item() == pytest.approx(expected.item(), rel=1e-5), name


def test_answers_are_not_moved_away_from_their_questions() -> None:
    """A judge of how well both fit would be taught that any place will do."""
    turn = Turn(("discriminator",), (Term("adversarial"), Penalty("moved", consistency, 1.0)))
    game = PairedGame(generator=Scale, discriminator=Patches, loss=hinge, question=Halves())
    with pytest.raises(UsageError, match="moved moves answers away from the questions beside them; leave it out"):
        played(game, turn, Drawn(noise(2, 2, 4, 4)), game.build((2, 4, 4), 0))


def test_a_turn_is_about_pieces_and_a_task_about_all_of_the_reals() -> None:
    game = PairedGame(
        generator=Scale, discriminator=Patches, loss=non_saturating, question=Halves(), pieces=Pieces(3, turned=True)
    )
    players = game.build((2, 5, 8), 0)
    pairs = noise(4, 2, 5, 8)
    turn = Turn(("generator",), (Term("absolute"),))
    values, _ = played(game, turn, Drawn(pairs), players)
    given, wanted = Halves()(Pieces(3, turned=True)(pairs, Drawn(pairs).z))
    assert wanted.shape == (4, 1, 3, 3)
    assert values["absolute"].item() == pytest.approx((0.5 * given - wanted).abs().mean().item(), rel=1e-6)
    assert game.task(pairs, None).wanted.shape == (4, 1, 5, 8)


def test_direction_turns_pairs_round() -> None:
    pairs = noise(2, 6, 4, 4)
    assert torch.equal(Halves("BtoA")(pairs)[0], pairs[:, 3:])
    assert torch.equal(Halves("BtoA")(pairs)[1], pairs[:, :3])
    with pytest.raises(UsageError, match="give AtoB or BtoA"):
        Halves("there")  # type: ignore[arg-type]


def test_larger_images_by_hand() -> None:
    """Wang et al. 2018, eq. 1: relative to the mean of the other side, of the same patch; D sees answers alone."""
    game = PairedGame(
        generator=lambda shape: nn.Upsample(scale_factor=2), discriminator=Patches, loss=relativistic_average,
        question=Shrunken(2), shown_given=False,
    )  # fmt: skip
    players = game.build((1, 4, 4), 0)
    images = noise(3, 1, 4, 4)
    given = shrunken(images, 2)
    assert given.shape == (3, 1, 2, 2)
    made = nn.Upsample(scale_factor=2)(given)
    real, fake = 0.7 * images, 0.7 * made
    values, _ = played(game, Turn(("discriminator",)), Drawn(images), players)
    expected = (softplus(-(real - fake.mean(0))) + softplus(fake - real.mean(0))).mean()
    assert values["adversarial"].item() == pytest.approx(expected.item(), rel=1e-6)
    values, _ = played(game, Turn(("generator",)), Drawn(images), players)
    expected = (softplus(-(fake - real.mean(0))) + softplus(real - fake.mean(0))).mean()
    assert values["adversarial"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_shrunken_images_are_those_of_a_file() -> None:
    """Every value is one of 256; a constant stays; sizes that do not divide are refused with their neighbours."""
    small = shrunken(noise(2, 3, 8, 12), 4)
    assert small.shape == (2, 3, 2, 3)
    steps = small.add(1).mul(127.5)
    assert (steps - steps.round()).abs().max() < 1e-4
    assert small.abs().max() <= 1
    assert torch.allclose(shrunken(torch.full((1, 1, 8, 8), 1.0), 4), torch.ones(1, 1, 2, 2))
    with pytest.raises(ShapeError, match=r"10x8 pixels are not multiples of 4.*8x8 and 12x8"):
        Shrunken(4).shapes((3, 10, 8))


def test_there_and_back_by_hand() -> None:
    """Zhu et al. 2017, eq. 1 to 3, and the identity loss of section 5.2, both ways."""
    game = CycleGame(translator=Scale, judge=Patches, loss=least_squares, pool=0)
    players = game.build((1, 4, 4), 2)
    players["b_to_a"].factor.data.fill_(3.0)
    players["judge_b"].weight.data.fill_(-0.2)
    images, labels = noise(4, 1, 4, 4), torch.tensor([1, 0, 0, 1])
    a, b = images[[1, 2]], images[[0, 3]]
    both = ("a_to_b", "b_to_a")
    turn = Turn(both, (Term("adversarial"), Term("cycle"), Term("identity")))
    values, _ = played(game, turn, Drawn(images, labels), players)
    fooled = ((-0.2 * 0.5 * a - 1).square() / 2).mean() + ((0.7 * 3 * b - 1).square() / 2).mean()
    assert values["adversarial"].item() == pytest.approx(fooled.item(), rel=1e-5)
    cycle = (3 * 0.5 * a - a).abs().mean() + (0.5 * 3 * b - b).abs().mean()
    assert values["cycle"].item() == pytest.approx(cycle.item(), rel=1e-5)
    identity = (3 * a - a).abs().mean() + (0.5 * b - b).abs().mean()
    assert values["identity"].item() == pytest.approx(identity.item(), rel=1e-5)
    other = Drawn(noise(4, 1, 4, 4, name="other"), labels)
    values, _ = played(game, Turn(("judge_a", "judge_b")), other, players)  # judges see the translators' own batch
    real = (0.7 * a - 1).square().mean() / 2 + (-0.2 * b - 1).square().mean() / 2
    fake = (0.7 * 3 * b).square().mean() / 2 + (-0.2 * 0.5 * a).square().mean() / 2
    assert values["adversarial"].item() == pytest.approx((real + fake).item(), rel=1e-5)
    values, _ = played(game, Turn(("judge_a", "judge_b")), other, players)  # and a batch of their own afterwards
    assert values["adversarial"].item() != pytest.approx((real + fake).item(), rel=1e-3)


def test_both_kinds_are_shown_in_pieces() -> None:
    """Translators, pools and judges have the size of a piece; an image of a task is whole."""
    pieces = Pieces(3)
    game = CycleGame(translator=Scale, judge=Patches, loss=least_squares, pool=2, pieces=pieces)
    players = game.build((1, 5, 6), 2)
    images, labels = noise(4, 1, 5, 6), torch.tensor([0, 0, 1, 1])
    batch = Drawn(images, labels)
    values, _ = played(game, Turn(("a_to_b", "b_to_a"), (Term("identity"),)), batch, players)
    shown = pieces(images, Drawn(images).z)
    identity = (0.5 * shown[:2] - shown[:2]).abs().mean() + (0.5 * shown[2:] - shown[2:]).abs().mean()
    assert values["identity"].item() == pytest.approx(identity.item(), rel=1e-6)
    played(game, Turn(("judge_a", "judge_b")), batch, players)
    torch.testing.assert_close(game.state["pool_b.images"], 0.5 * shown[:2])
    assert game.task(images, labels).given.shape == (2, 1, 5, 6)


@pytest.mark.parametrize("recipe", [recipes.pix2pix, recipes.cyclegan])
def test_jitter_stretches_what_is_shown(recipe: Callable[..., Recipe]) -> None:
    assert recipe().game().pieces == Pieces()  # type: ignore[attr-defined]
    assert recipe(jitter=1.117).game().pieces == Pieces(stretch=1.117)  # type: ignore[attr-defined]


def test_each_judge_has_a_pool_of_its_own_kind() -> None:
    """Pools of one image fill in the first turn; draws of 1 show what they hold in the second, and keep the new."""
    game = CycleGame(translator=Scale, judge=Patches, loss=least_squares, pool=1)
    players = game.build((1, 4, 4), 2)
    players["b_to_a"].factor.data.fill_(3.0)
    labels = torch.tensor([0, 1])
    first, second = (Drawn(noise(2, 1, 4, 4, name=name), labels) for name in ("first", "second"))
    second.z = lambda n, dim, kind: torch.ones(n, dim)
    judges = Turn(("judge_a", "judge_b"))
    played(game, judges, first, players)
    old_a, old_b = 3 * first.real[1:], 0.5 * first.real[:1]
    torch.testing.assert_close(game.state["pool_a.images"], old_a)
    torch.testing.assert_close(game.state["pool_b.images"], old_b)
    values, _ = played(game, judges, second, players)
    expected = (0.7 * second.real[:1] - 1).square().mean() + (0.7 * old_a).square().mean()
    expected += (0.7 * second.real[1:] - 1).square().mean() + (0.7 * old_b).square().mean()
    assert values["adversarial"].item() == pytest.approx(expected.item() / 2, rel=1e-5)
    torch.testing.assert_close(game.state["pool_a.images"], 3 * second.real[1:])
    torch.testing.assert_close(game.state["pool_b.images"], 0.5 * second.real[:1])


def test_two_kinds_or_a_sentence() -> None:
    game = CycleGame(translator=Scale, judge=Patches, loss=least_squares)
    for classes in (0, 1, 3):
        with pytest.raises(UsageError, match="give two folders, A and B"):
            game.build((1, 4, 4), classes)
    players = game.build((1, 4, 4), 2)
    with pytest.raises(UsageError, match="does not split into both kinds"):
        played(game, Turn(("a_to_b", "b_to_a")), Drawn(noise(3, 1, 4, 4), torch.tensor([0, 1, 0])), players)
    for look in (game.task, partial(game.exhibit, players)):
        with pytest.raises(UsageError, match="these 3 images are all of one kind; give some of both"):
            look(noise(3, 1, 4, 4), torch.ones(3, dtype=torch.int64))


def test_a_pool_fills_and_then_gives_back_half_of_the_time() -> None:
    """Every image that is shown came in; after the pool is full, about half of those shown are older ones."""
    pool = Pool(5, (1, 1, 1))
    held, older, shown = pool.begin(), 0, []
    for number in range(400):
        draw = torch.rand(1, 2, generator=generator("pool", number)) * 2 - 1
        out = pool.exchange(held, torch.full((1, 1, 1, 1), float(number)), draw)
        shown.append(int(out))
        older += int(out) != number
        assert int(held["count"]) == min(number + 1, 5)
    assert shown[:5] == list(range(5))
    assert all(value <= number for number, value in enumerate(shown))
    assert 160 < older < 235  # 197.5 expected of 395, deviation 10
    assert sorted(held["images"].flatten().tolist()) == sorted({*held["images"].flatten().tolist()})


def test_unknown_terms_are_named() -> None:
    game = PairedGame(generator=Scale, discriminator=Patches, loss=non_saturating, question=Halves())
    players = game.build((2, 4, 4), 0)
    with pytest.raises(UsageError, match="has no term 'cycle'; it has absolute, adversarial, perceptual"):
        played(game, Turn(("generator",), (Term("cycle"),)), Drawn(noise(2, 2, 4, 4)), players)
    with pytest.raises(UsageError, match="needs a feature network"):
        played(game, Turn(("generator",), (Term("perceptual"),)), Drawn(noise(2, 2, 4, 4)), players)
    with pytest.raises(UsageError, match="needs pairs of images"):
        game.build((3, 4, 4), 0)


def test_columns_are_what_their_titles_say() -> None:
    players = {"a_to_b": Adds(10), "b_to_a": Adds(20), "generator": Adds(30)}
    images = torch.tensor([1.0, 2.0]).view(2, 1, 1, 1)
    game = CycleGame(translator=nn.Identity, judge=nn.Identity, loss=least_squares)
    found = game.exhibit(players, images, torch.tensor([0, 1]))
    assert {title: column.item() for title, column in found.items()} == {"A": 1, "A to B": 11, "B": 2, "B to A": 22}
    paired = PairedGame(generator=nn.Identity, discriminator=nn.Identity, loss=least_squares, question=Halves())
    found = paired.exhibit(players, images.view(1, 2, 1, 1), None)
    assert {title: column.item() for title, column in found.items()} == {"given": 1, "made": 31, "wanted": 2}


class Adds(nn.Module):
    """Images, and a number."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def forward(self, x: Tensor) -> Tensor:
        return x + self.number
