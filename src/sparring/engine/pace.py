"""How fast a recipe plays here: measured on a throw-away state before a run begins, to turn minutes into images."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TypeAlias

import torch
from torch.utils.flop_counter import FlopCounterMode

from sparring.data.loader import Loader
from sparring.engine.devices import Devices, out_of_memory
from sparring.engine.rounds import batch_at, rounds
from sparring.engine.state import State
from sparring.errors import UsageError
from sparring.recipe import BoundRecipe
from sparring.schedule import Schedule, ends, value

__all__ = ["Pace", "affordable", "measure_pace"]

_Costs: TypeAlias = tuple[Sequence[int], Sequence[float], Sequence[float]]


_MOMENTS = 50
"""Places of the budget whose costs are averaged."""
_TRIES = 20


@dataclass(frozen=True)
class _Stage:
    """What makes one round cost more than another: the level of growth, if any, and the turns that are played."""

    level: float | None
    turns: tuple[int, ...]


@dataclass(frozen=True)
class Pace:
    """Seconds and floating-point operations of an image, averaged over the budget.

    `measured` are those of each stage at some batches.
    """

    seconds_per_image: float
    operations_per_image: float
    measured: Mapping[_Stage, _Costs] = field(default_factory=dict)

    def images(self, minutes: float) -> int:
        """The images that fit into so many minutes, with 3 % for grids, logs and checkpoints."""
        return max(int(minutes * 60 * 0.97 / self.seconds_per_image), 1)

    def over(self, bound: BoundRecipe, begin: int = 0) -> Pace:
        """The same costs averaged over another budget, or over what is left of one after `begin` images."""
        if not self.measured:
            return self
        begin = min(begin, bound.facts.budget - 1)
        found = []
        for k in range(_MOMENTS):
            moment = begin + (bound.facts.budget - begin) * (k + 0.5) / _MOMENTS
            batches, seconds, operations = self.measured[self._like(_stage(bound, moment))]
            found.append([_interpolate(batches, costs, bound, moment) for costs in (seconds, operations)])
        seconds_each, operations_each = (sum(costs) / _MOMENTS for costs in zip(*found, strict=True))
        return Pace(seconds_each, operations_each, self.measured)

    def _like(self, stage: _Stage) -> _Stage:
        """The stage itself, or the measured one most like it: turns that follow the budget may meet others only now."""
        return min(self.measured, key=lambda m: (m.level != stage.level, len({*m.turns} ^ {*stage.turns})))


def affordable(bind: Callable[[int], BoundRecipe], pace: Pace, minutes: float) -> int:
    """The budget that takes so many minutes, where what an image costs depends on the budget."""
    budget = pace.images(minutes)
    for _ in range(_TRIES):
        wanted = pace.over(bind(budget)).images(minutes)
        if abs(wanted - budget) <= 0.01 * budget:
            break
        budget = max(round(math.sqrt(wanted * budget)), 1)  # between both, because a larger one costs more an image
    return budget


def measure_pace(bound: BoundRecipe, loader: Loader, devices: Devices, *, seconds: float = 2.0) -> Pace:
    """Play a few rounds at every stage of the run, with the first, the middle and the last batch of its time.

    Raises UsageError with the batch that fits if memory runs out.
    """
    moments: dict[_Stage, list[float]] = {stage: [] for stage in _stages(bound)}
    for k in range(_MOMENTS):
        moment = bound.facts.budget * (k + 0.5) / _MOMENTS
        moments[_stage(bound, moment)].append(moment)
    share = seconds / len(moments)
    measured = {
        stage: _costs(bound, stage, found or [bound.facts.budget], loader, devices, share)
        for stage, found in moments.items()
    }
    return Pace(0.0, 0.0, measured).over(bound)


def _levels(growth: Schedule | None) -> list[float | None]:
    """All levels that a schedule passes, whatever the budget."""
    if growth is None:
        return [None]
    passed = ends(growth)
    return [float(level) for level in range(math.ceil(min(passed)), math.ceil(max(passed)) + 1)]


def _stages(bound: BoundRecipe) -> list[_Stage]:
    """Every stage that a run passes, whatever the budget, as far as it can be told."""
    turns = bound.recipe.turns
    moments = sorted({0.0, *(t.begin for t in turns), *(t.end for t in turns if t.end is not None)})
    played = {_stage(bound, moment).turns for moment in moments}
    return [_Stage(level, places) for level in _levels(bound.recipe.growth) for places in sorted(played)]


def _stage(bound: BoundRecipe, moment: float) -> _Stage:
    """What a round at a moment costs the same as: a level that is faded in is there wholly."""
    growth, turns = bound.recipe.growth, bound.recipe.turns
    level = None if growth is None else float(math.ceil(value(growth, moment)))
    return _Stage(level, tuple(place for place, turn in enumerate(turns) if turn.within(moment)))


def _costs(
    bound: BoundRecipe, stage: _Stage, moments: list[float], loader: Loader, devices: Devices, seconds: float
) -> _Costs:
    """Batches, and seconds and operations of an image at each, at one stage."""
    turns = tuple(replace(bound.recipe.turns[place], begin=0, end=None) for place in stage.turns)
    staged = replace(bound, recipe=bound.recipe.but(growth=stage.level, turns=turns))
    marks = (moments[0], moments[len(moments) // 2], moments[-1])
    batches = sorted({batch_at(bound.recipe, moment, devices.world) for moment in marks})
    samples, failed = [], 0
    for batch in batches:
        try:
            samples.append(_time(staged, batch, loader, devices, seconds / len(batches)))
        except (RuntimeError, MemoryError, ValueError) as error:
            if not out_of_memory(error):
                reason = str(error).splitlines()[0]
                raise UsageError(f"{bound.recipe.name} cannot play a batch of {batch} ({reason}); change it") from error
            failed = batch
            break
    if failed:  # outside the handler, whose traceback would keep the memory
        raise UsageError(_advice(staged, failed, loader, devices))
    times, operations = zip(*samples, strict=True)
    return batches, times, operations


def _time(bound: BoundRecipe, batch: int, loader: Loader, devices: Devices, seconds: float) -> tuple[float, float]:
    """Seconds and operations of an image at a batch."""
    fixed = replace(bound, recipe=bound.recipe.but(batch=batch))
    state = State(fixed, seed=0, device=devices.device)
    playing = rounds(fixed, loader, state=state, devices=devices)
    turns = bound.recipe.turns
    cycle = math.lcm(*(turn.every for turn in turns), *(term.every for turn in turns for term in turn.penalties))
    cycle = min(cycle, 64)
    with FlopCounterMode(display=False) as counter:
        for _ in range(cycle):
            next(playing)
    for _ in range(2):
        next(playing)
    played, begin = 0, time.perf_counter()
    while played < cycle or time.perf_counter() - begin < seconds:
        for _ in range(cycle):
            next(playing)
        played += cycle
    if devices.device.type == "cuda":
        torch.cuda.synchronize()
    elapsed = time.perf_counter() - begin
    return elapsed / (played * batch), counter.get_total_flops() / (cycle * batch)


def _interpolate(batches: Sequence[int], per_image: Sequence[float], bound: BoundRecipe, seen: float) -> float:
    """The cost of an image at a moment: costs of a round are linear in the batch between the measured ones."""
    batch = batch_at(bound.recipe, seen)
    rounds_cost = [batch_size * cost for batch_size, cost in zip(batches, per_image, strict=True)]
    for (low, a), (high, b) in pairwise(zip(batches, rounds_cost, strict=True)):
        if low <= batch <= high:
            return (a + (b - a) * (batch - low) / (high - low)) / batch
    return per_image[0] if batch <= batches[0] else per_image[-1]


def _advice(bound: BoundRecipe, batch: int, loader: Loader, devices: Devices) -> str:
    """The largest batch that fits, of those that come of halving and split as the recipe's parts do."""
    parts = bound.recipe.accumulate
    pieces, least = devices.world * parts, batch
    smaller = batch // 2 // pieces * pieces
    while smaller:
        try:
            _time(bound, smaller, loader, devices, 0.0)
        except UsageError:  # the game cannot have it, nor what is left of it
            break
        except (RuntimeError, MemoryError, ValueError) as error:  # what is no lack of memory is too small for a layer
            least = smaller if out_of_memory(error) else least
            smaller = smaller // 2 // pieces * pieces
        else:
            return f"a batch of {batch} does not fit into memory; {smaller} does (--batch {smaller})"
    split = f" in {parts} parts (accumulate)" if parts > 1 else ""
    return (
        f"not even a batch of {least}{split} fits into memory; use smaller images (--size) or a narrower recipe "
        "(--width)"
    )
