"""The game's own rules: packs, simultaneous play, feature matching, augmentation, looking ahead."""

from __future__ import annotations

import copy
import itertools
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import softplus

from conftest import noise_loader
from sparring import recipes
from sparring.augment.augmentation import Adaptive, Augmentation
from sparring.augment.diffaugment import diffaugment
from sparring.augment.noise import instance_noise
from sparring.engine.devices import Devices
from sparring.engine.rounds import rounds
from sparring.engine.state import State
from sparring.errors import UsageError
from sparring.games.two_player import TwoPlayerGame
from sparring.networks.layers import Verdict
from sparring.objectives.losses import least_squares, relativistic_pairing, wasserstein
from sparring.objectives.paths import path_length
from sparring.objectives.penalties import drift, r1
from sparring.recipe import Optim, Penalty, Recipe, RecipeWarning, Term, Turn
from sparring.recipes.spelling import recipe_named
from test_contracts import play


def fitted(recipe: Recipe, shape: tuple[int, int, int] = (1, 8, 8)) -> Any:
    return recipe.bind(shape, 0, 96, 1000)


def plain(**changes: Any) -> Recipe:
    """Perceptrons and plain gradient steps."""
    recipe = recipes.gan(width=8, batch=8).playing(**changes)
    return recipe.but(optims={name: Optim(kind="sgd", rate=0.1) for name in ("generator", "discriminator")}, emas={})


def test_d_sees_packs_of_neighbours(devices: Devices) -> None:
    """Packs of two: D has twice the channels and judges the images 0 and 1, 2 and 3, ... together."""
    bound = fitted(plain(packing=2))
    state = State(bound, seed=0, device=devices.device)
    shown: list[Tensor] = []
    state.players["discriminator"].network.register_forward_pre_hook(lambda module, args: shown.append(args[0].clone()))
    loader = noise_loader((1, 8, 8))
    next(rounds(bound, loader, state=state, devices=devices))
    assert [tuple(images.shape) for images in shown] == [(4, 2, 8, 8)] * 3  # reals, fakes, and G's fakes
    reals, _ = loader.draw(0, 8, slice(0, 8))
    assert torch.equal(shown[0][1, 1], reals[3, 0].float() / 127.5 - 1)


def test_a_batch_that_does_not_split_is_refused(devices: Devices) -> None:
    with pytest.raises(UsageError, match="a batch of 8 does not split into packs of 3; use 6 or 9"):
        play(fitted(plain(packing=3)), 1, devices)


def test_both_at_once_is_each_against_the_other_as_it_was(devices: Devices) -> None:
    """One turn of both players against gradients taken apart, before anybody moved."""
    bound = fitted(plain().but(turns=(Turn(("discriminator", "generator")),)))
    state = State(bound, seed=0, device=devices.device)
    generator, discriminator = (state.players[name].network for name in ("generator", "discriminator"))
    before = {
        name: {k: p.detach().clone() for k, p in net.named_parameters()}
        for name, net in (("g", generator), ("d", discriminator))
    }
    seen: list[Tensor] = []
    hook = generator.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach().clone()))
    next(rounds(bound, noise_loader((1, 8, 8)), state=state, devices=devices))
    hook.remove()
    after = {
        name: {k: p.detach().clone() for k, p in net.named_parameters()}
        for name, net in (("g", generator), ("d", discriminator))
    }
    with torch.no_grad():
        for name, net in (("g", generator), ("d", discriminator)):
            for key, parameter in net.named_parameters():
                parameter.copy_(before[name][key])
                parameter.requires_grad_()
    real = noise_loader((1, 8, 8)).draw(0, 8, slice(0, 8))[0].float() / 127.5 - 1
    fake = generator(seen[0])
    theirs = (softplus(-discriminator(real).per_image) + softplus(discriminator(fake.detach()).per_image)).mean()
    mine = softplus(-discriminator(fake).per_image).mean()
    for net, loss, name in ((discriminator, theirs, "d"), (generator, mine, "g")):
        named = dict(net.named_parameters())
        for (key, old), gradient in zip(
            named.items(), torch.autograd.grad(loss, list(named.values()), retain_graph=True), strict=True
        ):
            torch.testing.assert_close(after[name][key], old.detach() - 0.1 * gradient)


