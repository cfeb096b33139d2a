"""A run about to be played: begun from what a person wished for, or resumed from its folder."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from sparring import __version__
from sparring.console import Display
from sparring.data import Dataset, Split, open_data, split_held_out
from sparring.data.loader import Loader
from sparring.data.opening import require_apart
from sparring.data.options import Channels
from sparring.data.points import POINT_SETS
from sparring.data.split import recorded_split
from sparring.engine.checkpoint import checkpoints
from sparring.engine.devices import Devices, machine
from sparring.engine.endowment import endow
from sparring.engine.pace import affordable, measure_pace
from sparring.engine.rundir import Run
from sparring.engine.sampler import TrainedGenerator
from sparring.engine.state import State
from sparring.engine.translator import exhibited, interleaved
from sparring.errors import DataError, DiskError, FileUnusableError, ShapeError, UsageError
from sparring.game import ImageGame
from sparring.networks.layers import Translator
from sparring.paths import expanded
from sparring.pictures import scaled
from sparring.recipe import BoundRecipe, Recipe
from sparring.recipe_file import foreign_modules, from_json, identity, to_json
from sparring.recipes.choice import default_recipe
from sparring.schedule import images_of, value
from sparring.training.transfer import inherit, recipe_of, without_ramps
from sparring.trials import slug

__all__ = ["Session", "Wish", "begin", "prepare", "resume_session", "run_to_resume"]

_CPU_MINUTES, _GPU_MINUTES = 5.0, 60.0
_EXHIBITS = 8
"""Reals of a kind in a grid of a game of images."""

_STANDING = 2
"""Batches for the statistics of a grid's generator, where a recipe asks for any: a look, not a score."""


@dataclass(frozen=True)
class Wish:
    """What a person asked for; None where they did not."""

    recipe: Recipe | None
    data: str | Path | None
    size: tuple[int, int] | None
    channels: Channels | None
    images: int | str | None
    minutes: float | None
    seed: int | None
    start: Run | None = None


@final
class Session:
    """What is played, on what, until when."""

    def __init__(
        self, run: Run, bound: BoundRecipe, dataset: Dataset, split: Split, devices: Devices, card: dict[str, Any]
    ) -> None:
        self.run, self.bound, self.dataset, self.split = run, bound, dataset, split
        self.devices, self.card = devices, card
        self.until = bound.facts.budget
        self.seed = int(card["seed"])
        self.loader = _loader(dataset, split, bound.recipe, self.seed)
        self.state = State(bound, seed=self.seed, device=devices.device)
        self.seconds = 0.0
        self.identity = identity(bound, self.seed)
        self.reach = 1.3 * float(dataset.images(split.train).abs().max()) if dataset.points else None

    @property
    def inherits(self) -> bool:
        """Whether it begins with another run's weights, be it by `start` or by its recipe."""
        return "start" in self.card or bool(self.bound.recipe.given)

    def reals(self) -> tuple[Tensor, Tensor | None, dict[str, str]]:
        """The images to score against, their labels, and what to say of them."""
        places, said = self.split.shown()
        origin = {"data": self.dataset.fingerprint[:16], "split": said}
        return self.dataset.images(places), self.dataset.labels_at(places), origin

    @cached_property
    def exhibits(self) -> tuple[Tensor, Tensor | None]:
        """The reals that grids of a game of images show, in [-1, 1], and their labels."""
        return _exhibits(self.dataset, self.split)

    def grid(self) -> tuple[Tensor, int]:
        """Images of this moment, uint8 `[n, c, h, w]`, and the columns they are to be shown in: always of the same z.

        Of a game whose players make images of images, what they make of the same ones.
        """
        game, recipe = self.state.game, self.bound.recipe
        if isinstance(game, ImageGame):
            translators = {n: p for n, p in self.state.players.items() if isinstance(p.network, Translator)}
            shown = {name: player.shown() for name, player in translators.items()}
            images, labels = self.exhibits
            device = self.devices.device
            columns = exhibited(game, shown, images.to(device), None if labels is None else labels.to(device))
            return interleaved(tuple(columns.values())), 2 * len(columns)
        generator = TrainedGenerator(self.state.players[recipe.sampler].shown(standing=_STANDING))
        return generator.sample(8 * generator.columns), generator.columns


