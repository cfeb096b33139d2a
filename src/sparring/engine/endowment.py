"""Weights that parts of players begin with and that a finished run made: a prior's codec."""

from __future__ import annotations

from sparring.engine.rundir import Run
from sparring.engine.state import State
from sparring.errors import FileUnusableError
from sparring.recipe import Recipe

__all__ = ["endow"]


def endow(state: State, recipe: Recipe) -> list[str]:
    """Put in place the weights that a recipe's parts begin with, and say so.

    Raises FileUnusableError where the run that made them is gone, has gone on, or does not fit.
    """
    said = []
    for target, given in recipe.given.items():
        name, _, part = target.partition(".")
        player, run = state.players[name], Run(given.run)
        if not run.exists:
            raise FileUnusableError(
                f"{run.path}, whose {given.player} this recipe begins with, is not there any more; restore it from a "
                "copy, or make the recipe anew"
            )
        checkpoint = run.checkpoint
        if checkpoint.digest != given.checkpoint:
            raise FileUnusableError(
                f"{run.path} has another checkpoint ({checkpoint.digest}) than this recipe means ({given.checkpoint}); "
                "make the recipe anew"
            )
        weights = run.weights(checkpoint, given.player)
        try:
            for network in (player.network, *([] if player.average is None else [player.average])):
                network.get_submodule(part).load_state_dict(weights)
        except RuntimeError as error:
            raise FileUnusableError(f"the {given.player} of {run.path} does not fit {target}; name another") from error
        said.append(f"the {part or name} is that of {run.path} ({given.checkpoint})")
    return said
