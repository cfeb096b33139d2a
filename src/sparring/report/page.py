"""`write_report()`: what a run left behind, put into one page that needs nothing else."""

from __future__ import annotations

import base64
import functools
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from sparring.engine.checkpoint import write_durably
from sparring.engine.rundir import Run
from sparring.recipe import BoundRecipe
from sparring.report import description
from sparring.report.charts import charts, score_name, scores_of, table
from sparring.report.film import Film, Frame, film
from sparring.report.numbers import compact, duration, finite, percent, short, whole
from sparring.report.plot import draw
from sparring.schedule import ends

__all__ = ["Standing", "write_report"]

Standing = Literal["training", "stopped"]

_PATIENCE = 120.0


def write_report(run: Run, *, standing: Standing | None = None) -> Path:
    """Write `report.html` into the run's folder and return its path.

    One file that opens from disk, in any browser, without a server or a network. Of a run that has not seen its
    budget it says that it is `standing`: `training` or `stopped`, by default judged by the age of its log.

    Raises FileUnusableError if the run cannot be read, DiskError if the folder cannot be written.
    """
    path = run.path / "report.html"
    write_durably(path, _page(run, standing).encode(errors="backslashreplace"))  # names of files need not be text
    return path


@dataclass(frozen=True)
class _Tile:
    """A number of the header: what it is, what it says, and a remark."""

    label: str
    words: str
    remark: str = ""


@dataclass(frozen=True)
class _Moment:
    """What the page says beside a frame of the film."""

    seen: str
    share: str
    clock: str


def _page(run: Run, standing: Standing | None) -> str:
    """The whole page, with a content policy that admits nothing but its own style and script."""
    card, bound, records = run.card, run.bound, run.records()
    measured = [record for record in records if finite(record.get("seen")) is not None]
    seen = max([record["seen"] for record in measured] + [at for at, _ in run.grids()], default=0)
    moving = film(run)
    moments = [frame.seen for frame in moving.frames]
    style, script = _asset("page.css"), _asset("page.js")
    loss = bound.recipe.loss
    made = charts(measured, ranked=loss is not None and loss.boundary is None)
    failure = _failure(records) if standing != "training" else None
    return (
        _templates()
        .get_template("page.html")
        .render(
            policy=_policy(style, script),
            style=Markup(style),
            script=Markup(script),
            recipe=bound.recipe,
            data=card["data"]["name"],
            state="diverged" if failure else _state(run, seen, standing),
            failure=failure,
            written=time.strftime("%Y-%m-%d %H:%M"),
            share=min(seen / max(bound.facts.budget, 1), 1.0),
            tiles=[*_score_tiles(measured, seen), *_tiles(bound, seen, measured)],
            protocols=_protocols(measured),
            film=moving,
            moments=_moments(moving, measured, bound.facts.budget),
            drawings=[draw(chart, until=max(seen, 1), moments=moments) for chart in made],
            tables={chart.key: table(chart) for chart in made},
            players=description.players(bound),
            turns=description.turns(bound),
            game=description.game_facts(bound),
            facts=description.data_facts(card),
            origin=description.origin_facts(card, records),
            commands=description.commands(run, seen, diverged=failure is not None),
            alt=_alt,
        )
    )


