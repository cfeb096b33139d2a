"""The geometry of a chart: series of numbers in, the coordinates of an SVG out. Knows nothing of GANs."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sparring.report.numbers import compact, percent, short

__all__ = ["Axis", "Chart", "Drawing", "Line", "Point", "Series", "decimate", "draw", "log_ticks", "ticks"]

Point: TypeAlias = tuple[float, float]
Axis: TypeAlias = Literal["linear", "zero", "log", "share"]

WIDTH, HEIGHT = 440, 230
_TOP, _BOTTOM = 12, 204
_LETTER = 7.2  # of the larger letters of narrow pages
_LABEL_GAP = 15.0
_POINTS = 600
_LONGEST = 28


@dataclass(frozen=True)
class Series:
    """A named line through (seen, value), oldest first; `tone` is the class that gives it colour and dashes.

    At `gaps`, moments whose value was not finite, the line is broken.
    """

    name: str
    tone: str
    points: tuple[Point, ...]
    gaps: tuple[float, ...] = ()


@dataclass(frozen=True)
class Chart:
    """What a chart shows, in words and in numbers.

    `axis` is `linear`, `zero` (linear from 0), `log`, or `share` (0 to 1, written in per cent). `references` are
    (value, words) of horizontal lines. `band` shades what lies between the first two series.
    """

    key: str
    title: str
    sentence: str
    series: tuple[Series, ...]
    axis: Axis = "linear"
    references: tuple[tuple[float, str], ...] = ()
    band: bool = False

    def text(self, value: float) -> str:
        """A value as this chart writes it."""
        return percent(value) if self.axis == "share" else short(value)


@dataclass(frozen=True)
class Line:
    """A series as drawn: `spots` are its points where they are too few for a line; `label_y` is the place of its name.

    `heights` and `values` are where it is, and what it says, at each moment of the film, separated by bars.
    """

    name: str
    tone: str
    path: str
    spots: tuple[Point, ...]
    label_y: float
    last: str
    heights: str
    values: str


@dataclass(frozen=True)
class Drawing:
    """A chart with all its coordinates, in units of a `width` x `height` view box."""

    chart: Chart
    left: float
    right: float
    until: float
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    references: tuple[tuple[float, str], ...]
    lines: tuple[Line, ...]
    band: str
    note: str
    width: int = WIDTH
    height: int = HEIGHT
    top: int = _TOP
    bottom: int = _BOTTOM


def draw(chart: Chart, *, until: float, moments: Sequence[float] = ()) -> Drawing:
    """Lay a chart out from 0 to `until` images seen; `moments` are those of the film."""
    low, high, note = _range(chart)
    steps = _steps(chart.axis, low, high)
    words = _words(chart, steps)
    left = 10 + _LETTER * max(map(len, words), default=1)
    longest = max(len(f"{_label(s.name)} {chart.text(s.points[-1][1])}") for s in chart.series)
    right = WIDTH - 12 - _LETTER * longest
    place = _Place(left, right, until, low, high, chart.axis == "log")
    lines = _lines(chart, place, moments)
    return Drawing(
        chart=chart,
        left=round(left, 1),
        right=round(right, 1),
        until=until,
        x_ticks=tuple((place.x(seen), compact(seen)) for seen in ticks(0, until, count=4)),
        y_ticks=tuple((place.y(step), word) for step, word in zip(steps, words, strict=True)),
        references=tuple((place.y(v), word) for v, word in chart.references if low <= v <= high),
        lines=lines,
        band=_band(chart, place) if chart.band else "",
        note=" ".join(filter(None, [note, *map(_not_finite, chart.series)])),
    )


def ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """About `count` round numbers within [low, high], whose step is 1, 2 or 5 times a power of ten.

    >>> ticks(0, 1), ticks(-0.3, 2.2)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 0.5, 1.0, 1.5, 2.0])
    """
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = min((1, 2, 5, 10), key=lambda m: abs(math.log(m * power / raw))) * power
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten within [low, high], every other where many; with doubles and fives where few, else round numbers.

    >>> log_ticks(0.01, 10), log_ticks(0.4, 6), log_ticks(0.2, 30)
    ([0.01, 0.1, 1.0, 10.0], [0.5, 1.0, 2.0, 5.0], [0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0])
    >>> log_ticks(2.1, 4.8)
    [2.5, 3.0, 3.5, 4.0, 4.5]
    """
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    stride = max(math.ceil((last - first) / 6), 1)
    for factors in ((1,), (1, 2, 5)):
        found = [float(f"{m}e{k}") for k in range(first, last + 1, stride) for m in factors]
        inside = [tick for tick in found if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        if len(inside) > 2:
            return inside
    return [tick for tick in ticks(low, high) if tick > 0]


def decimate(points: Sequence[Point], limit: int = _POINTS) -> list[Point]:
    """At most `limit` points: the first, the last, and the lowest and highest of each of equal stretches between.

    >>> decimate([(x, float(x == 50)) for x in range(101)], limit=4)
    [(0, 0.0), (1, 0.0), (50, 1.0), (100, 0.0)]
    """
    if len(points) <= limit:
        return list(points)
    inner, buckets = points[1:-1], max((limit - 2) // 2, 1)
    kept = [points[0]]
    for k in range(buckets):
        stretch = inner[k * len(inner) // buckets : (k + 1) * len(inner) // buckets]
        extremes = {min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])}
        kept += sorted(extremes)
    return [*kept, points[-1]]


def _steps(axis: Axis, low: float, high: float) -> list[float]:
    if axis == "share":
        return [0.0, 0.25, 0.5, 0.75, 1.0]
    return log_ticks(low, high) if axis == "log" else ticks(low, high)


def _words(chart: Chart, steps: Sequence[float]) -> list[str]:
    """What stands at the ticks: of a linear axis with all the digits that tell one from the next."""
    if chart.axis in ("share", "log") or len(steps) < 2:
        return [chart.text(step) for step in steps]
    largest, step = max(map(abs, steps)), steps[1] - steps[0]
    digits = math.floor(math.log10(largest)) - math.floor(math.log10(step) + 1e-9) + 1
    return [short(value, max(digits, 3)) for value in steps]


@dataclass(frozen=True)
class _Place:
    """Where seen and values lie in the view box."""

    left: float
    right: float
    until: float
    low: float
    high: float
    log: bool

    def x(self, seen: float) -> float:
        return round(self.left + (self.right - self.left) * seen / max(self.until, 1e-9), 1)

    def y(self, value: float) -> float:
        f: Callable[[float], float] = math.log10 if self.log else float
        share = (f(value) - f(self.low)) / (f(self.high) - f(self.low))
        return round(_BOTTOM - (_BOTTOM - _TOP) * min(max(share, -0.2), 1.2), 1)

    def height(self, value: float) -> str:
        """`y` as a word, empty outside the frame."""
        y = self.y(value)
        return f"{y:g}" if _TOP <= y <= _BOTTOM else ""


def _range(chart: Chart) -> tuple[float, float, str]:
    """Lowest and highest value of the axis, and a note on what lies outside.

    A few early spikes would flatten everything else, so what is far outside the middle 96 % is cut off, and said.
    """
    if chart.axis == "share":
        return 0.0, 1.0, ""
    points = sorted((p for series in chart.series for p in series.points), key=lambda p: p[1])
    values = [value for _, value in points]
    low, high = values[0], values[-1]
    if chart.axis == "log":
        return (low / 1.5, high * 1.5, "") if high < low * 4 else (low / 1.15, high * 1.15, "")
    edge = len(values) // 50
    q_low, q_high = values[edge], values[-1 - edge]
    span = q_high - q_low
    if high > q_high + span > q_high:
        high = q_high + span / 8
    if low < q_low - span < q_low:
        low = q_low - span / 8
    low = min([low, *(v for v, _ in chart.references), *([0.0] if chart.axis == "zero" else [])])
    high = max([high, *(v for v, _ in chart.references)])
    wide = high - low > 1e-9 * abs(high)  # closer numbers have the same words
    margin = 0.06 * (high - low) if wide else abs(high) / 10 or 1.0
    low, high = (low if low == 0 else low - margin), high + margin
    (first, least), (last, most) = points[0], points[-1]
    above = f"Up to {short(most)} (at {compact(last)}) above the frame." * (most > high)
    below = f"Down to {short(least)} (at {compact(first)}) below the frame." * (least < low)
    return low, high, f"{above} {below}".strip()


def _lines(chart: Chart, place: _Place, moments: Sequence[float]) -> tuple[Line, ...]:
    """The series with their labels kept apart."""
    wanted = [min(max(place.y(s.points[-1][1]), _TOP), _BOTTOM) for s in chart.series]
    found = []
    for series, label_y in zip(chart.series, _spread(wanted), strict=True):
        kept = decimate(series.points)
        at = [_latest(series.points, moment) for moment in moments]
        found.append(
            Line(
                name=_label(series.name),
                tone=series.tone,
                path=_path(kept, place, series.gaps) if len(kept) > 1 else "",
                spots=tuple((place.x(x), place.y(y)) for x, y in kept) if len(kept) == 1 else (),
                label_y=label_y,
                last=chart.text(series.points[-1][1]),
                heights="|".join("" if v is None else place.height(v) for v in at),
                values="|".join("–" if v is None else chart.text(v) for v in at),
            )
        )
    return tuple(found)


def _path(points: Sequence[Point], place: _Place, gaps: Sequence[float] = ()) -> str:
    """A line through points, which begins anew behind a gap."""
    pieces: list[list[Point]] = [[points[0]]]
    for before, point in itertools.pairwise(points):
        broken = bisect.bisect(gaps, point[0]) > bisect.bisect(gaps, before[0])
        pieces += [[point]] if broken else []
        pieces[-1] += [] if broken else [point]
    drawn = ["M" + " ".join(f"{place.x(x):g},{place.y(y):g}" for x, y in piece) for piece in pieces]
    return "".join(one if " " in one else f"{one}h0" for one in drawn)  # of no length, it has round ends


def _not_finite(series: Series) -> str:
    if not series.gaps:
        return ""
    several = len(series.gaps) > 1
    return f"{len(series.gaps)} value{'s' * several} of {series.name} {'were' if several else 'was'} not finite."


def _label(name: str) -> str:
    """A name that leaves most of a chart's width to its lines."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _band(chart: Chart, place: _Place) -> str:
    """The outline of what lies between two lines; empty where there are not two."""
    if len(chart.series) < 2 or len(chart.series[0].points) < 2 or len(chart.series[1].points) < 2:
        return ""
    there, back = (decimate(series.points) for series in chart.series[:2])
    return _path([*there, *reversed(back)], place) + "Z"


def _latest(points: Sequence[Point], moment: float) -> float | None:
    """The value that stood at a moment, None before the first."""
    before = [value for seen, value in points if seen <= moment]
    return before[-1] if before else None


def _spread(heights: Sequence[float]) -> list[float]:
    """Label heights at least a line apart, in their order, and inside the frame."""
    order = sorted(range(len(heights)), key=lambda k: heights[k])
    placed = list(heights)
    for above, k in itertools.pairwise(order):
        placed[k] = max(placed[k], placed[above] + _LABEL_GAP)
    ceiling = float(_BOTTOM)
    for k in reversed(order):
        placed[k] = round(min(placed[k], ceiling), 1)
        ceiling = placed[k] - _LABEL_GAP
    return placed
