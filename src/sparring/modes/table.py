"""Trials summed up: means with 95 % intervals over the seeds, tests against the plain GAN, beside published rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sparring.data.points import MIXTURES
from sparring.metrics.intervals import mean_interval
from sparring.metrics.modes import ModeCount
from sparring.metrics.significance import holm, larger
from sparring.modes.protocols import Protocol
from sparring.modes.published import PUBLISHED
from sparring.modes.trial import Trial

__all__ = ["Mean", "Row", "Summary", "as_markdown", "summarise"]

BASELINE = "gan"

_MEASURES: dict[str, tuple[str, Callable[[ModeCount], float], int]] = {
    "captured": ("modes", lambda c: c.captured, 1),
    "near": ("near a mode (3 sigma)", lambda c: c.near, 1),
    "core_ratio": ("core width", lambda c: c.core_ratio, 0),
    "divergence": (
        "KL of the histogram",
        lambda c: math.log(c.modes) if math.isnan(c.divergence) else c.divergence,
        -1,
    ),
}
"""Name, words, how to read it, and whether more (1) or less (-1) is better; the core's width should be 1."""


def _measures_of(data: str) -> dict[str, tuple[str, Callable[[ModeCount], float], int]]:
    """Images belong to the mode that a classifier sees, near or far."""
    return _MEASURES if data in MIXTURES else {name: _MEASURES[name] for name in ("captured", "divergence")}


@dataclass(frozen=True)
class Mean:
    """A mean over seeds with its 95 % interval (Student's t, as far as possible); NaN where a seed has no number."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float], most: float = math.inf) -> Mean:
        """From at least one value, none of them below 0 or above `most`; a single one has no interval."""
        if len(values) < 2:
            return cls(values[0], math.nan, math.nan)
        mean, low, high = mean_interval(values)
        return cls(mean, max(low, 0.0), min(high, most))


@dataclass(frozen=True)
class Row:
    """A recipe: its measures, the seeds in them, and p of being better than the baseline, corrected (Holm)."""

    recipe: str
    seeds: int
    diverged: int
    means: dict[str, Mean]
    better: dict[str, float]


@dataclass(frozen=True)
class Summary:
    """A benchmark: what was done, in words, the rows, the trials, and the same count on real samples."""

    data: str
    protocol: Protocol
    rows: tuple[Row, ...]
    trials: tuple[Trial, ...]
    control: ModeCount | None

    def to_json(self) -> dict[str, Any]:
        """Plain values; numbers that do not exist are null."""
        plain: dict[str, Any] = _plain(
            {
                "data": self.data,
                "about": about(self.data),
                "protocol": {"name": self.protocol.name, "words": self.protocol.words},
                "rows": [asdict(row) for row in self.rows],
                "control": None if self.control is None else asdict(self.control),
                "trials": [trial.to_json() for trial in self.trials],
                "published": [asdict(row) for row in PUBLISHED[self.data]],
            }
        )
        return plain


def about(data: str) -> str:
    """The data in numbers."""
    if data in MIXTURES:
        mixture = MIXTURES[data]
        reach = float((mixture.centres**2).sum(1).max() ** 0.5)
        return (
            f"{len(mixture.centres)} round Gaussians, sigma {mixture.sigma}, the farthest {reach:.3g} from the centre"
        )
    return "three MNIST digits in three colours, 1,000 modes; told apart by grey28, 99.30 % right on the test digits"


def summarise(data: str, protocol: Protocol, trials: Sequence[Trial], control: ModeCount | None) -> Summary:
    """Rows in the order of the trials' recipes, with tests against the baseline where it is among them."""
    words, measures = list(dict.fromkeys(trial.recipe for trial in trials)), _measures_of(data)
    values = {
        word: {name: [read(t.count) for t in trials if t.recipe == word] for name, (_, read, _) in measures.items()}
        for word in words
    }
    tests = {
        (word, name): _p(values[word][name], values[BASELINE][name], better)
        for name, (_, _, better) in measures.items()
        for word in words
        if better and word != BASELINE and BASELINE in values
    }
    corrected = dict(zip(tests, holm(list(tests.values())), strict=True))
    most = {"captured": float(trials[0].count.modes), "near": 1.0}
    rows = [
        Row(
            word,
            seeds=len(values[word]["captured"]),
            diverged=sum(t.diverged for t in trials if t.recipe == word),
            means={name: Mean.of(found, most.get(name, math.inf)) for name, found in values[word].items()},
            better={name: p for (who, name), p in corrected.items() if who == word},
        )
        for word in words
    ]
    return Summary(data, protocol, tuple(rows), tuple(trials), control)