@pytest.mark.parametrize(
    ("word", "sizes"), [("quick", [16]), ("quick+network=progan", [8, 8]), ("r3gan+network=stylegan2", [8, 8])]
)
def test_d_that_looks_around_sees_reals_and_fakes_apart(word: str, sizes: list[int], devices: Devices) -> None:
    """ProGAN's and StyleGAN2's D compare the images of a group, which are to be all real or all fake."""
    bound = fitted(recipe_named(word, width=8, batch=8))
    state = State(bound, seed=0, device=devices.device)
    shown: list[int] = []
    judge = state.players["discriminator"].network
    judge.register_forward_pre_hook(lambda module, args: shown.append(len(args[0])))
    next(rounds(bound, noise_loader((1, 8, 8)), state=state, devices=devices))
    assert shown[: len(sizes)] == sizes


def test_who_moves_at_once_does_nothing_else(devices: Devices) -> None:
    both = (Turn(("discriminator", "generator")),)
    with pytest.raises(UsageError, match="players that move at once cannot look ahead"):
        play(fitted(plain(unroll=2).but(turns=both)), 1, devices)
    lengths = (Turn(("discriminator", "generator"), (Term("adversarial"), Penalty("lengths", path_length, 2.0))),)
    with pytest.raises(UsageError, match="D sees no latents; take turns"):
        play(fitted(plain().but(turns=lengths)), 1, devices)


def test_penalties_of_both_players_keep_their_own_state(devices: Devices) -> None:
    """The same penalty in both turns: after two rounds each has the running mean of its own player's weights."""
    word = "gan+penalty=historical_averaging:0.1+generator_penalty=historical_averaging:0.1"
    state = play(fitted(recipe_named(word, width=8, batch=8)), 3, devices)
    means = state.notes.means()
    assert means["discriminator/historical_averaging"] > 0
    assert means["generator/historical_averaging"] > 0
    assert set(state.penalties) == {"discriminator/historical_averaging", "generator/historical_averaging"}


@pytest.mark.parametrize(
    "word", ["gan+penalty=path_length:2", "quick+generator_penalty=r1:1", "gan+generator_penalty=lecam:1"]
)
def test_penalties_belong_into_a_turn(word: str) -> None:
    with pytest.raises(UsageError, match=r"belongs into the (generator|discriminator)'s turn"):
        recipe_named(word).bind((1, 16, 16), 0, 96, 1000)


def test_path_lengths_of_a_generator_whose_fakes_are_shared(devices: Devices) -> None:
    """quick's G turn goes on from D's fakes, whose latents are gone: with path lengths it makes fakes of its own."""
    with pytest.warns(RecipeWarning, match="the generator has batch norm"):
        bound = recipe_named("quick+generator_penalty=path_length:2:2", width=8, batch=8).bind((1, 8, 8), 0, 96, 1000)
    assert play(bound, 3, devices).notes.means()["generator/path_length"] > 0


def test_spectral_norm_and_penalties_build_d_without_batch_norm() -> None:
    for word in ("sngan+network=dcgan", "gan+network=dcgan+penalty=r1:10", "gan+modify=spectral_norm+network=metz"):
        discriminator = (
            recipe_named(word).bind((1, 16, 16), 0, 96, 1000).recipe.game().build((1, 16, 16), 0)["discriminator"]
        )
        assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in discriminator.modules()), word


def test_feature_matching_by_hand(devices: Devices) -> None:
    """|mean f(x) - mean f(G(z))|^2 of D's last inner layer, as the round before any step reports it."""
    bound = fitted(plain().but(turns=(Turn(("generator",), (Term("feature_matching"),)),)))
    state = State(bound, seed=0, device=devices.device)
    inner: list[Tensor] = []
    discriminator: Any = state.players["discriminator"].network
    discriminator.layers[-1].register_forward_hook(lambda module, args, out: inner.append(out.detach().clone()))
    next(rounds(bound, noise_loader((1, 8, 8)), state=state, devices=devices))
    expected = (inner[0].mean(0) - inner[1].mean(0)).square().sum()
    assert state.notes.means()["generator/feature_matching"] == pytest.approx(float(expected), rel=1e-6)


def test_terms_that_do_not_exist_are_named(devices: Devices) -> None:
    with pytest.raises(UsageError, match="no term 'cycle'; it has adversarial, classification, feature_matching"):
        play(fitted(plain().but(turns=(Turn(("generator",), (Term("cycle"),)),))), 1, devices)


def test_zero_strength_is_no_augmentation(devices: Devices) -> None:
    """The same weights as without: draws for augmentation take nothing from those of z."""
    augment = Augmentation(diffaugment, 0.0)
    with_it, without = (play(fitted(plain(augment=a), (3, 8, 8)), 3, devices).tensors() for a in (augment, None))
    names = [name for name in without if ".weights." in name]
    assert len(names) > 8
    for name in names:
        torch.testing.assert_close(with_it[name], without[name], rtol=1e-6, atol=1e-7)


