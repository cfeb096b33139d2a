"""Recipes in one word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sparring import recipes
from sparring.errors import UsageError
from sparring.networks import mlp
from sparring.objectives import losses as losses_module
from sparring.objectives.losses import AdversarialLoss
from sparring.recipe import Recipe
from sparring.recipe_file import to_json
from sparring.recipes.changes import CHANGES
from sparring.recipes.spelling import recipe_named
from sparring.schedule import value
from sparring.training import train

WRONG = {
    "dcgn": "there is no recipe 'dcgn'; did you mean 'dcgan'",
    "dcgan+wdth=3": "did you mean 'width'",
    "dcgan+width": "says nothing",
    "dcgan+width=wide": "'wide' is no value for width of dcgan; it takes int",
    "acgan+width=x": "'x' is no value for width of acgan; it takes int, none",
    "gan+batch_norm=True": "'True' is no value for batch_norm of gan; it takes true, false",
    "dcgan+loss=hinge+loss=least_squares": "loss is given twice; give it once",
    "dcgan+discriminator_rate=2+discriminator_rate=3": "discriminator_rate is given twice",
    "dcgan+upsample=bilinear": "takes transposed, nearest",
    "dcgan+loss=hing": "there is no loss 'hing'; did you mean 'hinge'",
    "dcgan+network=resnext": "there is no network 'resnext'; did you mean 'resnet'",
    "dcgan+penalty=r1:much": "'much' is no number",
    "dcgan+penalty=lecan:0.3": "there is no penalty 'lecan'; did you mean 'lecam'",
    "dcgan+penalty=r3": "there is no penalty 'r3'",
    "dcgan+augment=ado": "there is no augmentation 'ado'; did you mean 'ada'",
    "dcgan+augment=ada:60": "ada with a probability of 60 cannot be; give a number from 0 to 1",
    "dcgan+modify=spectral": "there is no modifier 'spectral'; did you mean 'spectral_norm'",
    "dcgan+packing=many": "'many' is no number",
    "dcgan+augment=none:3": "no augmentation has no strength; write augment=none",
    "dcgan+packing=1.5": "packing of 1.5 cannot be; give a whole number",
    "dcgan+packing=inf": "packing of inf cannot be",
    "gan+foo=1": "there are: loss, width, layers, batch_norm, dropout, rate, batch, fakes_per_real, generator_batch, "
    "discriminator_turns, generator_turns, z_dim, penalty, generator_penalty, modify",
    "dcgan+discriminator_turns=nan": "discriminator_turns of nan cannot be",
    "dcgan+penalty=r1:1:nan": "every of nan cannot be",
    "dcgan+width=8+width=16": "width is given twice",
    "wgan+unroll=2": "D of wgan",
    "unrolled+penalty=r1:1": "D of unrolled would have a penalty, which looking ahead leaves out",
    "quick+decay=linear": "use decay=cosine",
    "feature_matching+weight=-1": "a weight of -1.0",
    "cyclegan+balance=none": "needs as many of one side as of the other",
    "cyclegan+labels=concat": "labels=concat is for games of a generator from noise and a discriminator",
    "vqgan+labels=projection": "labels=projection is for games of a generator from noise and a discriminator",
    "vqgan_prior+labels=classes": "labels=classes is for games of a generator from noise and a discriminator",
    "pix2pix+network=dcgan": "network=dcgan is for games of a generator from noise and a discriminator",
    "cyclegan+discriminator_rate=2": "no turns of a discriminator; leave discriminator_rate=2 out",
    "vqgan_prior+discriminator_rate=2": "no turns of a discriminator; leave discriminator_rate=2 out",
    "cyclegan+discriminator_turns=3": "no turns of a discriminator alone; leave discriminator_turns=3 out",
    "vqgan_prior+discriminator_turns=3": "no turns of a discriminator alone; leave discriminator_turns=3 out",
    "pix2pix+adversarial=0+discriminator_turns=3": "no turns of a discriminator alone",
    "stylegan2+penalty=r1:1": "the discriminator of stylegan2.* has r1 already; give that another weight",
    "pix2pix+generator_penalty=path_length": "path_length differentiates latents, and the game of pix2pix",
    "esrgan+generator_penalty=path_length:2:4": "path_length differentiates latents, and the game of esrgan",
    "vqgan+penalty=r1:1": "takes no penalties; leave r1 out",
    "r3gan+penalty=label_smoothing:0.1": "no origin, which label_smoothing needs; leave it out",
    "dcgan+loss=wasserstein+penalty=label_smoothing:0.1": "no origin, which label_smoothing needs; leave it out",
    "dcgan+penalty=path_length": "path_length belongs into the generator's turn",
    "esrgan+eyes=incepton": "there is no feature network 'incepton'; did you mean 'inception'",
    "vqgan+eyes=lite": "there is no feature network 'lite'; did you mean 'lite0'",
    "esrgan+absolute=0+perceptual=0+adversarial=0": "a turn of generator has nothing to minimise",
    "feature_matching+unroll=5": "asks D for no verdict, now or later; leave unroll=5 out",
    "cyclegan+penalty=r1:1": "no turns of a discriminator alone; leave penalty=r1:1 out",
    "cgan+z_dim=0": "z of 0 numbers cannot be; give 1 or more",
    "dcgan+z_dim=-1+labels=concat": "z of -1 numbers cannot be; give 1 or more",
    "gan+dropout=nan": "dropout of gan cannot be nan; give a number",
    "stylegan2+batch=0": "a batch of 0 cannot be; give 1 or more",
    "r3gan+discriminator_rate=0": "a learning rate of 0.0 cannot be",
    "gan+batch_norm=true+batch=1": "batch norm in the generator compares images, of which a turn has one",
    "gan+batch_norm=true+batch=8+accumulate=8": "batch norm in the generator compares images",
    "gan+batch_norm=true+batch=8+generator_batch=0.1": "batch norm in the generator compares images",
    "gan+batch_norm=true+packing=8+batch=8": "batch norm in the discriminator compares images, of which a turn has one",
    "gan+batch_norm=true+fakes_per_real=0.1+batch=8": "batch norm in the generator compares images",
    "stylegan+mixing=1.5": "mixing styles with a probability of 1.5 cannot be; give a number from 0 to 1",
    "stylegan2+mixing=-0.1": "mixing styles with a probability of -0.1 cannot be",
    "gan+layers=-1": "-1 layers cannot be; give 0 or more",
    "stylegan2+mapping_layers=0+labels=concat+z_dim=8": "0 layers from z to styles cannot be; give 1 or more",
    "pix2pix+layers=-1": "-1 halvings cannot be; give 0 or more",
    "esrgan+blocks=-3": "-3 blocks cannot be; give 0 or more",
    "dcgan+packing=-2": "packs of -2 images cannot be",
    "dcgan+unroll=1000": "looking 1000 steps ahead cannot be",
    "dcgan+penalty=r1:-1": "a weight of -1.0",
    "wgan+network=progan": "the discriminator's layers scale their weights at every use, so that clipping them",
    "wgan+modify=spectral_norm": "the discriminator's layers scale their weights at every use, so that clipping them",
    "r3gan+blocks=-1": "-1 blocks cannot be; give 1 or more",
    "vqgan+blocks=0": "0 blocks cannot be; give 1 or more",
    "stylegan2+generator_penalty=orthogonal:0.1": "the generator's layers scale their weights at every use, so that "
    "orthogonal does not mean what it says",
}


@pytest.mark.parametrize("word", WRONG)
def test_what_cannot_be_meant(word: str) -> None:
    with pytest.raises(UsageError, match=WRONG[word].replace("(", r"\(")):
        recipe_named(word).bind((2 if word.startswith("pix2pix") else 1, 24, 24), 3 if "z_dim" in word else 0, 96, 1000)


def test_nor_can_numbers_that_are_none() -> None:
    """As the flags of a command line give them."""
    with pytest.raises(UsageError, match="dropout of gan cannot be nan"):
        recipe_named("gan", dropout=float("nan"))


def test_parameters_come_first_then_changes_in_their_own_order() -> None:
    """Written the other way round it is the same recipe but for its name."""
    words = ("lsgan+augment=ada+loss=wasserstein+width=16", "lsgan+width=16+loss=wasserstein+augment=ada")
    one, two = (recipe_named(word).but(name="x").bind((3, 16, 16), 0, 96, 1000) for word in words)
    assert to_json(one) == to_json(two)
    strength = one.recipe.game.keywords["augment"].strength  # type: ignore[attr-defined]
    assert type(strength).__name__ == "Cosine"  # Wasserstein logits have no origin: p follows a schedule


def test_values_of_every_kind() -> None:
    recipe = recipe_named("wgan+bound=none+network=sngan+discriminator_turns=3+rate=1e-3")
    assert recipe.turns[0].times == 3
    assert recipe_named("gan+batch_norm=true").name == "gan+batch_norm=true"
    assert recipe_named("gan").name == "gan"
    assert recipe_named("gan", width=8).name == "gan"


def test_a_parameter_of_the_same_name_gives_way_where_it_knows_less() -> None:
    """gan's own loss knows two losses; the change knows all."""
    assert recipe_named("gan+loss=minimax").game.keywords["loss"].logistic  # type: ignore[attr-defined]
    assert recipe_named("gan+loss=hinge").game.keywords["loss"].boundary == 0.0  # type: ignore[attr-defined]


