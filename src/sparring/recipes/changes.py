"""Changes that any two-player recipe can take, by name: another network, loss, penalty, augmentation, ...

Each is a function of a recipe and a word, as in `dcgan+loss=hinge+augment=ada` on the command line.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sparring.augment.ada import ada
from sparring.augment.augmentation import Adaptive, Augmentation
from sparring.augment.diffaugment import diffaugment
from sparring.augment.noise import instance_noise
from sparring.errors import UsageError
from sparring.names import choose, discover
from sparring.networks import modifiers
from sparring.objectives.losses import AdversarialLoss
from sparring.objectives.penalties import PenaltyFunction
from sparring.recipe import Facts, Penalty, Recipe, derived, fitted
from sparring.recipes.players import players
from sparring.schedule import Cosine, Linear, Schedule, Steps, ends

__all__: list[str] = []


def network(recipe: Recipe, word: str) -> Recipe:
    """Players of another architecture; D without batch norm where the recipe has penalties of single images."""
    bare = any(penalty.of.per_image for turn in recipe.turns for penalty in turn.penalties)
    together = bare and bool(_game(recipe).get("together", False))
    return recipe.playing(**players(word, judge_norm=not bare), together=together)


def loss(recipe: Recipe, word: str) -> Recipe:
    """Another adversarial loss."""
    return recipe.playing(loss=_value(AdversarialLoss, word, "loss"))


def modify(recipe: Recipe, word: str) -> Recipe:
    """D changed after it was built: spectral_norm, discriminate_minibatch, minibatch_deviation."""
    known = {n: f for n, f in vars(modifiers).items() if n in modifiers.__all__ and inspect.isfunction(f)}
    chosen = known[choose(word, known, "modifier")]
    together = chosen is modifiers.spectral_norm and bool(_game(recipe).get("together", False))
    return recipe.playing(modifiers=(*_game(recipe).get("modifiers", ()), chosen), together=together)


def packing(recipe: Recipe, word: str) -> Recipe:
    """D judges packs of so many images."""
    return recipe.playing(packing=int(_number("packing", word)))


def unroll(recipe: Recipe, word: str) -> Recipe:
    """G plays against D as it will be after so many steps."""
    return recipe.playing(unroll=int(_number("unroll", word)))


def discriminator_turns(recipe: Recipe, word: str) -> Recipe:
    """D takes so many turns a round, k of Algorithm 1 (Goodfellow et al. 2014)."""
    times = int(_number("discriminator_turns", word))
    turns = [dataclasses.replace(t, times=times) if t.players == ("discriminator",) else t for t in recipe.turns]
    return recipe.but(turns=tuple(turns))


def discriminator_rate(recipe: Recipe, word: str) -> Recipe:
    """D's learning rate times so much: two time scales (Heusel et al. 2017)."""
    factor = _number("discriminator_rate", word)
    optim = recipe.optims["discriminator"]
    slower = dataclasses.replace(optim, rate=derived(optim.rate, _times, factor=factor))
    return recipe.but(optims={**recipe.optims, "discriminator": slower})


def decay(recipe: Recipe, word: str) -> Recipe:
    """All learning rates fall to zero over the run: linear, or cosine; what schedules they had ends with it."""
    curve = {"linear": Linear, "cosine": Cosine}[choose(word, ["linear", "cosine"], "decay")]
    fading = {
        player: dataclasses.replace(optim, rate=derived(optim.rate, _faded, curve=curve))
        for player, optim in recipe.optims.items()
    }
    return recipe.but(optims=fading)


