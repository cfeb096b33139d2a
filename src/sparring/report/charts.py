"""Which charts a run's log gives, and what each says in words."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from sparring.console import letters
from sparring.metrics.wording import title
from sparring.report.numbers import compact, finite, percent, short, whole
from sparring.report.plot import Chart, Point, Series

__all__ = ["charts", "score_name", "scores_of", "table"]

Records: TypeAlias = Sequence[Mapping[str, Any]]

_JUDGES = ("discriminator", "judge")
_KNOWN = frozenset({
    "seen", "round", "seconds", "images_per_second", "matrix_share", "right", "real_logit", "fake_logit",
    "real_probability", "fake_probability",
})  # fmt: skip
_ROWS = 30


def charts(records: Records, *, ranked: bool = False) -> list[Chart]:
    """The charts for which the log has numbers, the contest first and the machine last.

    Where `ranked`, D's logits have no boundary, and "right" counts pairs of which it scores the real one higher.
    """
    records = [record for record in records if finite(record.get("seen")) is not None]
    made = [
        _losses(records),
        _right(records, ranked),
        _logits(records),
        _probabilities(records),
        _terms(records),
        _gradients(records),
        *_notes(records),
        *_scores(records),
        _speed(records),
    ]
    return [chart for chart in made if chart is not None]


def table(chart: Chart) -> tuple[list[str], list[list[str]]]:
    """Head and at most 30 rows of a chart's numbers, evenly thinned, with the first and the last."""
    seens = sorted({seen for series in chart.series for seen, _ in series.points})
    count = min(len(seens), _ROWS)
    chosen = [seens[round(k * (len(seens) - 1) / max(count - 1, 1))] for k in range(count)]
    columns = [dict(series.points) for series in chart.series]
    rows = [[whole(x), *(chart.text(c[x]) if x in c else "–" for c in columns)] for x in chosen]
    return ["images seen", *(series.name for series in chart.series)], rows


def _losses(records: Records) -> Chart | None:
    """What the adversarial term gave each player, against what a D that can only guess would give."""
    series = _by_player(records, "adversarial")
    if not series:
        return None
    sentence = "The last loss is " + _and([f"{_end(s)} for {s.name}" for s in series]) + "."
    references: tuple[tuple[float, str], ...] = ()
    alone = {"D", "G"}.issuperset(s.name for s in series)  # not the sum of players that move at once
    if alone and any("real_probability" in record for record in records):
        g = next((s.points[-1][1] for s in series if s.name == "G"), 1.0)
        # Minimax gives G log(1 - D), which is never positive; non-saturating gives -log D, which is never negative.
        level, word = (math.log(2), "log 2") if g >= 0 else (-math.log(2), "−log 2")
        references = ((math.log(4), "log 4"), (level, word))
        sentence += f" If D could only guess, D's would be log 4 = 1.386 and G's {word} = {short(level)}."
    return Chart("losses", "Losses", sentence, series, references=references)


def _right(records: Records, ranked: bool) -> Chart | None:
    series = _named(records, {"right": ("D", "d")})
    if not series:
        return None
    share = _end(series[0], percent)
    sentence = f"D last judged {share} of the images rightly; 50 % is guessing."
    if ranked:
        sentence = f"D last scored a real image above a fake one in {share} of the pairs; 50 % is guessing."
    return Chart("right", "How often D is right", sentence, series, "share", references=((0.5, "guessing"),))


def _logits(records: Records) -> Chart | None:
    series = _named(records, {"real_logit": ("real", "real"), "fake_logit": ("fake", "g")})
    if not series:
        return None
    sentence = "D's last mean answer is " + _and([f"{_end(s)} for {s.name}s" for s in series]) + "."
    if len(series) == 2:
        gap = _gap(series[0], series[1])
        sentence += f" The gap between them is {_end(gap, words=('shrinking', 'steady', 'widening'))}."
    return Chart("logits", "D's logits", sentence, series, band=len(series) == 2)


def _probabilities(records: Records) -> Chart | None:
    series = _named(records, {"real_probability": ("real", "real"), "fake_probability": ("fake", "g")})
    if not series:
        return None
    believes = _and([f"{_end(s, percent)} for {s.name}s" for s in series])
    sentence = f"The mean probability of being real that D last gave: {believes}; 50 % for both is guessing."
    return Chart("probabilities", "D's probabilities", sentence, series, "share", ((0.5, "½"),), band=len(series) == 2)


def _terms(records: Records) -> Chart | None:
    """Everything a player minimises besides the contest, unweighted."""
    names = dict.fromkeys(k for r in records for k in r if k.count("/") == 1)
    others = [name for name in names if name.partition("/")[2] not in ("adversarial", "gradient")]
    several = len({name.partition("/")[0] for name in others}) > 1
    labels = {k: (f"{_letter(k)} {k.partition('/')[2]}" if several else k.partition("/")[2]) for k in others}
    tones = ["real", "g", "d", "other"]
    series = _named(records, {k: (labels[k], tones[i % len(tones)]) for i, k in enumerate(others)})
    if not series:
        return None
    sentence = "Last, before their weights: " + _and([f"{s.name} {_end(s)}" for s in series]) + "."
    positive = all(value > 0 for s in series for _, value in s.points)
    return Chart("terms", "Penalties and other terms", sentence, series, "log" if positive else "linear")