def test_rates_and_turns() -> None:
    """Two time scales, k turns of D, and a decay to zero, on fixed rates and on schedules that bind makes."""
    recipe = recipe_named("gan+discriminator_rate=4+discriminator_turns=3+decay=linear")
    bound = recipe.bind((1, 16, 16), 0, 96, 1000).recipe
    assert bound.turns[0].times == 3
    rates = {name: bound.optims[name].rate for name in ("discriminator", "generator")}
    assert [value(rates["discriminator"], seen) for seen in (0, 500, 1000)] == pytest.approx([8e-4, 4e-4, 0])
    assert [value(rates["generator"], seen) for seen in (0, 500, 1000)] == pytest.approx([2e-4, 1e-4, 0])
    quick = recipe_named("quick+discriminator_rate=0.5").bind((1, 16, 16), 0, 96, 100_000).recipe
    theirs, mine = (value(quick.optims[name].rate, 50_000) for name in ("discriminator", "generator"))
    assert theirs == pytest.approx(mine / 2)


@pytest.mark.parametrize(
    ("word", "joined"),
    {
        "stylegan2+penalty=lecam:0.1": {0: ("adversarial", "lecam")},
        "stylegan2+generator_penalty=historical_averaging:0.1": {2: ("adversarial", "historical_averaging")},
        "stylegan2+labels=classes": {0: ("adversarial", "classification"), 2: ("adversarial", "classification")},
        "feature_matching+labels=classes": {
            0: ("adversarial", "classification"),
            1: ("feature_matching", "classification"),
        },
    }.items(),
)
def test_turns_of_penalties_alone_stay_as_they_are(word: str, joined: dict[int, tuple[str, ...]]) -> None:
    """StyleGAN2's lazy turns have rates of their own; what joins the game joins the turns that play it."""
    before, after = (recipe_named(name).turns for name in (word.partition("+")[0], word))
    assert len(before) == len(after)
    for place, (old, new) in enumerate(zip(before, after, strict=True)):
        assert tuple(term.name for term in new.terms) == joined.get(place, tuple(term.name for term in old.terms))
    assert [turn.times for turn in after] == [1] * len(after)


