"""Going on from another run's weights with other data (Wang et al. 2018; Mo et al. 2020)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from sparring.augment.augmentation import Adaptive
from sparring.engine.checkpoint import Checkpoint, read, under
from sparring.engine.players import Player
from sparring.engine.rundir import Run
from sparring.engine.state import State
from sparring.errors import UsageError
from sparring.fitting import rebuilt
from sparring.recipe import Recipe
from sparring.recipes.averages import halflife
from sparring.schedule import Cosine, Linear, Path, Steps, ends, value

__all__ = ["inherit", "recipe_of", "without_ramps"]

_LEAST = 0.1
"""The share of a player's numbers that must be taken; less is another architecture that shares a layer by chance."""


def recipe_of(run: Run, budget: int) -> Recipe:
    """A run's recipe for another budget: what follows its budget is stretched, the rest stays as it was fitted.

    Players that have grown do not grow again, which would lose what they know; others begin to.
    """
    bound = run.bound
    factor = budget / bound.facts.budget

    def longer(part: Any) -> Any:
        if isinstance(part, Cosine | Adaptive):  # a warm-up is so many images, whatever the budget
            return dataclasses.replace(part, over=part.over * factor)
        if isinstance(part, Linear):
            return dataclasses.replace(part, over=part.over * factor, begin=part.begin * factor)
        stepped = isinstance(part, Path | Steps)
        return dataclasses.replace(part, at=tuple(k * factor for k in part.at)) if stepped else part

    found: Recipe = rebuilt(bound.recipe, longer)
    if found.growth is not None and _grown(run):
        found = found.but(growth=None)
    turns = tuple(
        dataclasses.replace(t, begin=t.begin * factor, end=None if t.end is None else t.end * factor)
        for t in found.turns
    )
    derived = halflife(bound.facts)
    emas = {
        name: dataclasses.replace(ema, halflife=derived * factor) if ema.halflife == derived else ema
        for name, ema in found.emas.items()
    }
    return found.but(turns=turns, emas=emas)


def _grown(run: Run) -> bool:
    """Whether a run's newest checkpoint lies behind its growth."""
    growth = run.bound.recipe.growth
    return growth is not None and value(growth, run.checkpoint.seen) >= max(ends(growth))


def without_ramps(recipe: Recipe) -> Recipe:
    """Averages that begin as another run's, and not as weights that know nothing, are not to be forgotten at once."""
    return recipe.but(emas={name: dataclasses.replace(ema, ramp=0) for name, ema in recipe.emas.items()})


def inherit(state: State, source: Checkpoint) -> list[str]:
    """Begin with the weights of a checkpoint, wherever name and shape agree; say what was taken.

    A name is the same with labels or spectral norm put around it. Averages come from averages (from weights, where the
    run kept none). Optimisers start afresh. What depends on the classes or on the size of the data and does not fit
    keeps its own start.

    Raises UsageError where too little of a player fits, or where a frozen layer would be one that knows nothing;
    FileUnusableError for a checkpoint that cannot be read.
    """
    tensors, _ = read(source)
    where, said = source.path.parent.parent, []
    for name, player in state.players.items():
        theirs = {kind: under(f"players.{name}.{kind}.", tensors) for kind in ("weights", "average")}
        mine = player.network.state_dict()
        taken = _take(mine, theirs["weights"])
        if player.average is not None:
            _take(player.average.state_dict(), theirs["average"] or theirs["weights"])
        if _numbers(mine[key] for key in taken) < _LEAST * _numbers(mine.values()):
            raise UsageError(
                f"too little of the {name} of {where} fits this recipe and these data; give the recipe, --size and "
                "--channels that it was trained with"
            )
        frozen = sorted(_frozen(player) - taken)
        if frozen:
            raise UsageError(
                f"{frozen[0]} of the {name} would be frozen, but nothing of {where} fits it; freeze fewer layers"
            )
        own = sorted(set(mine) - taken)
        more = f"; new: {', '.join(own[:4])}{' and more' if len(own) > 4 else ''}" if own else ""
        said.append(f"the {name} begins with {len(taken)} of {len(mine)} tensors of {where}{more}")
    return said


def _frozen(player: Player) -> set[str]:
    return {name for name, _ in player.network.named_parameters()} - set(player.parameters)


def _numbers(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors)


def _take(mine: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> set[str]:
    """Copy what fits; its names."""
    known = {_plain(key): tensor for key, tensor in theirs.items()}
    known = {key: tensor for key, tensor in known.items() if not key.endswith("grown")}  # levels are the recipe's
    fits = {key for key, tensor in mine.items() if _plain(key) in known and known[_plain(key)].shape == tensor.shape}
    for key in fits:
        mine[key].copy_(known[_plain(key)])
    return fits


def _plain(key: str) -> str:
    """A tensor's name without what was put around its network, or around itself."""
    while key.startswith("network."):
        key = key.removeprefix("network.")
    head, around, rest = key.partition("parametrizations.")
    return head + rest.removesuffix(".original") if around and rest.endswith(".original") else key
