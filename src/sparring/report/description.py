"""A run's recipe, data and machine in words and tables."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from sparring.chance import without_memory
from sparring.engine.rundir import Run
from sparring.errors import UsageError
from sparring.names import name_of
from sparring.recipe import BoundRecipe, Ema, Optim, Penalty, Term, Turn
from sparring.report.numbers import compact, finite, short, whole
from sparring.schedule import Cosine, Linear, Path, Steps

__all__ = ["Fact", "Table", "commands", "data_facts", "game_facts", "origin_facts", "players", "shape_words", "turns"]


@dataclass(frozen=True)
class Fact:
    """A label and what stands against it; `code` is shown as typed."""

    label: str
    words: str
    code: bool = False


@dataclass(frozen=True)
class Table:
    """A head and rows of words."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def players(bound: BoundRecipe) -> Table:
    """Who plays: network, settings, parameters, optimiser, average."""
    recipe = bound.recipe
    networks = _networks(bound)
    parts = _keywords(recipe.game)
    rows = []
    for name in dict.fromkeys([*recipe.optims, *networks]):
        network, part = networks.get(name), parts.get(name)
        weights = sum(p.numel() for p in network.parameters()) if network is not None else None
        rows.append(
            (
                name,
                _name(part) if part is not None else type(network).__name__ if network is not None else "–",
                _settings(_keywords(part)) or "–",
                "–" if weights is None else whole(weights),
                _optim_words(recipe.optims[name]) if name in recipe.optims else "does not learn",
                _ema_words(recipe.emas[name]) if name in recipe.emas else "–",
            )
        )
    return Table(("player", "network", "settings", "parameters", "optimiser", "average"), tuple(rows))


def turns(bound: BoundRecipe) -> Table:
    """What happens in a round, in order."""
    rows = [
        (
            str(place),
            " and ".join(turn.players),
            "; ".join(_term_words(term) for term in turn.terms),
            _when_words(turn),
        )
        for place, turn in enumerate(bound.recipe.turns, start=1)
    ]
    return Table(("turn", "who", "minimises", "when"), tuple(rows))


def game_facts(bound: BoundRecipe) -> list[Fact]:
    """The game and the round around it."""
    recipe = bound.recipe
    rest = {key: item for key, item in _keywords(recipe.game).items() if key not in recipe.optims}
    return [
        Fact("game", _name(recipe.game)),
        *(Fact(key.replace("_", " "), _words(item)) for key, item in rest.items()),
        Fact("batch", _words(recipe.batch)),
        *(Fact(f"the {part} begins as", f"that of {g.run} ({g.checkpoint})") for part, g in recipe.given.items()),
        *([] if recipe.growth is None else [Fact("level of growth", _words(recipe.growth))]),
        Fact("mirrored reals", "half of them" if recipe.mirror else "none"),
        *(Fact("constraint", f"{_words(c.apply)} on the {c.player}") for c in recipe.constraints),
        Fact("kept", f"the {recipe.sampler}" + (", averaged" if recipe.sampler in recipe.emas else "")),
    ]


def data_facts(card: Mapping[str, Any]) -> list[Fact]:
    """What a run records of its data."""
    data = card["data"]
    classes, shown = data["classes"], ", ".join(data["classes"][:20])
    return [
        Fact("name", data["name"]),
        *([Fact("source", data["source"], code=True)] if data["source"] else []),
        Fact("items", whole(data["images"])),
        Fact("shape", shape_words(data["shape"])),
        Fact("classes", f"{len(classes)}: {shown}" if classes else "none"),
        Fact("held out", f"{whole(len(data['held_out']))}, never trained on"),
        Fact("fingerprint", data["fingerprint"], code=True),
    ]


