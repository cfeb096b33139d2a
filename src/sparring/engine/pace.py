"""How fast a recipe plays here: measured on a throw-away state before a run begins, to turn minutes into images."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch.utils.flop_counter import FlopCounterMode

from sparring.data.loader import Loader
from sparring.engine.devices import Devices
from sparring.engine.rounds import batch_at, rounds
from sparring.engine.state import State
from sparring.errors import UsageError
from sparring.recipe import BoundRecipe
from sparring.schedule import value

__all__ = ["Pace", "measure_pace", "out_of_memory"]


_MOMENTS = 50
"""Places of the budget whose costs are averaged."""


@dataclass(frozen=True)
class Pace:
    """Seconds and floating-point operations of an image, averaged over the budget."""

    seconds_per_image: float
    operations_per_image: float

    def images(self, minutes: float) -> int:
        """The images that fit into so many minutes, with 3 % for grids, logs and checkpoints."""
        return max(int(minutes * 60 * 0.97 / self.seconds_per_image), 1)


def measure_pace(bound: BoundRecipe, loader: Loader, devices: Devices, *, seconds: float = 2.0) -> Pace:
    """Play a few rounds of every stage of growth, with the first, the middle and the last batch of its schedule.

    Raises UsageError with the batch that fits if memory runs out.
    """
    stages: dict[float | None, list[float]] = {}
    for moment in (bound.facts.budget * (i + 0.5) / _MOMENTS for i in range(_MOMENTS)):
        stages.setdefault(_level(bound, moment), []).append(moment)
    found = [
        _pace_of(bound, level, moments, loader, devices, seconds / len(stages)) for level, moments in stages.items()
    ]
    return Pace(*(sum(costs) / _MOMENTS for costs in zip(*(pair for pairs in found for pair in pairs), strict=True)))


def _level(bound: BoundRecipe, moment: float) -> float | None:
    """The level that costs what the round at a moment does: one that is faded in is there wholly."""
    growth = bound.recipe.growth
    return None if growth is None else float(math.ceil(value(growth, moment)))


def _pace_of(
    bound: BoundRecipe, level: float | None, moments: list[float], loader: Loader, devices: Devices, seconds: float
) -> list[tuple[float, float]]:
    """Seconds and operations of an image at each moment of a stage."""
    stage = replace(bound, recipe=bound.recipe.but(growth=level))
    ends = (moments[0], moments[len(moments) // 2], moments[-1])
    batches = sorted({batch_at(bound.recipe, moment, devices.world) for moment in ends})
    samples = []
    for batch in batches:
        try:
            samples.append(_time(stage, batch, loader, devices, seconds / len(batches)))
        except (RuntimeError, MemoryError, ValueError) as error:
            if not out_of_memory(error):
                reason = str(error).splitlines()[0]
                raise UsageError(f"{bound.recipe.name} cannot play a batch of {batch} ({reason}); change it") from error
            failed = batch
            break
    else:
        failed = 0
    if failed:  # outside the handler, whose traceback would keep the memory
        raise UsageError(_advice(stage, failed, loader, devices))
    times, operations = zip(*samples, strict=True)
    return [
        (_interpolate(batches, times, bound, moment), _interpolate(batches, operations, bound, moment))
        for moment in moments
    ]


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
    batch = max(int(value(bound.recipe.batch, seen)), 1)
    rounds_cost = [batch_size * cost for batch_size, cost in zip(batches, per_image, strict=True)]
    for (low, a), (high, b) in pairwise(zip(batches, rounds_cost, strict=True)):
        if low <= batch <= high:
            return (a + (b - a) * (batch - low) / (high - low)) / batch
    return per_image[0] if batch <= batches[0] else per_image[-1]


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, in any of torch's ways of saying so."""
    words = str(error).lower()
    return (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or "allocate memory" in words
        or "out of memory" in words
    )


def _advice(bound: BoundRecipe, batch: int, loader: Loader, devices: Devices) -> str:
    """The largest halved batch that fits."""
    smaller = batch // 2
    while smaller >= 1:
        try:
            _time(bound, smaller, loader, devices, 0.0)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            smaller //= 2
        else:
            return f"a batch of {batch} does not fit into memory; {smaller} does (--batch {smaller})"
    return "not even a batch of 1 fits into memory; use smaller images (--size) or a narrower recipe (--width)"