def prepare(wish: Wish, devices: Devices, screen: Display, out: str | Path | None) -> Session:
    """Open the data, choose and bind the recipe, turn minutes into images, and say all of it."""
    run = Run("runs" if out is None else out)
    if out is not None:
        _refuse_existing(run)
    require_apart(wish.data, run.path)
    gpu, seed = devices.device.type == "cuda", wish.seed or 0
    dataset, recipe, reason = _open(wish, screen, gpu=gpu)
    source = wish.start.checkpoint if wish.start else None  # raises what it raises before anything is measured
    split = split_held_out(dataset, reading=recipe.reading)
    loader = _loader(dataset, split, recipe, seed)
    facts = (dataset.shape, len(dataset.classes), len(split.train))
    likely = images_of(wish.images) if wish.images else 200_000
    guess = _for_budget(wish, recipe, likely).bind(*facts, budget=likely)
    _refuse_unreadable(guess)
    pace = measure_pace(guess, loader, devices)
    minutes = wish.minutes or (_GPU_MINUTES if gpu else _CPU_MINUTES)

    def fitted_to(images: int) -> BoundRecipe:
        return _for_budget(wish, recipe, images).bind(*facts, budget=images)

    budget = images_of(wish.images) if wish.images else affordable(fitted_to, pace, minutes)
    bound = fitted_to(budget)
    recipe, pace = bound.recipe, pace.over(bound)
    screen.say(
        f"{recipe.name} ({reason}) for {budget / 1000:,.1f} kimg, about {budget * pace.seconds_per_image / 60:.1f} "
        f"minutes at {1 / pace.seconds_per_image:.0f} images/s on {devices.threads} "
        f"thread{'s' * (devices.threads > 1)}, then its score (--minutes and --images change it)"
    )
    name = Path(sys.argv[0]).name  # __main__.py for `python -m sparring`
    card = {
        "sparring": __version__,
        "seed": seed,
        "data": _data_card(wish, dataset, split),
        "machine": machine(devices),
        # Where what an image costs differs from stage to stage, no share of the machine is better than a false one.
        "operations_per_image": pace.operations_per_image if _costs_the_same(recipe) else 0.0,
        **({"start": source.digest} if source else {}),
        "command": shlex.join(["sparring" if name == "__main__.py" else name, *sys.argv[1:]]),
    }
    session = Session(run, bound, dataset, split, devices, card)
    said = endow(session.state, bound.recipe) + (inherit(session.state, source) if source else [])
    for line in said:
        screen.say(line)
    if out is None:  # nothing can be refused any more, so no empty folder is left behind
        session.run = _free_run(f"{_plain_name(dataset.name)}-{slug(recipe.name)}")
    session.run.trust = foreign_modules(recipe)
    return session


def _refuse_unreadable(bound: BoundRecipe) -> None:
    """Raises UsageError for a recipe that its own file would not give back."""
    try:
        from_json(to_json(bound), trust=foreign_modules(bound.recipe))
    except FileUnusableError as error:
        raise UsageError(f"a run of {bound.recipe.name} could not be read again: {error}") from error


def _costs_the_same(recipe: Recipe) -> bool:
    """Whether an image costs the same at all times."""
    return recipe.growth is None and not any(turn.begin or turn.end is not None for turn in recipe.turns)


def _for_budget(wish: Wish, recipe: Recipe, budget: int) -> Recipe:
    """The recipe; where it is another run's, for a budget of our own."""
    if wish.start is None:
        return recipe
    return without_ramps(recipe if wish.recipe else recipe_of(wish.start, budget))


def _loader(dataset: Dataset, split: Split, recipe: Recipe, seed: int) -> Loader:
    return Loader(dataset, split.train, seed=seed, mirror=recipe.mirror, balanced=recipe.balanced)