def test_the_controller_hears_d(devices: Devices) -> None:
    """ADA's strength moves once in four rounds, and is reported."""
    recipe = plain(augment=Augmentation(diffaugment, Adaptive(over=160.0, target=0.01)))
    state = play(fitted(recipe, (3, 8, 8)), 9, devices)
    moved = float(state.game.state["strength"]) / 0.2  # 8 images x 4 rounds / 160 at a time
    assert moved == pytest.approx(round(moved), abs=1e-5)
    assert 0 <= state.notes.means()["augmentation"] <= 1
    assert int(state.game.state["rounds"]) == 1  # nine rounds: two decisions and one more


class Black(nn.Module):
    """G makes black images of everything."""

    z_dim, z_kind = 2, "normal"

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.tensor(-1.0))

    def forward(self, z: Tensor) -> Tensor:
        return self.level.expand(len(z), 1, 8, 8)


class Decided(nn.Module):
    """D gives reals, which are noise, the one logit and black images the other; it learns nothing."""

    def __init__(self, shape: tuple[int, int, int], classes: int, *, real: float, fake: float) -> None:
        super().__init__()
        self.real, self.fake, self.weight = real, fake, nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor) -> Verdict:
        black = (images == -1).flatten(1).all(1)
        return Verdict(torch.where(black, self.fake, self.real) + 0 * self.weight)


@pytest.mark.parametrize(("real", "fake", "strength"), [(0.75, 0.25, 0.24), (0.25, 0.75, 0.0)])
def test_the_strength_rises_where_d_knows_the_reals(
    real: float, fake: float, strength: float, devices: Devices
) -> None:
    """The logits of least squares are divided at 1/2; three rounds of 8 images are 24 of the 100 from 0 to 1."""
    recipe = plain(
        generator=Black, discriminator=partial(Decided, real=real, fake=fake), loss=least_squares,
        augment=Augmentation(lambda images, strength, draw: images, Adaptive(over=100.0, every=1)),
    )  # fmt: skip
    state = play(fitted(recipe.but(turns=(Turn(("discriminator",)),))), 3, devices)
    assert float(state.game.state["strength"]) == pytest.approx(strength)


def test_images_of_a_pack_are_augmented_one_by_one(devices: Devices) -> None:
    """Eight reals in packs of two, each brighter by a draw of its own."""
    sizes: list[tuple[int, ...]] = []

    def brighter(images: Tensor, strength: Tensor, draw: Any) -> Tensor:
        sizes.append(tuple(images.shape))
        return images + draw(len(images), 1, "normal").view(-1, 1, 1, 1)

    bound = fitted(plain(packing=2, augment=Augmentation(brighter)), (3, 8, 8))
    state = State(bound, seed=0, device=devices.device)
    shown: list[Tensor] = []
    state.players["discriminator"].network.register_forward_pre_hook(lambda module, args: shown.append(args[0].clone()))
    next(rounds(bound, noise_loader((3, 8, 8)), state=state, devices=devices))
    assert sizes == [(8, 3, 8, 8)] * 3  # reals, fakes, and G's fakes
    assert [tuple(packs.shape) for packs in shown] == [(4, 6, 8, 8)] * 3
    reals = noise_loader((3, 8, 8)).draw(0, 8, slice(0, 8))[0].float() / 127.5 - 1
    brighter_by = (shown[0].detach().view(8, -1) - reals.view(8, -1)).mean(1)
    torch.testing.assert_close(shown[0].detach().view(8, -1), reals.view(8, -1) + brighter_by[:, None])
    assert len(brighter_by.round(decimals=3).unique()) == 8


def test_logits_without_an_origin_cannot_lead_a_controller() -> None:
    with pytest.raises(UsageError, match="no origin"):
        TwoPlayerGame(
            generator=partial(int), discriminator=partial(int), loss=wasserstein,  # type: ignore[arg-type]
            augment=Augmentation(diffaugment, Adaptive(over=100.0)),
        )  # fmt: skip


def test_points_are_not_augmented_like_images() -> None:
    with pytest.raises(UsageError, match="points of the plane cannot be augmented"):
        recipe_named("gan+augment=diffaugment").bind((2, 1, 1), 0, 96, 1000)
    recipe_named("gan+augment=instance_noise:0.1").bind((2, 1, 1), 0, 96, 1000)


