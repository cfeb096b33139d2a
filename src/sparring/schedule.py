"""Quantities that change while a run goes on, as functions of `seen` (real images shown so far).

A schedule is a plain number or one of the frozen curves below; all are constant after their end, so a run may go
on for longer than planned.
"""

from __future__ import annotations

import bisect
import math
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from sparring.errors import UsageError

__all__ = ["Cosine", "Linear", "Path", "Schedule", "Steps", "ends", "images_of", "value"]


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from `start` to `end` over so many images, its first `warmup` images scaled up from almost 0.

    >>> [round(Cosine(1.0, 0.0, over=100)(seen), 3) for seen in (0, 50, 100, 200)]
    [1.0, 0.5, 0.0, 0.0]
    >>> [Cosine(1.0, 1.0, over=100, warmup=4)(seen) for seen in (0, 1, 3, 4)]
    [0.25, 0.5, 1.0, 1.0]
    """

    start: float
    end: float
    over: float
    warmup: float = 0

    def __call__(self, seen: float) -> float:
        share = _share(seen, 0, self.over)
        warm = min((seen + 1) / self.warmup, 1.0) if self.warmup else 1.0
        return warm * (self.end + (self.start - self.end) * (1 + math.cos(math.pi * share)) / 2)


@dataclass(frozen=True)
class Linear:
    """A straight line from `start` to `end` over the images `begin`..`begin + over`.

    >>> [Linear(0.0, 2.0, over=100, begin=100)(seen) for seen in (0, 150, 300)]
    [0.0, 1.0, 2.0]
    """

    start: float
    end: float
    over: float
    begin: float = 0

    def __call__(self, seen: float) -> float:
        return self.start + (self.end - self.start) * _share(seen, self.begin, self.over)


@dataclass(frozen=True)
class Steps:
    """A staircase: `values[i]` from the image `at[i]` on; `at` begins with 0 and grows.

    >>> [Steps(values=(16, 32), at=(0, 1000))(seen) for seen in (0, 999, 1000)]
    [16, 16, 32]
    """

    values: tuple[float, ...]
    at: tuple[float, ...]

    def __post_init__(self) -> None:
        _require_places("steps", self.values, self.at)

    def __call__(self, seen: float) -> float:
        return [value for value, begin in zip(self.values, self.at, strict=True) if seen >= begin][-1]


@dataclass(frozen=True)
class Path:
    """Straight lines from `values[i]` at the image `at[i]` to the next; `at` begins with 0 and grows.

    >>> path = Path(values=(0.0, 0.0, 1.0), at=(0, 100, 200))
    >>> [path(seen) for seen in (50, 150, 1000)]
    [0.0, 0.5, 1.0]
    """

    values: tuple[float, ...]
    at: tuple[float, ...]

    def __post_init__(self) -> None:
        _require_places("a path", self.values, self.at)

    def __call__(self, seen: float) -> float:
        place = bisect.bisect_right(self.at, seen)
        if place in (0, len(self.at)):
            return self.values[max(place - 1, 0)]
        begin, end = self.at[place - 1], self.at[place]
        low, high = self.values[place - 1], self.values[place]
        return low + (high - low) * (seen - begin) / (end - begin)


Schedule: TypeAlias = float | Cosine | Linear | Path | Steps


def value(schedule: Schedule, seen: float) -> float:
    """The value of a schedule after `seen` images.

    >>> value(0.5, 1000), value(Linear(0.0, 1.0, over=10), 5)
    (0.5, 0.5)
    """
    return schedule(seen) if callable(schedule) else schedule


def _require_places(what: str, values: tuple[float, ...], at: tuple[float, ...]) -> None:
    """Raises UsageError unless every value has a place of its own, in order, from 0 on."""
    if len(values) != len(at) or at[:1] != (0.0,) or not all(a < b for a, b in pairwise(at)):
        raise UsageError(f"{what} of {values} at {at} cannot be; give one place a value, growing from 0")


def _share(seen: float, begin: float, over: float) -> float:
    """How much of a curve lies behind, in [0, 1]."""
    return 1.0 if over <= 0 else min(max((seen - begin) / over, 0.0), 1.0)


def ends(schedule: Schedule) -> tuple[float, ...]:
    """The values between which a schedule moves; a value that is only promised (not yet fitted) has none.

    >>> ends(0.5), ends(Steps((8, 16), at=(0, 100)))
    ((0.5,), (8, 16))
    """
    if isinstance(schedule, int | float):
        return (schedule,)
    if isinstance(schedule, Path | Steps):
        return schedule.values
    return (schedule.start, schedule.end) if isinstance(schedule, Cosine | Linear) else ()


def images_of(count: int | str) -> int:
    """A number of images as people write it: `20000`, `20,000`, `"500k"`, `"2M"`, `"1.5M"`; UsageError for others.

    A comma stands before three digits; elsewhere, as in `1,5M`, it is refused, because it may be meant as a point.

    >>> images_of("2M"), images_of("1.5k"), images_of("20,000"), images_of(64)
    (2000000, 1500, 20000, 64)
    """
    text = str(count).strip().lower().replace("_", "")
    if re.fullmatch(r"\d{1,3}(,\d{3})+", text):
        text = text.replace(",", "")
    factor = {"k": 1e3, "m": 1e6, "g": 1e9}.get(text[-1:], 1)
    try:
        number = float(text[:-1] if factor > 1 else text) * factor
    except ValueError:
        number = math.nan
    if not 1 <= number <= 1e12:
        raise UsageError(f"{count!r} is no number of images; write for example 20000, 500k or 2M")
    return round(number)
