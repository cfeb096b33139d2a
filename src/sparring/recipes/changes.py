"""Changes that any two-player recipe can take, by name: another network, loss, penalty, augmentation, ...

Each is a function of a recipe and a word, as in `dcgan+loss=hinge+augment=ada` on the command line.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from sparring.augment.ada import ada
from sparring.augment.augmentation import Adaptive, Augmentation
from sparring.augment.diffaugment import diffaugment
from sparring.augment.noise import instance_noise
from sparring.errors import UsageError
from sparring.names import choose, discover, member_named
from sparring.networks import modifiers
from sparring.networks.conditioning import project_labels, tell_classes
from sparring.objectives.losses import AdversarialLoss
from sparring.objectives.penalties import PenaltyFunction
from sparring.recipe import Facts, Penalty, Recipe, Term, Turn, derived, fitted
from sparring.recipes.players import (
    conditional_discriminator,
    conditional_generator,
    players,
    unconditional_discriminator,
)
from sparring.schedule import Cosine, Linear, Path, Schedule, Steps, ends

__all__: list[str] = []

_TWO_PLAYERS = {"generator", "discriminator", "modifiers", "conditional", "together"}
"""What a game of a generator from noise and a discriminator is made with."""


def network(recipe: Recipe, word: str) -> Recipe:
    """Players of another architecture: mlp, dcgan, sngan, r3gan, biggan, stylegan2, ... (all: docs/recipes.md).

    D is built without batch norm under penalties of single images and under spectral norm.
    """
    _refuse_other_games(recipe, f"network={word}")
    bare = any(penalty.of.per_image for turn in recipe.turns for penalty in turn.penalties)
    bare = bare or modifiers.spectral_norm in recipe.game_arguments.get("modifiers", ())
    together = bare and bool(recipe.game_arguments.get("together", False))
    parts = players(word, judge_norm=not bare)
    if recipe.game_arguments.get("conditional"):
        outside = {project_labels, tell_classes} & set(recipe.game_arguments.get("modifiers", ()))
        judge = unconditional_discriminator if outside else conditional_discriminator
        parts = {"generator": conditional_generator(parts["generator"]), "discriminator": judge(parts["discriminator"])}
    return recipe.playing(**parts, together=together)


def loss(recipe: Recipe, word: str) -> Recipe:
    """Another loss: hinge, least_squares, minimax, non_saturating, relativistic_average or _pairing, wasserstein."""
    return recipe.playing(loss=_value(AdversarialLoss, word, "loss"))


def modify(recipe: Recipe, word: str) -> Recipe:
    """D changed after it was built: spectral_norm, discriminate_minibatch, minibatch_deviation."""
    known = {n: f for n, f in vars(modifiers).items() if n in modifiers.__all__ and inspect.isfunction(f)}
    chosen = known[choose(word, known, "modifier")]
    together = chosen is modifiers.spectral_norm and bool(recipe.game_arguments.get("together", False))
    return recipe.playing(modifiers=(*recipe.game_arguments.get("modifiers", ()), chosen), together=together)


def labels(recipe: Recipe, word: str) -> Recipe:
    """Both players are told classes: concat (beside z and images), projection, or classes (D has to tell them).

    G takes them in its own way, as conditional batch norm, where its architecture has one.
    """
    choose(word, ["concat", "projection", "classes"], "way to tell labels")
    _refuse_other_games(recipe, f"labels={word}")
    game = recipe.game_arguments
    if game.get("conditional"):
        raise UsageError(f"{recipe.name} has labels already; leave labels={word} out")
    told = recipe.playing(conditional=True, generator=conditional_generator(game["generator"]))
    if word == "concat":
        return told.playing(discriminator=conditional_discriminator(game["discriminator"]))
    modifier = project_labels if word == "projection" else tell_classes
    judge = unconditional_discriminator(game["discriminator"])
    told = told.playing(discriminator=judge, modifiers=(modifier, *game.get("modifiers", ())))
    if word == "projection":
        return told
    more = Term("classification")
    return told.but(turns=tuple(replace(t, terms=(*t.terms, more)) if _plays(t) else t for t in told.turns))


def balance(recipe: Recipe, word: str) -> Recipe:
    """Reals of every class equally often (classes), or as they come (none)."""
    return recipe.but(balanced=choose(word, ["classes", "none"], "balance") == "classes")


def accumulate(recipe: Recipe, word: str) -> Recipe:
    """A batch in so many parts, whose gradients are added up: for batches that do not fit into memory."""
    return recipe.but(accumulate=_whole("accumulate", word))


def freeze(recipe: Recipe, word: str) -> Recipe:
    """D's first inner layers, so many, stay as they began: for a run that goes on from another's weights."""
    chosen = partial(modifiers.freeze_layers, layers=_whole("freeze", word))
    return recipe.playing(modifiers=(*recipe.game_arguments.get("modifiers", ()), chosen))


def packing(recipe: Recipe, word: str) -> Recipe:
    """D judges packs of so many images."""
    return recipe.playing(packing=_whole("packing", word))


def unroll(recipe: Recipe, word: str) -> Recipe:
    """G plays against D as it will be after so many steps down its adversarial loss."""
    if recipe.constraints or any(turn.penalties for turn in recipe.turns if "discriminator" in turn.players):
        raise _left_out(recipe, "has penalties or constraints", "unroll a recipe without")
    ahead = recipe.playing(unroll=_whole("unroll", word))
    asked = {term.name for turn in recipe.turns if "generator" in turn.players for term in turn.terms}
    if not asked & {"adversarial", "classification"}:
        raise UsageError(f"G of {recipe.name} asks D for no verdict, now or later; leave unroll={word} out")
    return ahead


def discriminator_turns(recipe: Recipe, word: str) -> Recipe:
    """D takes so many turns a round, k of Algorithm 1 (Goodfellow et al. 2014).

    Lazy turns of penalties alone keep their share, which their weight and rate are for: one of those in 16 rounds
    (StyleGAN2's R1) becomes k.
    """
    times, said = _whole("discriminator_turns", word), f"discriminator_turns={word}"
    return _turned(recipe, "discriminator", lambda turn: replace(turn, times=times), said, lazy=True)


def discriminator_rate(recipe: Recipe, word: str) -> Recipe:
    """D's learning rate times so much: two time scales (Heusel et al. 2017)."""
    factor = _number("discriminator_rate", word)
    if not any("discriminator" in turn.players for turn in recipe.turns):
        raise UsageError(f"{recipe.name} has no turns of a discriminator; leave discriminator_rate={word} out")
    optim = recipe.optims["discriminator"]
    slower = replace(optim, rate=derived(optim.rate, _times, factor=factor))
    return recipe.but(optims={**recipe.optims, "discriminator": slower})


def decay(recipe: Recipe, word: str) -> Recipe:
    """All learning rates fall to zero over the run: linear, or cosine, which keeps a warm-up."""
    curve = {"linear": Linear, "cosine": Cosine}[choose(word, ["linear", "cosine"], "decay")]
    fading = {
        player: replace(optim, rate=derived(optim.rate, _faded, curve=curve)) for player, optim in recipe.optims.items()
    }
    return recipe.but(optims=fading)


def augment(recipe: Recipe, word: str) -> Recipe:
    """What D is shown is augmented: diffaugment, ada, instance_noise:SIGMA (falls to zero), or none.

    ADA's probability follows D's overfitting, at a speed of a twentieth of the run, where the loss's logits have an
    origin; else it rises to 0.3 along half a cosine, as R3GAN's does.
    """
    kind, _, number = word.partition(":")
    choose(kind, ["diffaugment", "ada", "instance_noise", "none"], "augmentation")
    if number and kind in ("diffaugment", "ada") and not 0 <= _number("augment", number) <= 1:
        raise UsageError(f"{kind} with a probability of {number} cannot be; give a number from 0 to 1")
    if kind == "none":
        if number:
            raise UsageError(f"no augmentation has no strength; write augment=none, not {word}")
        return recipe.playing(augment=None)
    if kind == "instance_noise":
        sigma = _number("instance_noise", number or "0.1")
        return recipe.playing(augment=Augmentation(instance_noise, fitted(partial(_falling, sigma=sigma))))
    if kind == "diffaugment":
        return recipe.playing(augment=Augmentation(diffaugment, _number("augment", number) if number else 1.0))
    if number:
        return recipe.playing(augment=Augmentation(ada, _number("augment", number)))
    adaptive = recipe.loss is not None and recipe.loss.boundary is not None
    strength = fitted(_follower) if adaptive else fitted(_rising)
    return recipe.playing(augment=Augmentation(ada, strength))


def penalty(recipe: Recipe, word: str) -> Recipe:
    """One more penalty in D's turns, NAME:WEIGHT or NAME:WEIGHT:EVERY: r1, r2, wgan_gp, dragan, lecam, ..."""
    if recipe.game_arguments.get("unroll"):
        raise _left_out(recipe, "would have a penalty", f"leave penalty={word} out")
    return _penalised(recipe, "discriminator", word, f"penalty={word}")


def generator_penalty(recipe: Recipe, word: str) -> Recipe:
    """One more penalty in G's turns, NAME:WEIGHT or NAME:WEIGHT:EVERY: path_length, orthogonal, ..."""
    return _penalised(recipe, "generator", word, f"generator_penalty={word}")


CHANGES: Mapping[str, Callable[[Recipe, str], Recipe]] = {
    function.__name__: function
    for function in (
        penalty, generator_penalty, modify, network, labels, balance, loss, packing, unroll, discriminator_turns,
        discriminator_rate, decay, augment, accumulate, freeze,
    )
}  # fmt: skip
"""In the order in which they are applied, however they are written."""


def _refuse_other_games(recipe: Recipe, change: str) -> None:
    """Raises UsageError unless the recipe's game is made with what both players of a two-player game are made with."""
    if _TWO_PLAYERS - set(inspect.signature(recipe.game_class).parameters):
        raise UsageError(
            f"{change} is for games of a generator from noise and a discriminator, which that of {recipe.name} is not; "
            "leave it out"
        )


def _left_out(recipe: Recipe, has: str, instead: str) -> UsageError:
    """D steps ahead down its adversarial loss alone, whatever else its turns have."""
    return UsageError(f"D of {recipe.name} {has}, which looking ahead leaves out; {instead}")


def _plays(turn: Turn) -> bool:
    """Whether a turn plays the game: one of penalties alone is a step of its own, which its recipe has set up."""
    return len(turn.penalties) < len(turn.terms)


def _turned(recipe: Recipe, player: str, change: Callable[[Turn], Turn], said: str, *, lazy: bool = False) -> Recipe:
    """The turns in which a player plays alone, changed; raises UsageError where there are none.

    With `lazy` also those of its penalties alone.
    """
    mine = [turn.players == (player,) and (lazy or _plays(turn)) for turn in recipe.turns]
    if not any(mine):
        raise UsageError(f"{recipe.name} has no turns of a {player} alone; leave {said} out")
    return recipe.but(turns=tuple(change(t) if chosen else t for t, chosen in zip(recipe.turns, mine, strict=True)))


def _penalised(recipe: Recipe, player: str, word: str, said: str) -> Recipe:
    name, weight, every = _penalty_in(word)
    function = _value(PenaltyFunction, name, "penalty")
    more = Penalty(name.replace(":", "."), function, weight, every=every)
    if any(term.name == more.name for turn in recipe.turns if turn.players == (player,) for term in turn.terms):
        raise UsageError(f"the {player} of {recipe.name} has {more.name} already; give that another weight")
    return _turned(recipe, player, lambda turn: replace(turn, terms=(*turn.terms, more)), said)


def _value(kind: type, name: str, what: str) -> Any:
    """A loss or penalty by its name, or a person's own by package.module:name."""
    if ":" in name:
        found = member_named(name)
        if not isinstance(found, kind):
            raise UsageError(f"{name} is no {what}; name one")
        return found
    return _known(kind)[choose(name, _known(kind), what)]


def _known(kind: type) -> dict[str, Any]:
    """The losses or the penalties that sparring has."""
    return {n.partition(":")[2]: v for n, v in discover("objectives").items() if isinstance(v, kind)}


def _penalty_in(word: str) -> tuple[str, float, int]:
    """Name, weight and interval of NAME, NAME:WEIGHT or NAME:WEIGHT:EVERY; a person's own name has a colon too."""
    first, *rest = word.split(":")
    if rest and first not in _known(PenaltyFunction) and all(part.isidentifier() for part in rest[0].split(".")):
        first, rest = f"{first}:{rest[0]}", rest[1:]
    weight = _number("weight", rest[0]) if rest else 1.0
    return first, weight, _whole("every", ":".join(rest[1:])) if len(rest) > 1 else 1


def _number(what: str, word: str) -> float:
    try:
        number = float(word)
    except ValueError as error:
        raise UsageError(f"{word!r} is no number; write for example {what}=2") from error
    if not math.isfinite(number):
        raise UsageError(f"{what} of {word} cannot be; give a finite number")
    return number


def _whole(what: str, word: str) -> int:
    number = _number(what, word)
    if number != int(number):
        raise UsageError(f"{what} of {word} cannot be; give a whole number")
    return int(number)


def _times(rate: Schedule, facts: Facts, *, factor: float) -> Schedule:
    """A schedule, `factor` times as high."""
    if isinstance(rate, Path | Steps):
        return replace(rate, values=tuple(factor * height for height in rate.values))
    if isinstance(rate, Cosine | Linear):
        return replace(rate, start=factor * rate.start, end=factor * rate.end)
    return factor * rate


def _faded(rate: Schedule, facts: Facts, *, curve: type[Linear] | type[Cosine]) -> Schedule:
    """From where a schedule begins down to zero."""
    warmup = rate.warmup if isinstance(rate, Cosine) else 0
    if curve is Cosine:
        return Cosine(ends(rate)[0], 0.0, over=facts.budget, warmup=warmup)
    if warmup:
        raise UsageError("this recipe warms its rate up, which a straight line would not; use decay=cosine")
    return Linear(ends(rate)[0], 0.0, over=facts.budget)


def _falling(facts: Facts, *, sigma: float) -> Linear:
    return Linear(sigma, 0.0, over=facts.budget)


def _follower(facts: Facts) -> Adaptive:
    return Adaptive(over=max(facts.budget / 20, 1))


def _rising(facts: Facts) -> Cosine:
    return Cosine(0.0, 0.3, over=facts.budget)