def _open(wish: Wish, screen: Display, *, gpu: bool) -> tuple[Dataset, Recipe, str]:
    """The data and the recipe; where nobody chose a size and the images' own cannot be played, the nearest that can."""
    size = wish.size
    points = str(wish.data) in POINT_SETS or (wish.start is not None and wish.start.bound.facts.points)
    if size is None and wish.start is not None and not points:
        size = wish.start.bound.facts.shape[1:]  # as it was learnt
    asked = wish.recipe or (wish.start.bound.recipe if wish.start else None)
    reading = asked.reading if asked else "images"
    dataset = open_data(wish.data, size=size, channels=wish.channels or "auto", reading=reading)
    recipe, reason = _chosen(wish, dataset, gpu=gpu)
    try:
        recipe.bind(dataset.shape, len(dataset.classes), len(dataset), 1000)
    except ShapeError as error:
        if size is not None or not error.nearest:
            raise
        dataset = open_data(wish.data, size=error.nearest[0], channels=wish.channels or "auto", reading=reading)
        reason += f"; it cannot have the images' own size, so they are taken at {dataset.shape[1]}x{dataset.shape[2]}"
    for line in dataset.report.lines():
        screen.say(line)
    return dataset, recipe, reason


def _chosen(wish: Wish, dataset: Dataset, *, gpu: bool) -> tuple[Recipe, str]:
    """The recipe and why it."""
    if wish.recipe:
        return wish.recipe, "as asked"
    if wish.start:
        return wish.start.bound.recipe, f"that of {wish.start.path}"
    return default_recipe(dataset.shape, gpu=gpu)


def _data_card(wish: Wish, dataset: Dataset, split: Split) -> dict[str, Any]:
    """What a run records of its data, to know it again from anywhere."""
    source = None if wish.data is None else str(wish.data)
    if source is not None and expanded(source).exists():
        source = str(expanded(source).resolve())
    return {
        "source": source,
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "shape": list(dataset.shape),
        "channels": wish.channels or "auto",
        "classes": list(dataset.classes),
        "images": len(dataset),
        "held_out": split.held_out.tolist(),
    }


def _refuse_existing(run: Run) -> None:
    """A folder may be missing, empty, or hold what an attempt that never began has left; its name must be text."""
    try:
        str(run.path).encode()
    except UnicodeEncodeError as error:  # safetensors would write there, but not read
        raise UsageError(f"{run.path} has a name that is not UTF-8; choose another --out") from error
    if run.exists:
        raise UsageError(f"{run.path} already holds a run; go on with it by --resume, or choose another --out")
    try:
        inside = list(run.path.iterdir()) if run.path.is_dir() else []
        mine = [p for p in inside if p.name in ("samples", "checkpoints") and p.is_dir() and not any(p.iterdir())]
    except OSError:
        return  # taking the lock will say why
    foreign = [p for p in inside if p not in mine and p.name != "LOCK" and not p.name.startswith(".tmp-")]
    if foreign:
        raise UsageError(f"{run.path} is not empty and holds no run; choose another --out")


def _free_run(name: str) -> Run:
    """The first free folder under `runs/`, made at once, so that no training that begins beside this one takes it."""
    number = 1
    while True:
        path = Path("runs") / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise DiskError(f"{path} cannot hold a run ({error.strerror}); choose an --out") from error
        else:
            return Run(path)