@functools.cache
def _templates() -> Environment:
    """Jinja with everything escaped and nothing undefined."""
    return Environment(
        loader=FunctionLoader(_asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _asset(name: str) -> str:
    """One of this package's own text files, with plain line ends."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    return (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )


def _hash(text: str) -> str:
    """A source expression of the content security policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _state(run: Run, seen: int, standing: Standing | None) -> str:
    """finished, training or stopped."""
    if standing == "training":
        return standing  # perhaps beyond the budget that it was begun with
    if seen >= run.bound.facts.budget:
        return "finished"
    return standing or ("training" if _age(run) < _PATIENCE else "stopped")


def _failure(records: Sequence[Mapping[str, Any]]) -> str | None:
    """What ended the training, where it diverged and has not gone on since."""
    said = records[-1].get("diverged") if records else None
    return said if isinstance(said, str) else None


def _age(run: Run) -> float:
    """Seconds since the run last wrote anything."""
    paths = [run.path / "recipe.json", run.path / "log.jsonl", *(path for _, path in run.grids()[-1:])]
    return time.time() - max(path.stat().st_mtime for path in paths if path.exists())


def _tiles(bound: BoundRecipe, seen: int, records: Sequence[Mapping[str, Any]]) -> list[_Tile]:
    """Progress, time and speed."""
    budget, batch = bound.facts.budget, max(ends(bound.recipe.batch), default=0)
    remark = f"of {compact(budget)}, {percent(min(seen / max(budget, 1), 1.0))}"
    if seen >= budget + batch:  # a round more than the last of the budget
        remark = f"{compact(budget)} were planned at first"
    tiles = [_Tile("images seen", compact(seen), remark)]
    timed = _timed(records)
    if not timed:
        return tiles
    last, seconds = timed[-1]
    tiles.append(_Tile("time", duration(seconds)))
    speed = last / seconds if seconds else 0.0
    tiles.append(_Tile("images a second", short(round(speed) if speed >= 10 else speed), "over the whole run"))
    shares = [share for share in (finite(r.get("matrix_share")) for r in records) if share]
    if shares:
        tiles.append(_Tile("of the matrix rate", percent(sum(shares) / len(shares)), "that this machine reaches"))
    return tiles


def _timed(records: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    """(seen, seconds) of the records that have a time."""
    pairs = [(r["seen"], finite(r.get("seconds"))) for r in records]
    return [(seen, seconds) for seen, seconds in pairs if seconds is not None]


def _last_scores(records: Sequence[Mapping[str, Any]]) -> tuple[int, list[Mapping[str, Any]]]:
    """The newest scores, and how many images had been seen."""
    return next(((r["seen"], found) for r in reversed(records) if (found := scores_of(r))), (0, []))


def _score_tiles(records: Sequence[Mapping[str, Any]], seen: int) -> list[_Tile]:
    """The newest scores, each with its interval, and by which features, of which images and when it was taken."""
    tiles = []
    at, scores = _last_scores(records)
    for score in scores:
        value, low, high = (finite(score.get(key)) for key in ("value", "low", "high"))
        if value is None:
            continue
        better = {"True": "higher is better", "False": "lower is better"}.get(str(score.get("higher_is_better")), "")
        interval = "" if low is None or high is None else f"{short(low)} to {short(high)}"
        protocol = score.get("protocol")
        told = protocol if isinstance(protocol, Mapping) else {}
        sight = f"by {told['features']}" if "features" in told else ""
        split = str(told.get("split", ""))
        when = f"at {compact(at)} images" if at < seen else ""
        remark = ", ".join(filter(None, [interval, better, sight, split, when]))
        tiles.append(_Tile(score_name(score), short(value), remark))
    return tiles


def _protocols(records: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[tuple[str, str]]]]:
    """How each score was taken: without that it is none."""
    return [
        (score_name(score), [(str(key).replace("_", " "), str(word)) for key, word in protocol.items()])
        for score in _last_scores(records)[1]
        if isinstance(protocol := score.get("protocol"), Mapping)
    ]


def _moments(moving: Film, records: Sequence[Mapping[str, Any]], budget: int) -> list[_Moment]:
    """The caption of each frame; the clock is that of the newest record before it."""
    timed, found = _timed(records), []
    for frame in moving.frames:
        clock = max((seconds for seen, seconds in timed if seen <= frame.seen), default=0.0)
        share = f"{percent(frame.seen / max(budget, 1))} of the run"
        found.append(_Moment(f"{whole(frame.seen)} images", share, duration(clock)))
    return found


def _alt(frame: Frame) -> str:
    """What a frame is, for those who do not see it; not a guess of what it shows."""
    return f"grid of samples after {whole(frame.seen)} images, of the same seeds or images as in every frame"