def _gradients(records: Records) -> Chart | None:
    series = _by_player(records, "gradient", positive=True)
    if not series:
        return None
    largest = max(((s.name, *max(s.points, key=lambda p: p[1])) for s in series), key=lambda found: found[2])
    sentence = (
        "The last norm of the gradient: "
        + _and([f"{s.name} {_end(s)}" for s in series])
        + f". The largest was {largest[0]}'s {short(largest[2])}, at {compact(largest[1])} images (a logarithmic axis)."
    )
    return Chart("gradients", "Gradient norms", sentence, series, "log")


def _speed(records: Records) -> Chart | None:
    series = _named(records, {"images_per_second": ("speed", "other")})
    if not series:
        return None
    values = [value for _, value in series[0].points]
    sentence = f"Typically {short(statistics.median(values))} images a second, lately {short(values[-1])}."
    shares = [x for x in (finite(record.get("matrix_share")) for record in records) if x]
    if shares:
        sentence += f" That is {percent(statistics.median(shares))} of what this machine's matrix products reach."
    return Chart("speed", "Images per second", sentence, series, "zero")


def _notes(records: Records) -> list[Chart]:
    """What games tell besides: the strength of an augmentation, the share of codes in use, ..."""
    names = dict.fromkeys(k for r in records for k, x in r.items() if "/" not in k and finite(x) is not None)
    found = [(name, _named(records, {name: (name.replace("_", " "), "other")})) for name in names if name not in _KNOWN]
    return [
        Chart(f"note-{name}", series[0].name.capitalize(), f"Last {_end(series[0])}.", series)
        for name, series in found
        if series
    ]


def _scores(records: Records) -> list[Chart]:
    """A chart for every score that was taken at least twice."""
    found: dict[str, list[Point]] = {}
    for record in records:
        for score in scores_of(record):
            value = finite(score.get("value"))
            if value is not None:
                found.setdefault(score_name(score), []).append((record["seen"], value))
    made = []
    for k, (name, points) in enumerate(found.items()):
        if len(points) > 1:
            series = Series(name, "d", tuple(points))
            made.append(Chart(f"score-{k}", name, f"{name} was last {_end(series)}.", (series,)))
    return made


def scores_of(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The scores a record holds, none if it holds none."""
    scores = record.get("scores")
    return [score for score in scores if isinstance(score, Mapping)] if isinstance(scores, list) else []


def score_name(score: Mapping[str, Any]) -> str:
    """The name of a score as people write it: `FID`, `Inception score`."""
    return title(str(score.get("name", "score")))


def _by_player(records: Records, term: str, *, positive: bool = False) -> tuple[Series, ...]:
    """One series for each player that has a term of this name."""
    names = dict.fromkeys(k for r in records for k in r if k.endswith(f"/{term}"))
    judges, makers = itertools.cycle(("d", "real")), itertools.cycle(("g", "other"))
    labels = {k: (_letter(k), next(judges if k.startswith(_JUDGES) else makers)) for k in names}
    return _named(records, labels, positive=positive)


def _named(records: Records, labels: Mapping[str, tuple[str, str]], *, positive: bool = False) -> tuple[Series, ...]:
    """The series of some keys that have finite numbers, with (label, tone) of each."""
    found = []
    for key, (label, tone) in labels.items():
        pairs = [(float(record["seen"]), finite(record.get(key))) for record in records]
        points = tuple((seen, y) for seen, y in pairs if y is not None and (y > 0 or not positive))
        gaps = tuple(float(r["seen"]) for r in records if isinstance(r.get(key), float) and not math.isfinite(r[key]))
        if points:
            found.append(Series(label, tone, points, gaps))
    return tuple(found)


def _gap(a: Series, b: Series) -> Series:
    others = dict(b.points)
    return Series("gap", "", tuple((x, abs(y - others[x])) for x, y in a.points if x in others) or ((0.0, 0.0),))


def _end(
    series: Series,
    text: Callable[[float], str] = short,
    *,
    words: tuple[str, str, str] = ("falling", "steady", "rising"),
) -> str:
    """The last value and where it is going: `0.612 (falling)`."""
    last = text(series.points[-1][1])
    trend = _trend([y for _, y in series.points])
    return last if trend is None else f"{last} ({words[trend + 1]})"


def _trend(values: Sequence[float]) -> int | None:
    """-1 falling, 0 steady, 1 rising: the last fifth against the fifth before it; None where there are too few."""
    fifth = len(values) // 5
    if fifth < 2:
        return None
    recent, before = values[-fifth:], values[-2 * fifth : -fifth]
    change = statistics.fmean(recent) - statistics.fmean(before)
    if abs(change) <= statistics.stdev([*recent, *before]) / 2:
        return 0
    return 1 if change > 0 else -1


def _letter(key: str) -> str:
    return letters(key.partition("/")[0])


def _and(parts: Sequence[str]) -> str:
    """Words in a row, as one says them."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