def test_looking_ahead_changes_what_g_does_and_not_d(devices: Devices) -> None:
    """In the first round D moves alike, whether G looks ahead or not; G does not."""
    far, near = (play(fitted(plain(unroll=k)), 1, devices).tensors() for k in (3, 0))
    for who, alike in (("discriminator", True), ("generator", False)):
        names = [name for name in near if name.startswith(f"players.{who}.weights")]
        assert all(torch.equal(far[name], near[name]) for name in names) is alike


def test_looking_ahead_of_pairs_by_hand(devices: Devices) -> None:
    """One step of D down f(D(G(z)) - D(x)), f = softplus, then G's f(D(x) - D(G(z))) under the D that has stepped."""
    only = (Turn(("generator",)),)
    bound = fitted(plain(unroll=1, loss=relativistic_pairing).but(turns=only))
    state = State(bound, seed=0, device=devices.device)
    generator, judge = (copy.deepcopy(state.players[name].network) for name in ("generator", "discriminator"))
    drawn: list[Tensor] = []
    shown: list[Tensor] = []
    for name, calls in (("generator", drawn), ("discriminator", shown)):
        network = state.players[name].network
        network.register_forward_pre_hook(lambda module, args, calls=calls: calls.append(args[0].detach().clone()))
    next(rounds(bound, noise_loader((1, 8, 8)), state=state, devices=devices))
    fake, real = generator(drawn[0]), shown[0]
    names, weights = zip(*judge.named_parameters(), strict=True)
    gap = judge(fake).per_image - judge(real).per_image
    slopes = torch.autograd.grad(softplus(gap).mean(), weights, create_graph=True)
    ahead = {name: weight - 0.1 * slope for name, weight, slope in zip(names, weights, slopes, strict=True)}
    on_fake, on_real = (functional_call(judge, ahead, (images,)).per_image for images in (fake, real))
    expected = torch.autograd.grad(softplus(on_real - on_fake).mean(), list(generator.parameters()))
    moved = state.players["generator"].network.parameters()
    for weight, slope, new in zip(generator.parameters(), expected, moved, strict=True):
        torch.testing.assert_close(new, weight - 0.1 * slope, rtol=1e-5, atol=1e-7)


def test_batch_norm_under_a_penalty_of_single_images_is_warned_of() -> None:
    with pytest.warns(RecipeWarning, match="the discriminator has batch norm, so r1 cannot mean"):
        recipe_named("dcgan+penalty=r1:10").bind((1, 16, 16), 0, 96, 1000)
    recipe_named("r3gan+network=dcgan").bind((1, 16, 16), 0, 96, 1000)  # built without batch norm, without a word


def test_batch_norm_over_spectral_norm_is_warned_of() -> None:
    with pytest.warns(RecipeWarning, match="the discriminator has batch norm, which scales anew"):
        recipe_named("dcgan+modify=spectral_norm").bind((1, 16, 16), 0, 96, 1000)
    recipe_named("sngan").bind((1, 16, 16), 0, 96, 1000)  # its generator alone has batch norm


def test_penalties_are_per_pack(devices: Devices) -> None:
    """R1 of a pack is half the squared gradient over all of its images, against autograd on D alone."""
    bound = fitted(recipe_named("gan+penalty=r1:1", width=8, batch=8).playing(packing=2))
    state = State(bound, seed=0, device=devices.device)
    judge = copy.deepcopy(state.players["discriminator"].network)
    next(rounds(bound, noise_loader((1, 8, 8)), state=state, devices=devices))
    reals = noise_loader((1, 8, 8)).draw(0, 8, slice(0, 8))[0].float() / 127.5 - 1
    packs = reals.view(4, 2, 8, 8).requires_grad_()
    (gradient,) = torch.autograd.grad(judge(packs).per_image.sum(), packs)
    expected = float(gradient.square().sum() / 2 / 4)
    assert state.notes.means()["discriminator/r1"] == pytest.approx(expected, rel=1e-5)


def test_what_is_kept_between_turns_is_not_kept_between_rounds(devices: Devices) -> None:
    """quick's G goes on from D's fakes of the same round: resuming after any round needs nothing of it."""
    bound = fitted(recipes.quick(width=8, batch=8))
    state = State(bound, seed=0, device=devices.device)
    for _ in itertools.islice(rounds(bound, noise_loader((1, 8, 8)), state=state, devices=devices), 2):
        assert state.game._kept is None  # type: ignore[attr-defined]


