"""Whether the parts of a recipe suit each other: an error where they cannot, a warning where theory advises against."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from sparring.chance import KINDS
from sparring.errors import UsageError
from sparring.names import choose
from sparring.networks.equalised import EqualConv, EqualLinear
from sparring.networks.growing import Growing
from sparring.networks.modifiers import spectral_norm
from sparring.objectives.weights import orthogonal
from sparring.schedule import ends

if TYPE_CHECKING:
    from sparring.game import Game
    from sparring.recipe import Recipe

__all__ = ["RecipeWarning", "require_playable"]


class RecipeWarning(UserWarning):
    """A combination that can be played but that theory advises against."""


def require_playable(recipe: Recipe, game: Game, players: Mapping[str, nn.Module]) -> None:
    """Raises UsageError where a fitted recipe and the players of its game cannot go together; RecipeWarning warns."""
    _refuse_names(recipe, players)
    for player, network in players.items():
        if any(parameter.numel() == 0 for parameter in network.parameters()):
            raise UsageError(f"{recipe.name} cannot be built with these parameters (the {player} has an empty layer)")
        if (kind := getattr(network, "z_kind", None)) is not None:
            choose(kind, KINDS, "kind of z,")
        if recipe.growth is not None and not any(isinstance(module, Growing) for module in network.modules()):
            raise UsageError(f"the {player} of {recipe.name} cannot grow; leave it the networks of progan or stylegan")
    _refuse_penalties(recipe, game)
    _refuse_single(recipe, players)
    _refuse_stored(recipe, players)
    _caution(recipe, players)


def _refuse_names(recipe: Recipe, players: Mapping[str, nn.Module]) -> None:
    """Every player that a recipe names is one of the game's, and those that take turns have an optimiser."""
    turned = [player for turn in recipe.turns for player in turn.players]
    awake = [player for turn in recipe.turns for player in turn.awake]
    changed = [constraint.player for constraint in recipe.constraints]
    begun = [target.partition(".")[0] for target in recipe.given]
    for name in (recipe.sampler, *turned, *awake, *changed, *begun, *recipe.optims, *recipe.emas):
        choose(name, players, f"player of {recipe.name},")
    for name in turned:
        if name not in recipe.optims:
            raise UsageError(f"{name!r} takes turns but has no optimiser; add it to optims")


def _refuse_penalties(recipe: Recipe, game: Game) -> None:
    """Penalties are for a player's turn and the game's logits, and differentiate what the game has."""
    anywhere = recipe.loss is not None and recipe.loss.boundary is None
    for turn in recipe.turns:
        for penalty in turn.penalties:
            if not game.differentiable:
                raise UsageError(f"the game of {recipe.name} takes no penalties; leave {penalty.name} out")
            if penalty.of.turn not in ("any", *turn.players):
                raise UsageError(f"{penalty.name} belongs into the {penalty.of.turn}'s turn; put it there")
            if anywhere and penalty.of.origin:
                raise UsageError(f"the logits of this loss have no origin, which {penalty.name} needs; leave it out")
            if missing := set(penalty.of.differentiates) - game.differentiable:
                none = f"the game of {recipe.name} has none"
                raise UsageError(f"{penalty.name} differentiates {min(missing)}, and {none}; leave {penalty.name} out")


def _refuse_single(recipe: Recipe, players: Mapping[str, nn.Module]) -> None:
    """Batch norm of dense layers compares the images of a batch, or of a part of one, which must be two at least.

    D is shown packs of them, and of fakes there may be fewer than of reals.
    """
    least = min((round(batch * t.batch_fraction) for t in recipe.turns for batch in ends(recipe.batch)), default=2)
    taken = recipe.game_arguments
    least = int(least // recipe.accumulate * min(taken.get("fakes_per_real", 1), 1))
    for player, network in players.items():
        if least // (taken.get("packing", 1) if player == "discriminator" else 1) > 1:
            continue
        if any(isinstance(module, nn.BatchNorm1d) for module in network.modules()):
            raise UsageError(f"batch norm in the {player} compares images, of which a turn has one; use a larger batch")


def _refuse_stored(recipe: Recipe, players: Mapping[str, nn.Module]) -> None:
    """What bounds or compares stored weights means nothing where layers scale them at every use."""
    wishes = [(constraint.player, "clipping them") for constraint in recipe.constraints]
    turned = [(player, p.of, p.name) for turn in recipe.turns for player in turn.players for p in turn.penalties]
    wishes += [(player, name) for player, penalty, name in turned if penalty is orthogonal]
    clipped = {constraint.player for constraint in recipe.constraints}
    for player, wish in wishes:
        modules = list(players[player].modules())
        divided = player in clipped and any(map(is_parametrized, modules))  # by spectral norm
        if divided or any(isinstance(module, EqualConv | EqualLinear) for module in modules):
            raise UsageError(
                f"the {player}'s layers scale their weights at every use, so that {wish} does not mean what it says; "
                "leave it out, or take another network"
            )


def _caution(recipe: Recipe, players: Mapping[str, nn.Module]) -> None:
    """Warns of batch norm where theory says no.

    It makes an image's logit depend on its neighbours, which penalties of each image's gradient forbid, and it scales
    anew what spectral norm has bounded.
    """
    judged = {
        (player, p.name) for turn in recipe.turns for player in turn.players for p in turn.penalties if p.of.per_image
    }
    for name, network in sorted(players.items()):
        if not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules()):
            continue
        if penalties := sorted(penalty for player, penalty in judged if player == name):
            _warn(f"the {name} has batch norm, so {' and '.join(penalties)} cannot mean what it says of single images")
        if name == "discriminator" and spectral_norm in recipe.game_arguments.get("modifiers", ()):
            _warn(f"the {name} has batch norm, which scales anew what spectral norm has bounded")


def _warn(sentence: str) -> None:
    warnings.warn(f"{sentence}; build it without", RecipeWarning, stacklevel=5)