def _plain_name(name: str) -> str:
    """A name that any file system takes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "data"


def _exhibits(dataset: Dataset, split: Split) -> tuple[Tensor, Tensor | None]:
    """A few held out, of each of two kinds as many; training images, of a side or of all, where hardly any were."""
    places, _ = split.shown(2 * _EXHIBITS if split.sides is None else _EXHIBITS)
    labels = dataset.labels_at(places)
    if labels is not None:
        kinds = [places[labels == kind][:_EXHIBITS] for kind in labels.unique()[:_EXHIBITS]]
        places = torch.cat(kinds)[: 2 * _EXHIBITS] if len(kinds) == 2 else places
    places = places[: 2 * _EXHIBITS] if labels is not None else places[:_EXHIBITS]
    return scaled(dataset.images(places)), dataset.labels_at(places)


def begin(session: Session) -> None:
    """Make the folder a run; it is locked already."""
    _refuse_existing(session.run)
    session.run.begin(session.bound, session.card)


def run_to_resume(out: str | Path | None, wish: Wish, trust: Sequence[str]) -> Run:
    """The run in a folder; raises UsageError if there is none."""
    if out is None:
        raise UsageError("resume needs to know which run; give its folder by --out")
    run = Run(out, trust=(*trust, *(foreign_modules(wish.recipe) if wish.recipe else ())))
    if not run.exists:
        raise UsageError(f"{run.path} holds no run to resume; leave --resume out to begin one")
    return run


def resume_session(run: Run, wish: Wish, devices: Devices, screen: Display) -> Session:
    """Open a run again, refuse what is not the same, and load its newest intact checkpoint."""
    card, bound = run.card, run.bound
    _refuse_changes(run, card, bound, wish)
    recorded = card["data"]
    source = recorded["source"] if wish.data is None else wish.data
    size = (recorded["shape"][1], recorded["shape"][2])
    dataset = open_data(
        source,
        size=None if size == (1, 1) else size,
        channels=recorded["channels"],
        reading=bound.recipe.reading,
    )
    if dataset.fingerprint != recorded["fingerprint"]:
        raise DataError(
            f"{source or 'the embedded data'} no longer holds what {run.path} was begun with ({recorded['images']} "
            f"images, now {len(dataset)}, or other pixels); restore it, or begin another run"
        )
    split = recorded_split(dataset, recorded["held_out"], bound.recipe.reading)
    session = Session(run, bound, dataset, split, devices, card)
    if session.inherits:
        if not checkpoints(run.path / "checkpoints"):
            what = "was ended before it could save the weights that it begins with"
            raise FileUnusableError(f"{run.path} {what}; remove it, and begin it again")
        run.checkpoint  # noqa: B018 - without an intact one those weights are gone as well
    seen = run.restore(session.state, session.identity)
    played = (r["seconds"] for r in reversed(run.records()) if "seconds" in r and r.get("seen", 0) <= seen)
    session.seconds = next(played, 0.0)
    if wish.images is not None:
        session.until = images_of(wish.images)
        if session.until <= seen - value(bound.recipe.batch, seen):  # the last round may go beyond
            raise UsageError(f"{run.path} has seen {seen:,} images already; give --images a larger total")
    elif wish.minutes is not None:
        session.until = seen + measure_pace(bound, session.loader, devices).over(bound, seen).images(wish.minutes)
    run.append({"resumed_at": seen})  # only now: one that is refused has played nothing again
    screen.say(f"going on at {seen / 1000:,.1f} kimg of {session.until / 1000:,.1f}")
    now, then = machine(devices), card.get("machine", {})
    changed = [f"{name}: {then.get(name)} -> {value}" for name, value in now.items() if then.get(name) != value]
    if changed:
        screen.say(f"not bit for bit what the uninterrupted run would give, because {', '.join(changed)}")
    return session


def _unworded(bound: BoundRecipe) -> BoundRecipe:
    """The recipe as it plays, without what is only said of it."""
    return replace(bound, recipe=bound.recipe.but(summary="", papers=()))


def _refuse_changes(run: Run, card: dict[str, Any], bound: BoundRecipe, wish: Wish) -> None:
    """A run goes on with what it was begun with; raises UsageError for the first wish that differs."""
    if wish.recipe is not None:
        facts = bound.facts
        recipe = without_ramps(wish.recipe) if "start" in card else wish.recipe  # as when the run was begun
        again = recipe.bind(facts.shape, facts.classes, facts.images, facts.budget)
        if to_json(_unworded(again)) != to_json(_unworded(bound)):
            raise UsageError(
                f"{run.path} was begun with {bound.recipe.name} and other parameters; leave --recipe and its "
                "parameters out to go on with what it has, or choose another --out"
            )
    _, height, width = bound.facts.shape
    if wish.size not in (None, (height, width)):
        raise UsageError(f"{run.path} was begun at {height}x{width} pixels; leave --size out, or choose another --out")
    for flag, asked, had in (
        ("--seed", wish.seed, card["seed"]),
        ("--channels", wish.channels, card["data"]["channels"]),
    ):
        if asked not in (None, had):
            raise UsageError(f"{run.path} was begun with {flag} {had}; leave {flag} out, or choose another --out")
