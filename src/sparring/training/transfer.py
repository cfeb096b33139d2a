"""Going on from another run's weights with other data (Wang et al. 2018; Mo et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from sparring.engine.checkpoint import read
from sparring.engine.rundir import Run
from sparring.engine.state import State
from sparring.errors import UsageError
from sparring.fitting import stretched
from sparring.recipe import Recipe

__all__ = ["inherit", "recipe_of"]


def recipe_of(run: Run, budget: int) -> Recipe:
    """A run's recipe for another budget: its schedules stretched, everything else as it was fitted to its data."""
    bound = run.bound
    found: Recipe = stretched(bound.recipe, budget / bound.facts.budget)
    return found


def inherit(state: State, run: Run) -> list[str]:
    """Begin with the weights of a run's newest checkpoint, wherever name and shape agree; say what was taken.

    Averages come from averages (from weights, where the run kept none). Optimisers start afresh. What depends on the
    classes or on the size of the data and does not fit keeps its own start.

    Raises UsageError if nothing of a player fits, FileUnusableError for a run that cannot be read.
    """
    tensors, _ = read(run.checkpoint)
    said = []
    for name, player in state.players.items():
        theirs = {kind: _under(f"players.{name}.{kind}.", tensors) for kind in ("weights", "average")}
        taken = _take(player.network, theirs["weights"])
        if player.average is not None:
            _take(player.average, theirs["average"] or theirs["weights"])
        own = sorted(set(player.network.state_dict()) - taken)
        if not taken & set(dict(player.network.named_parameters())):
            raise UsageError(
                f"nothing of the {name} of {run.path} fits this recipe and these data; give the recipe, --size and "
                "--channels that it was trained with"
            )
        more = f"; new: {', '.join(own[:4])}{' and more' if len(own) > 4 else ''}" if own else ""
        said.append(f"the {name} begins with {len(taken)} of {len(taken) + len(own)} tensors of {run.path}{more}")
    return said


def _take(network: nn.Module, theirs: Mapping[str, Tensor]) -> set[str]:
    """Copy what fits; the names of it."""
    mine = network.state_dict()
    fits = {key for key, tensor in mine.items() if key in theirs and theirs[key].shape == tensor.shape}
    for key in fits:
        mine[key].copy_(theirs[key])
    return fits


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
