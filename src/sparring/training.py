"""`train()`: rounds plus a run folder, with grids, log, checkpoints, a final score and the report."""

from __future__ import annotations

import itertools
import re
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from sparring import __version__
from sparring.console import Display, ProgressStyle, display
from sparring.data import Dataset, Split, open_data, split_held_out
from sparring.data.loader import Loader
from sparring.data.options import Channels
from sparring.engine.checkpoint import save
from sparring.engine.devices import Devices, machine, matrix_rate
from sparring.engine.pace import measure_pace
from sparring.engine.rounds import Round, rounds
from sparring.engine.rundir import Run
from sparring.engine.sampler import TrainedGenerator
from sparring.engine.signals import StopRequest, listening
from sparring.engine.state import State
from sparring.errors import DataError, DiskError, DivergedError, Interrupted, UsageError
from sparring.evaluation import evaluate, sentence
from sparring.recipe import BoundRecipe, Recipe
from sparring.recipe_file import foreign_modules, to_json
from sparring.recipes.choice import default_recipe
from sparring.report import write_report
from sparring.schedule import images_of
from sparring.tracking import Tracker, tracker

__all__ = ["train"]

_GRID = 64
_GRIDS = 40
_LOGS = 400
_PATIENCE = 5
_CPU_MINUTES, _GPU_MINUTES = 5.0, 60.0


def train(
    recipe: Recipe | None = None,
    data: str | Path | None = None,
    *,
    size: int | tuple[int, int] | None = None,
    channels: Channels = "auto",
    images: int | str | None = None,
    minutes: float | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    device: str | None = None,
    threads: int | None = None,
    progress: ProgressStyle = "auto",
    tensorboard: bool = False,
) -> Run:
    """Train a recipe on images, watchably and resumably, and return the run.

    `data` is a folder, a zip, an .npz or .npy, IDX files, a torchvision name, a 2-D point set, or None for the
    embedded default; `size` is a side or (height, width). The budget is `images` (a number, "500k", "2M") or
    `minutes`, which a short measurement turns into images; with neither, five minutes on a CPU. `out` is the run
    folder, by default a free one under `runs/`. With `resume`, the run in `out` goes on where it stopped, bit for
    bit; then `images` is a new total and `minutes` come on top.

    Raises SparringError's family: UsageError, DataError, FileUnusableError, DivergedError, FolderInUseError,
    DiskError, and Interrupted after a signal, when everything is saved.
    """
    _check(images, minutes, threads, seed)
    devices = Devices(device, threads)
    wish = _Wish(recipe, data, (size, size) if isinstance(size, int) else size, channels, images, minutes, seed)
    trusted = foreign_modules(recipe) if recipe else ()
    with display(progress if devices.main else "none") as screen, listening() as stop:
        if resume:
            run = _run_to_resume(out, trusted)
            with run.locked():
                session = _resume(run, wish, devices, screen)
                return _finish(session, _play(session, stop, screen, tensorboard), screen)
        session = _prepare(wish, devices, screen, out)
        with session.run.locked():
            _begin(session)
            return _finish(session, _play(session, stop, screen, tensorboard), screen)


@dataclass(frozen=True)
class _Wish:
    """What a person asked for."""

    recipe: Recipe | None
    data: str | Path | None
    size: tuple[int, int] | None
    channels: Channels
    images: int | str | None
    minutes: float | None
    seed: int


@final
class _Session:
    """A run about to be played: what it plays, on what, until when."""

    def __init__(
        self, run: Run, bound: BoundRecipe, dataset: Dataset, split: Split, devices: Devices, card: dict[str, Any]
    ) -> None:
        self.run, self.bound, self.dataset, self.split, self.devices, self.card = (
            run, bound, dataset, split, devices, card,
        )  # fmt: skip
        self.until = bound.facts.budget
        self.seed = int(card["seed"])
        self.loader = Loader(dataset, split.train, seed=self.seed, mirror=bound.recipe.mirror)
        self.state = State(bound, seed=self.seed, device=devices.device)
        self.seconds = 0.0