def origin_facts(card: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> list[Fact]:
    """Where the run comes from: seed, command, machine, versions, resumptions."""
    facts = [Fact("seed", str(card["seed"]))]
    if card.get("command"):
        facts.append(Fact("command", str(card["command"]), code=True))
    facts += [Fact(str(key), str(word)) for key, word in card.get("machine", {}).items()]
    facts.append(Fact("sparring", str(card.get("sparring", "unknown"))))
    resumed = [at for at in (finite(record.get("resumed_at")) for record in records) if at]
    if resumed:
        facts.append(Fact("resumed at", ", ".join(f"{compact(seen)} images" for seen in resumed)))
    return facts


def commands(run: Run, seen: int, *, diverged: bool = False) -> list[Fact]:
    """How to go on, ready to copy: to the end of the budget, or beyond it where it was seen.

    Not so where training diverged: the same numbers would lead there again.
    """
    path, budget = shlex.quote(str(run.path.absolute())), run.bound.facts.budget
    resume = f"sparring train --resume --out {path}"
    longer = ("train to the end", resume)
    if seen >= budget:
        longer = "train twice as long", f"{resume} --images {2 * seen}"
    further = [] if diverged else [longer]
    if run.bound.recipe.of_images:
        said = [
            ("use it on images of yours", f"sparring translate {path} photos/ made/"),
            *further,
            ("measure it", f"sparring evaluate {path}"),
            ("take it along", f"sparring export {path} --to safetensors"),
        ]
    else:
        said = [
            ("draw 64 new samples", f"sparring sample {path} -n 64 --seed 64 --out samples"),
            *further,
            ("measure it", f"sparring evaluate {path}"),
            ("walk between samples", f"sparring interpolate {path} --seeds 1,2,3 --film walk.gif"),
            ("take the generator along", f"sparring export {path} --to safetensors"),
        ]
    return [Fact(purpose, " ".join([words, *map(shlex.quote, run.trust_words)]), code=True) for purpose, words in said]


def shape_words(shape: Iterable[int]) -> str:
    """(channels, height, width) in words.

    >>> shape_words((1, 28, 28)), shape_words((2, 1, 1))
    ('28 × 28 pixels, grey', 'points of the plane')
    """
    channels, height, width = (int(n) for n in shape)
    if (height, width) == (1, 1):
        return "points of the plane" if channels == 2 else f"points with {channels} coordinates"
    return f"{width} × {height} pixels, " + {1: "grey", 3: "RGB", 4: "RGBA"}.get(channels, f"{channels} channels")


def _networks(bound: BoundRecipe) -> Mapping[str, nn.Module]:
    """The players without memory for their weights; none where a network insists on real tensors."""
    try:
        with without_memory():
            return bound.recipe.game().build(bound.facts.shape, bound.facts.classes)
    except (RuntimeError, TypeError):
        return {}


def _keywords(thing: Any) -> Mapping[str, Any]:
    return thing.keywords if isinstance(thing, functools.partial) else {}


def _settings(keywords: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {_words(item)}" for key, item in keywords.items())


def _name(thing: Any) -> str:
    """A part's own name: `dcgan.Generator` for networks, `TwoPlayerGame` for a game, `hinge` for a loss."""
    if isinstance(thing, functools.partial):
        return _name(thing.func)
    try:
        full = name_of(thing)
    except UsageError:
        return type(thing).__name__
    module, _, member = full.partition(":")
    return f"{module.rpartition('.')[2]}.{member}" if ".networks." in full else member


def _words(thing: Any) -> str:
    """A value of a recipe in words; schedules say where they begin, where they end and how long they take."""
    if isinstance(thing, bool):
        return "yes" if thing else "no"
    if isinstance(thing, int) and abs(thing) >= 10_000:
        return whole(thing)
    if isinstance(thing, int | float):
        return short(thing)
    if isinstance(thing, Cosine):
        warmup = f" after {compact(thing.warmup)} of warm-up" if thing.warmup else ""
        return f"{short(thing.start)} → {short(thing.end)} on a cosine over {compact(thing.over)} images{warmup}"
    if isinstance(thing, Linear):
        begin = f" from {compact(thing.begin)}" if thing.begin else ""
        return f"{short(thing.start)} → {short(thing.end)} on a line over {compact(thing.over)} images{begin}"
    if isinstance(thing, Path):
        stops = zip(thing.values, thing.at, strict=True)
        return ", ".join(short(v) if not at else f"to {short(v)} at {compact(at)}" for v, at in stops)
    if isinstance(thing, Steps):
        steps = zip(thing.values, thing.at, strict=True)
        return ", ".join(short(v) if not at else f"{short(v)} from {compact(at)}" for v, at in steps)
    if isinstance(thing, functools.partial):
        return f"{_name(thing)} ({_settings(thing.keywords)})"
    if isinstance(thing, tuple | list):
        return ", ".join(map(_words, thing)) or "none"
    if isinstance(thing, str) or thing is None:
        return thing or "none"
    return _name(thing)


def _term_words(term: Term | Penalty) -> str:
    weight = "" if term.weight == 1 else f" × {_words(term.weight)}"
    lazy = f", every {term.every} rounds" if isinstance(term, Penalty) and term.every > 1 else ""
    return term.name + weight + lazy


def _when_words(turn: Turn) -> str:
    words = ["every round" if turn.every == 1 else f"every {turn.every} rounds"]
    if turn.times > 1:
        words.append(f"{turn.times} times")
    if turn.begin:
        words.append(f"from {compact(turn.begin)} images")
    if turn.end is not None:
        words.append(f"until {compact(turn.end)} images")
    if turn.batch_fraction != 1:
        words.append(f"with {short(turn.batch_fraction)} of the batch")
    return ", ".join(words)


def _optim_words(optim: Optim) -> str:
    words = [f"{ {'adam': 'Adam', 'sgd': 'SGD', 'rmsprop': 'RMSprop'}[optim.kind] }, rate {_words(optim.rate)}"]
    if optim.kind == "adam":
        words.append(f"betas {_words(optim.betas[0])} and {_words(optim.betas[1])}")
    if optim.momentum:
        words.append(f"momentum {short(optim.momentum)}")
    return "; ".join(words)


def _ema_words(ema: Ema) -> str:
    ramp = f", at first {short(ema.ramp)} of those seen" if ema.ramp else ""
    return f"half-life {_words(ema.halflife)} images{ramp}"