def test_a_turn_of_penalties_of_reals_asks_for_no_fakes(devices: Devices) -> None:
    """StyleGAN2's R1 turn: G is not called, and the step is that of weight times R1 alone."""
    smooth = Penalty("r1", of=r1, weight=3.0)
    bound = fitted(plain().but(turns=(Turn(("discriminator",), (smooth,)),)))
    state = State(bound, seed=0, device=devices.device)
    network = state.players["discriminator"].network
    asked: list[int] = []
    state.players["generator"].network.register_forward_hook(lambda *call: asked.append(1))
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    reference = copy.deepcopy(network)
    next(rounds(bound, noise_loader((1, 8, 8)), state=state, devices=devices))
    assert not asked
    real = (noise_loader((1, 8, 8)).draw(0, 8, slice(0, 8))[0].float() / 127.5 - 1).requires_grad_()
    (slope,) = torch.autograd.grad(reference(real).per_image.sum(), real, create_graph=True)
    loss = 3.0 * slope.square().flatten(1).sum(1).mean() / 2
    named = dict(reference.named_parameters())
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    for (name, _), gradient in zip(named.items(), found, strict=True):
        after = dict(network.named_parameters())[name].detach()
        torch.testing.assert_close(after, before[name] - 0.1 * (0 if gradient is None else gradient))


def test_path_lengths_of_styles_reach_the_mapping(devices: Devices) -> None:
    """The Jacobian is taken at w, but what w is made with is moved by it as well (Karras et al. 2020, section 3.2)."""
    recipe = recipes.stylegan2(width=4, most=8, z_dim=6, mapping_layers=2, batch=8)
    bound = fitted(recipe.but(turns=(recipe.turns[3],)))
    state = State(bound, seed=0, device=devices.device)
    network = state.players["generator"].network
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    next(rounds(bound, noise_loader((1, 8, 8)), state=state, devices=devices))
    moved = {name for name, p in network.named_parameters() if not torch.equal(p.detach(), before[name])}
    assert {"mapping.layers.0.weight", "start", "blocks.1.first.weight"} <= moved
    assert state.notes.means()["generator/path_length"] > 0


def test_sides_are_changed_alike_whether_d_is_asked_about_both_at_once_or_not(devices: Devices) -> None:
    """With the draws of the same images, so that several processes play what one does."""
    told = []
    for together in (True, False):
        augment = Augmentation(instance_noise, strength=0.5)
        bound = fitted(plain(augment=augment, together=together))
        state = State(bound, seed=0, device=devices.device)
        next(rounds(bound, noise_loader((1, 8, 8)), state=state, devices=devices))
        told.append(state.notes.means())
    assert told[0] == pytest.approx(told[1], rel=1e-5)


def test_several_turns_of_d_move_the_controller_as_one() -> None:
    """D is right about all of three rounds' 8 images, of which 100 move the strength by 1, in one turn or in three."""
    still = Augmentation(lambda images, strength, draw: images, Adaptive(over=100.0, every=1))
    recipe = plain(
        generator=Black, discriminator=partial(Decided, real=0.75, fake=0.25), loss=least_squares, augment=still
    )
    strengths = []
    for times in (1, 3):
        turned = recipe.but(turns=(Turn(("discriminator",), times=times),))
        strengths.append(float(play(fitted(turned), 3, Devices("cpu", threads=1)).game.state["strength"]))
    assert strengths == pytest.approx([0.24, 0.24])


def test_a_turn_of_penalties_alone_gives_no_other_term(devices: Devices) -> None:
    recipe = plain(generator=Black, discriminator=partial(Decided, real=0.75, fake=0.25), loss=least_squares)
    turned = recipe.but(turns=(Turn(("discriminator",), (Penalty("drift", drift, 1.0),)),))
    notes = play(fitted(turned), 1, devices).notes.means()
    assert "discriminator/drift" in notes
    assert "discriminator/adversarial" not in notes


class Bare(nn.Module):
    """D whose only inner layer is the image."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def features(self, images: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        return [images]

    def forward(self, images: Tensor) -> Verdict:
        return Verdict(images.flatten(1).mean(1) * self.weight)


def test_features_are_matched_of_what_d_is_shown(devices: Devices) -> None:
    """Images twice as bright have a distance of squares four times as large."""
    found = []
    for factor in (1.0, 2.0):
        brighter = Augmentation(lambda images, strength, draw, by=factor: by * images)
        recipe = plain(generator=Black, discriminator=Bare, augment=brighter)
        turned = recipe.but(turns=(Turn(("generator",), (Term("feature_matching"),)),))
        found.append(play(fitted(turned), 1, devices).notes.means()["generator/feature_matching"])
    assert found[1] == pytest.approx(4 * found[0], rel=1e-5)