def _check(images: int | str | None, minutes: float | None, threads: int | None, seed: int) -> None:
    """Refuse numbers that cannot be meant, before anything is opened."""
    if images is not None:
        images_of(images)
    if images is not None and minutes is not None:
        raise UsageError("both images and minutes bound the run; give one of them")
    if minutes is not None and not 0 < minutes <= 1e6:
        raise UsageError(f"{minutes} minutes cannot be; give a number above 0, for example 0.5")
    if threads is not None and not 1 <= threads <= 1024:
        raise UsageError(f"{threads} threads cannot be; give a number from 1 to the cores of this machine")
    if not 0 <= seed < 2**63:
        raise UsageError(f"seed {seed} cannot be; give a whole number from 0 to 2**63 - 1")


def _prepare(wish: _Wish, devices: Devices, screen: Display, out: str | Path | None) -> _Session:
    """Open the data, choose and bind the recipe, turn minutes into images, and say all of it."""
    if out is not None:
        _refuse_existing(Run(out))
    dataset = open_data(wish.data, size=wish.size, channels=wish.channels)
    split = split_held_out(dataset)
    for line in dataset.report.lines():
        screen.say(line)
    recipe, reason = (
        (wish.recipe, "as asked") if wish.recipe else default_recipe(dataset.shape, gpu=devices.device.type == "cuda")
    )
    facts = (dataset.shape, len(dataset.classes), len(split.train))
    guess = recipe.bind(*facts, budget=images_of(wish.images) if wish.images else 200_000)
    loader = Loader(dataset, split.train, seed=wish.seed, mirror=recipe.mirror)
    pace = measure_pace(guess, loader, devices)
    minutes = wish.minutes or (_GPU_MINUTES if devices.device.type == "cuda" else _CPU_MINUTES)
    budget = images_of(wish.images) if wish.images else pace.images(minutes)
    bound = recipe.bind(*facts, budget=budget)
    expected = budget * pace.seconds_per_image / 60
    screen.say(
        f"{recipe.name} ({reason}) for {budget / 1000:,.1f} kimg, about {expected:.1f} minutes at "
        f"{1 / pace.seconds_per_image:.0f} images/s on {devices.threads} thread{'s' * (devices.threads > 1)} "
        "(--minutes and --images change it)"
    )
    run = Run(out) if out is not None else _free_run(f"{_slug(dataset.name)}-{recipe.name}")
    run.trust = foreign_modules(recipe)
    card = {
        "sparring": __version__,
        "seed": wish.seed,
        "data": _data_card(wish, dataset, split),
        "machine": machine(devices),
        "operations_per_image": pace.operations_per_image,
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }
    return _Session(run, bound, dataset, split, devices, card)


def _data_card(wish: _Wish, dataset: Dataset, split: Split) -> dict[str, Any]:
    """What a run records of its data, to know it again."""
    return {
        "source": None if wish.data is None else str(wish.data),
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "shape": list(dataset.shape),
        "channels": wish.channels,
        "classes": list(dataset.classes),
        "images": len(dataset),
        "held_out": split.held_out.tolist(),
    }


def _refuse_existing(run: Run) -> None:
    if run.exists:
        raise UsageError(f"{run.path} already holds a run; go on with it by --resume, or choose another --out")
    if run.path.is_dir() and {p.name for p in run.path.iterdir()} - {"LOCK", "samples", "checkpoints"}:
        raise UsageError(f"{run.path} is not empty and holds no run; choose another --out")


def _free_run(name: str) -> Run:
    """The first free folder under `runs/`."""
    candidates = (Path("runs") / (name if k == 1 else f"{name}-{k}") for k in itertools.count(1))
    return Run(next(path for path in candidates if not path.exists()))