def augment(recipe: Recipe, word: str) -> Recipe:
    """What D is shown is augmented: diffaugment, ada, instance_noise:SIGMA (falls to zero), or none.

    ADA's probability follows D's overfitting, at a speed of a twentieth of the run, where the loss's logits have an
    origin; else it rises to 0.3 along half a cosine, as R3GAN's does.
    """
    kind, _, number = word.partition(":")
    choose(kind, ["diffaugment", "ada", "instance_noise", "none"], "augmentation")
    if kind == "none":
        return recipe.playing(augment=None)
    if kind == "instance_noise":
        sigma = _number("instance_noise", number or "0.1")
        return recipe.playing(augment=Augmentation(instance_noise, fitted(partial(_falling, sigma=sigma))))
    if kind == "diffaugment":
        return recipe.playing(augment=Augmentation(diffaugment, _number("augment", number) if number else 1.0))
    if number:
        return recipe.playing(augment=Augmentation(ada, _number("augment", number)))
    chosen = _game(recipe).get("loss")
    adaptive = isinstance(chosen, AdversarialLoss) and chosen.boundary is not None
    strength = fitted(_follower) if adaptive else fitted(_rising)
    return recipe.playing(augment=Augmentation(ada, strength))


def penalty(recipe: Recipe, word: str) -> Recipe:
    """One more penalty in D's turns, NAME:WEIGHT or NAME:WEIGHT:EVERY."""
    return _penalised(recipe, word, "discriminator")


def generator_penalty(recipe: Recipe, word: str) -> Recipe:
    """One more penalty in G's turns, NAME:WEIGHT or NAME:WEIGHT:EVERY: path_length, orthogonal, ..."""
    return _penalised(recipe, word, "generator")


CHANGES: Mapping[str, Callable[[Recipe, str], Recipe]] = {
    function.__name__: function
    for function in (
        network, loss, modify, packing, unroll, penalty, generator_penalty, discriminator_turns, discriminator_rate,
        decay, augment,
    )
}  # fmt: skip
"""In the order in which they are applied, however they are written."""


def _penalised(recipe: Recipe, word: str, player: str) -> Recipe:
    name, _, numbers = word.partition(":")
    weight, _, every = numbers.partition(":")
    function = _value(PenaltyFunction, name, "penalty")
    more = Penalty(name, function, _number("weight", weight or "1"), every=int(_number("every", every or "1")))
    turns = tuple(dataclasses.replace(t, terms=(*t.terms, more)) if t.players == (player,) else t for t in recipe.turns)
    if turns == recipe.turns:
        raise UsageError(f"{recipe.name} has no turn of the {player} alone, which {name} could join")
    return recipe.but(turns=turns)


def _value(kind: type, name: str, what: str) -> Any:
    """A loss or penalty by its name."""
    known = {n.partition(":")[2]: v for n, v in discover("objectives").items() if isinstance(v, kind)}
    return known[choose(name, known, what)]


def _number(what: str, word: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise UsageError(f"{word!r} is no number; write for example {what}=2") from error


def _game(recipe: Recipe) -> Mapping[str, Any]:
    """The arguments that the recipe's game is made with."""
    return recipe.game.keywords if isinstance(recipe.game, partial) else {}


def _times(rate: Schedule, facts: Facts, *, factor: float) -> Schedule:
    """A schedule, `factor` times as high."""
    if isinstance(rate, Steps):
        return dataclasses.replace(rate, values=tuple(factor * height for height in rate.values))
    if isinstance(rate, Cosine | Linear):
        return dataclasses.replace(rate, start=factor * rate.start, end=factor * rate.end)
    return factor * rate


def _faded(rate: Schedule, facts: Facts, *, curve: type[Linear] | type[Cosine]) -> Schedule:
    """From where a schedule begins down to zero, a warm-up kept."""
    warmup = {"warmup": rate.warmup} if isinstance(rate, Cosine) and curve is Cosine else {}
    return curve(ends(rate)[0], 0.0, over=facts.budget, **warmup)


def _falling(facts: Facts, *, sigma: float) -> Linear:
    return Linear(sigma, 0.0, over=facts.budget)


def _follower(facts: Facts) -> Adaptive:
    return Adaptive(over=max(facts.budget / 20, 1))


def _rising(facts: Facts) -> Cosine:
    return Cosine(0.0, 0.3, over=facts.budget)