def test_lazy_turns_are_as_rare_among_more_turns() -> None:
    """StyleGAN2's rate and R1's weight are for one lazy step to 16 others (Karras et al. 2020, appendix B)."""
    recipe = recipe_named("stylegan2+discriminator_turns=3")
    game, lazy, *rest = recipe.turns
    assert lazy.every * game.times == 16 * lazy.times
    assert [turn.times for turn in rest] == [1, 1]
    assert recipe.optims == recipe_named("stylegan2").optims


def test_every_change_is_explained() -> None:
    assert all((change.__doc__ or "").strip() for change in CHANGES.values())


@pytest.mark.parametrize("name", ["cyclegan", "vqgan"])
@pytest.mark.parametrize("loss", ["relativistic_pairing", "relativistic_average"])
def test_losses_that_need_reals_are_refused_where_makers_see_none(name: str, loss: str) -> None:
    with pytest.raises(UsageError, match="compares fakes with reals"):
        recipe_named(f"{name}+loss={loss}").bind((3, 16, 16), 2, images=100, budget=1000)


@pytest.mark.parametrize("recipe", [recipes.gan, recipes.unrolled])
def test_a_loss_that_is_none_is_refused_in_python_as_well(recipe: Callable[..., Recipe]) -> None:
    with pytest.raises(UsageError, match="there is no loss 'minmax'; did you mean 'minimax'"):
        recipe(loss="minmax")


def test_a_part_that_no_file_could_name_is_not_begun_with(tmp_path: Path) -> None:
    """It would be trained to its end, and never be read again."""
    recipe = recipes.gan(width=4).playing(generator=lambda shape, classes: mlp.Generator(shape, classes, width=4))
    with pytest.raises(UsageError, match="has no name that a file could say"):
        train(recipe, "ring8", images=16, out=tmp_path / "run", threads=1, progress="none")
    assert not (tmp_path / "run").exists()


def test_the_losses_are_listed_where_one_looks_for_them() -> None:
    """`sparring recipes` and docs/recipes.md show the first line of a change."""
    listed = (CHANGES["loss"].__doc__ or "").replace("_average or _pairing", "_average, relativistic_pairing")
    losses = [name for name, found in vars(losses_module).items() if isinstance(found, AdversarialLoss)]
    assert len(losses) >= 7
    assert all(name in listed for name in losses)