def _slug(name: str) -> str:
    """A name that any file system takes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "data"


def _begin(session: _Session) -> None:
    _refuse_existing(session.run)
    session.run.begin(session.bound, session.card)


def _run_to_resume(out: str | Path | None, trust: tuple[str, ...]) -> Run:
    if out is None:
        raise UsageError("resume needs to know which run; give its folder by --out")
    run = Run(out, trust=trust)
    if not run.exists:
        raise UsageError(f"{run.path} holds no run to resume; leave --resume out to begin one")
    return run


def _resume(run: Run, wish: _Wish, devices: Devices, screen: Display) -> _Session:
    """Open a run again, refuse what is not the same, and load its newest intact checkpoint."""
    card, bound = run.card, run.bound
    recorded = card["data"]
    source = recorded["source"] if wish.data is None else wish.data
    if wish.recipe is not None:
        facts = bound.facts
        again = wish.recipe.bind(facts.shape, facts.classes, facts.images, facts.budget)
        if to_json(again) != card["recipe"]:
            raise UsageError(
                f"{run.path} was begun with {bound.recipe.name} and other parameters; leave --recipe and its "
                "parameters out to go on with what it has, or choose another --out"
            )
    size = (recorded["shape"][1], recorded["shape"][2])
    if wish.size not in (None, size):
        raise UsageError(
            f"{run.path} was begun at {size[0]}x{size[1]} pixels; leave --size out, or choose another --out"
        )
    points = size == (1, 1)
    dataset = open_data(source, size=None if points else size, channels=recorded["channels"])
    if dataset.fingerprint != recorded["fingerprint"]:
        raise DataError(
            f"{source or 'the embedded data'} no longer holds what {run.path} was begun with ({recorded['images']} "
            f"images, now {len(dataset)}, or other pixels); restore it, or begin another run"
        )
    session = _Session(run, bound, dataset, split_held_out(dataset), devices, card)
    seen = run.restore(session.state)
    session.seconds = next((r["seconds"] for r in reversed(run.records()) if "seconds" in r), 0.0)
    if wish.images is not None:
        session.until = images_of(wish.images)
    elif wish.minutes is not None:
        session.until = seen + measure_pace(bound, session.loader, devices).images(wish.minutes)
    screen.say(f"going on at {seen / 1000:,.1f} kimg of {session.until / 1000:,.1f}")
    if machine(devices) != card["machine"]:
        changed = [
            f"{k}: {card['machine'].get(k)} -> {v}" for k, v in machine(devices).items() if card["machine"].get(k) != v
        ]
        screen.say(f"not bit for bit what the uninterrupted run would give, because {', '.join(changed)}")
    return session


def _play(session: _Session, stop: StopRequest, screen: Display, tensorboard: bool) -> State:
    """The rounds, with their records, grids and checkpoints; raises Interrupted after saving."""
    state, run = session.state, session.run
    keeper = _Keeper(session, screen, tracker(run.path / "tensorboard") if tensorboard else None)
    if state.seen == 0:
        keeper.grid()
    for played in rounds(
        session.bound, session.loader, seed=session.seed, state=state, devices=session.devices, until=session.until
    ):
        keeper.after(played)
        if stop.signal is not None:
            keeper.checkpoint(last=True)
            write_report(run, standing="stopped")
            raise Interrupted(
                f"stopped and saved at {state.seen / 1000:,.1f} kimg; go on with: "
                f"sparring train --resume --out {shlex.quote(str(run.path))}",
                stop.signal,
            )
    keeper.checkpoint(last=True)
    return state


@final
class _Keeper:
    """Keeps what a run leaves behind: records, grids, checkpoints, each at moments counted in `seen`."""

    def __init__(self, session: _Session, screen: Display, tracking: Tracker | None) -> None:
        self._session, self._screen, self._tracking = session, screen, tracking
        budget = session.bound.facts.budget
        self._log_every = max(budget // _LOGS, 1)
        self._grid_every = max(budget // _GRIDS, 1)
        self._early = [budget // 320, budget // 160, budget // 80]
        self._begun = time.perf_counter()
        self._last_record = (session.state.seen, self._begun)
        self._last_report = self._begun
        self._failures = 0
        self._saved = -1
        dataset = session.dataset
        self._reach = 1.3 * float(dataset.images(session.split.train).abs().max()) if dataset.points else None

    def after(self, played: Round) -> None:
        """Whatever is due after a round: the record before the checkpoint, so that no resume loses a line."""
        before, now = played.seen - played.batch, played.seen
        final = now >= self._session.until
        grid = now // self._grid_every > before // self._grid_every or final
        grid = grid or any(before < early <= now for early in self._early)
        if now // self._log_every > before // self._log_every or final:
            self.record()
        if grid:
            self.grid()
            self.checkpoint(last=False)
            if time.perf_counter() - self._last_report > 20:
                write_report(self._session.run, standing="training")
                self._last_report = time.perf_counter()

    def record(self) -> None:
        """Append the interval's means to the log and show them."""
        session = self._session
        if session.state.bad:
            raise DivergedError(
                f"training diverged before {session.state.seen} images: a loss or gradient was not finite, and no bad "
                "step was taken. Lower the learning rate or raise the penalty's weight"
            )
        seen, now = session.state.seen, time.perf_counter()
        speed = (seen - self._last_record[0]) / max(now - self._last_record[1], 1e-9)
        share = speed * session.card.get("operations_per_image", 0.0) / matrix_rate(session.devices.device.type)
        record = {
            "seen": seen,
            "round": session.state.round,
            "seconds": round(session.seconds + now - self._begun, 3),
            "images_per_second": round(speed, 2),
            "matrix_share": round(share, 4),
            **session.state.notes.means(),
        }
        session.state.notes.clear()
        self._last_record = (seen, now)
        session.run.append(record)
        self._screen.show(record, session.until)
        if self._tracking:
            self._tracking.record(record)

    def grid(self) -> None:
        """Keep a grid from the same z as every other."""
        session = self._session
        player = session.state.players[session.bound.recipe.sampler]
        training = player.network.training
        sampler = TrainedGenerator(player.average or player.network)
        images = sampler.sample(_GRID)
        player.network.train(training)
        path = session.run.keep_grid(session.state.seen, images, reach=self._reach)
        if self._tracking:
            self._tracking.picture(session.state.seen, path)

    def checkpoint(self, *, last: bool) -> None:
        """Save; a full disk is a warning for a while and an error at the end."""
        session = self._session
        if self._saved == session.state.seen:
            return
        if not session.state.finite():
            raise DivergedError(
                f"training diverged at {session.state.seen} images: a weight or moment is not finite; the checkpoint "
                "before it is intact. Lower the learning rate"
            )
        try:
            save(session.run.path / "checkpoints", session.state.tensors(), session.state.scalars())
            self._failures, self._saved = 0, session.state.seen
        except DiskError as error:
            self._failures += 1
            if last or self._failures >= _PATIENCE:
                raise
            self._screen.say(f"{error} (training goes on; attempt {self._failures} of {_PATIENCE})")


def _finish(session: _Session, state: State, screen: Display) -> Run:
    """Score the finished run on its held-out images, write the report, and say where everything is."""
    run = session.run
    run.__dict__.pop("generator", None)
    scores = evaluate(run, metrics=("fid", "kid"), device=session.devices.device)
    run.append({"seen": state.seen, "scores": [score.to_json() for score in scores]})
    report = write_report(run)
    for score in scores:
        screen.say(sentence(score))
    grids = run.grids()
    screen.say(f"samples  {grids[-1][1]}" if grids else "no samples")
    screen.say(f"report   {report}")
    screen.say(f"run      {run.path}")
    return run