def as_markdown(summary: Summary) -> str:
    """The benchmark as a page: table, tests in words, published rows and what differs."""
    measures = _measures_of(summary.data)
    first = about(summary.data)
    lines = [
        f"{first[0].upper()}{first[1:]}. Protocol {summary.protocol.name}: {summary.protocol.words}; "
        f"{summary.protocol.samples:,} samples of the last weights. Means over seeds with 95 % intervals.",
        "",
        _line("recipe", "seeds", *(words for words, _, _ in measures.values()), "better than gan"),
        _line(*["---"] * (3 + len(measures))),
    ]
    lines += [_row(row) for row in summary.rows]
    if summary.control is not None:
        real = [_text(name)(read(summary.control)) for name, (_, read, _) in measures.items()]
        lines.append(_line("*real samples*", "", *real, ""))
    lines += ["", _conclusion(summary), ""]
    if summary.data in MIXTURES:
        lines += ["A perfect generator has 98.89 % of its samples near a mode, and a core width of 1.", ""]
    if PUBLISHED[summary.data]:
        lines += ["| published | method | modes | near a mode | KL | what differs |", "|---|---|---|---|---|---|"]
        lines += [
            f"| {p.source} | {p.method} | {p.captured} | {p.near or ''} | {p.divergence or ''} | {p.differs} |"
            for p in PUBLISHED[summary.data]
        ]
    return "\n".join(lines) + "\n"


def _row(row: Row) -> str:
    seeds = f"{row.seeds}, {row.diverged} diverged" if row.diverged else f"{row.seeds}"
    means = [_interval(mean, _text(name)) for name, mean in row.means.items()]
    return _line(f"`{row.recipe}`", seeds, *means, _verdict(row))


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _text(name: str) -> Callable[[float], str]:
    """How a measure is written."""
    return {
        "captured": lambda value: f"{value:.1f}",
        "near": lambda value: f"{100 * value:.1f} %",
        "core_ratio": _number,
        "divergence": lambda value: _number(value, 3),
    }[name]


def _verdict(row: Row) -> str:
    """The measures in which a recipe beats the baseline, with corrected p."""
    if not row.better:
        return ""
    shown = [f"{_MEASURES[name][0]} (p {_p_text(p)})" for name, p in row.better.items() if p < 0.05]
    return ", ".join(shown) or "no evidence"


def _conclusion(summary: Summary) -> str:
    tested = [row for row in summary.rows if row.better]
    if not tested:
        return "No test against the plain GAN: it is not among the recipes."
    never = [f"`{row.recipe}`" for row in tested if min(row.better.values()) >= 0.05]
    text = (
        f"One-sided permutation tests against `{BASELINE}` over seeds, {len(tested)} recipe{'s' * (len(tested) > 1)} "
        f"and {len(tested[0].better)} measures, p corrected by Holm's method."
    )
    tests = sum(len(row.better) for row in tested)
    ways = math.comb(2 * tested[0].seeds, tested[0].seeds)
    if tests / ways >= 0.05:
        text = f"{text} So few seeds cannot give a corrected p below {min(tests / ways, 1):.2g}: more would."
    return f"{text} No evidence of an improvement for {', '.join(never)}." if never else text


def _p(values: Sequence[float], baseline: Sequence[float], better: int) -> float:
    """p of being better; 1 where a number is missing."""
    return larger([better * v for v in values], [better * v for v in baseline])


def _interval(mean: Mean, text: Callable[[float], str]) -> str:
    if math.isnan(mean.value):
        return "none"
    return text(mean.value) if math.isnan(mean.low) else f"{text(mean.value)} ({text(mean.low)} to {text(mean.high)})"


def _number(value: float, digits: int = 2) -> str:
    return "none" if math.isnan(value) else f"{value:.{digits}f}"


def _p_text(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _plain(thing: Any) -> Any:
    """NaN as null, all the way down."""
    if isinstance(thing, dict):
        return {key: _plain(item) for key, item in thing.items()}
    if isinstance(thing, list | tuple):
        return [_plain(item) for item in thing]
    return None if isinstance(thing, float) and math.isnan(thing) else thing
