"""`train()`: open a session, play its rounds, keep what they leave, score the result."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Sequence
from numbers import Real
from operator import index
from pathlib import Path

from sparring.console import Display, ProgressStyle, display
from sparring.data.options import Channels, sides_of
from sparring.engine.devices import Devices
from sparring.engine.rounds import rounds
from sparring.engine.rundir import Run
from sparring.engine.signals import Stopped, StopRequest, interrupting, listening
from sparring.errors import DiskError, DivergedError, Interrupted, SparringError, UsageError
from sparring.evaluation import evaluate
from sparring.game import ImageGame
from sparring.metrics.wording import sentence
from sparring.recipe import Recipe
from sparring.report import write_report
from sparring.schedule import images_of
from sparring.tracking import Tracker, tensorboard_writer, tracker
from sparring.training.keeper import Keeper
from sparring.training.session import Session, Wish, begin, prepare, resume_session, run_to_resume
from sparring.trials import cautions_said

__all__ = ["train"]


def train(
    recipe: Recipe | None = None,
    data: str | Path | None = None,
    *,
    size: int | tuple[int, int] | None = None,
    channels: Channels | None = None,
    images: int | str | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    start: Run | str | Path | None = None,
    resume: bool = False,
    device: str | None = None,
    threads: int | None = None,
    progress: ProgressStyle = "auto",
    tensorboard: bool = False,
    trust: Sequence[str] = (),
) -> Run:
    """Train a recipe on images, watchably and resumably, and return the run.

    `data` is a folder, a zip, an .npz or .npy, IDX files, mnist, cifar10 and others, a 2-D point set, or None for the
    embedded default; `size` is a side or (height, width). The budget is `images` (a number, "500k", "2M") or
    `minutes`, which a short measurement turns into images; with neither, five minutes on a CPU. `out` is the run
    folder, by default a free one under `runs/`. `start` is another run whose weights to begin with, wherever they fit
    (transfer to other data, other classes), by default with its recipe and size.

    With `resume`, the run in `out` goes on where it stopped, bit for bit; then `images` is a new total and `minutes`
    come on top, and `trust` are the modules, beside sparring's own, that the run's recipe may name (those of `recipe`
    are trusted because you hand it over).

    Raises SparringError's family: UsageError, DataError, FileUnusableError, DivergedError, FolderInUseError,
    DiskError, and Interrupted after a signal, when everything is saved.
    """
    _check_kinds(recipe, data, size)
    seed, threads = _whole(seed, "seed"), _whole(threads, "threads")
    _check(images, minutes, threads, seed)
    if tensorboard:
        tensorboard_writer()  # raises what it raises before anything is written
    if start is not None and resume:
        raise UsageError("a run goes on from its own weights; give either start (--from) or resume")
    devices = Devices(device, threads)
    begun = start if isinstance(start, Run) or start is None else Run(start, trust=trust)
    wish = Wish(recipe, data, sides_of(size), channels, images, minutes, seed, begun)
    with display(progress) as screen, cautions_said(screen.say):
        if resume:
            run = run_to_resume(out, wish, trust)
            with run.locked():
                return _train(resume_session(run, wish, devices, screen), screen, tensorboard)
        session = prepare(wish, devices, screen, out)
        with session.run.locked():
            begin(session)
            return _train(session, screen, tensorboard)


def _train(session: Session, screen: Display, tensorboard: bool) -> Run:
    """Play and finish, in a locked folder; of a run that was stopped between the two, finish it."""
    if session.state.seen < session.until:
        tracking: contextlib.AbstractContextManager[Tracker | None] = contextlib.nullcontext()
        if tensorboard:
            tracking = tracker(session.run.path / "tensorboard", session.state.seen)
        with listening() as stop, tracking as told:
            _play(session, stop, screen, told)
    elif _scored(session.run, session.state.seen):
        screen.say(
            f"{session.run.path} has already seen {session.state.seen:,} images; give a larger --images, or --minutes "
            "on top, to train it further"
        )
        return session.run
    return _finish(session, screen)


def _scored(run: Run, seen: int) -> bool:
    """Whether a run was scored at a moment."""
    return any("scores" in record and record.get("seen") == seen for record in run.records())


def _check_kinds(recipe: object, data: object, size: object) -> None:
    """Refuse what is easily mistaken in Python, where nothing has been read from words."""
    if not isinstance(recipe, Recipe | None):
        raise UsageError(
            f"{recipe!r} is no recipe; give sparring.recipes.dcgan() or sparring.recipe_named('dcgan'), and images "
            "by data="
        )
    if not isinstance(data, str | Path | None):
        raise UsageError(f"a {type(data).__name__} is no place of images; give a path, or the name of a set")
    if not (isinstance(size, int | None) or (isinstance(size, tuple | list) and len(size) == 2)):
        raise UsageError(f"size {size!r} cannot be; give a side, or a height and a width")


def _whole(number: int | None, what: str) -> int | None:
    """A whole number of any kind, such as numpy's, as Python's; raises UsageError for what is none."""
    try:
        return None if number is None else index(number)
    except TypeError:
        raise UsageError(f"{what} {number!r} cannot be; give a whole number") from None


def _is_number(thing: object) -> bool:
    return isinstance(thing, Real) and not isinstance(thing, bool)


def _check(images: int | str | None, minutes: float | None, threads: int | None, seed: int | None) -> None:
    """Refuse what cannot be meant, before anything is opened."""
    if images is not None:
        images_of(images)
    if images is not None and minutes is not None:
        raise UsageError("both images and minutes bound the run; give one of them")
    if minutes is not None and not (_is_number(minutes) and 0 < minutes <= 1e6):
        raise UsageError(f"{minutes} minutes cannot be; give a number above 0, for example 0.5")
    if threads is not None and not 1 <= threads <= 1024:
        raise UsageError(f"{threads} threads cannot be; give a number from 1 to the cores of this machine")
    if seed is not None and not 0 <= seed < 2**63:
        raise UsageError(f"seed {seed} cannot be; give a whole number from 0 to 2**63 - 1")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("train() runs in one process; start it without torchrun (sparring.rounds plays in several)")


def _play(session: Session, stop: StopRequest, screen: Display, tracking: Tracker | None) -> None:
    """The rounds, with their records, grids and checkpoints; raises Interrupted after saving."""
    state, run = session.state, session.run
    keeper = Keeper(session, screen, tracking)
    if state.seen == 0:
        if session.inherits:
            keeper.checkpoint(last=True)  # another run's weights must not be lost with a kill before the first one
        keeper.grid()
    try:
        for played in rounds(
            session.bound, session.loader, seed=session.seed, state=state, devices=session.devices, until=session.until
        ):
            keeper.after(played)
            if stop.signal is not None:
                break
        keeper.checkpoint(last=True)
    except DivergedError as error:
        happened = {"seen": state.seen, "diverged": str(error)}
        keeper.tolerate(lambda: run.append(happened))
        keeper.tolerate(lambda: write_report(run, standing="stopped"))
        raise
    if stop.signal is not None:
        keeper.tolerate(lambda: write_report(run, standing="stopped"))
        raise Interrupted(_stopped(session), stop.signal)


def _stopped(session: Session) -> str:
    """What a run that was stopped is told: where it is, and the command that goes on with it."""
    if session.state.seen >= session.until:
        return f"stopped before its score, trained and saved; score it with: {_going_on(session)}"
    return f"stopped and saved at {session.state.seen / 1000:,.1f} kimg; go on with: {_going_on(session)}"


def _going_on(session: Session) -> str:
    """The command that goes on with a run until where it was to end."""
    words = ["sparring", "train", "--resume", "--out", str(session.run.path)]
    if session.until != session.bound.facts.budget:
        words += ["--images", str(session.until)]
    return shlex.join([*words, *session.run.trust_words])


def _metrics(session: Session) -> tuple[str, ...]:
    """What a finished run is measured by: answers one by one as well, where its game's questions have any."""
    game = session.state.game
    if not isinstance(game, ImageGame):
        return "fid", "kid"
    paired = game.task(*session.exhibits).paired
    return ("fid", "kid", "psnr") if paired else ("fid", "kid")


def _score(session: Session, screen: Display) -> None:
    """Measure the newest checkpoint, note the scores in the log, and say them."""
    real, labels, origin = session.reals()
    device = str(session.devices.device)
    found = evaluate(session.run, real, labels=labels, metrics=_metrics(session), device=device)
    scores = [score.beside(**origin) for score in found]
    session.run.append({"seen": session.state.seen, "scores": [score.to_json() for score in scores]})
    for score in scores:
        screen.say(sentence(score))


def _finish(session: Session, screen: Display) -> Run:
    """Score the finished run on its held-out images, write the report, and say where everything is."""
    run = session.run
    try:
        with interrupting():
            _score(session, screen)
    except Stopped as stopped:
        with contextlib.suppress(DiskError):
            write_report(run, standing="stopped")
        raise Interrupted(_stopped(session), stopped.signal) from stopped
    except SparringError as error:
        screen.say(f"not scored: {error}")
    try:
        report = str(write_report(run, standing="stopped"))  # where its whole budget was not seen
    except DiskError as error:
        report = f"not written: {error}"
    screen.say(f"samples  {run.grids()[-1][1]}" if run.grids() else "samples  none were written")
    screen.say(f"report   {report}")
    screen.say(f"run      {run.path}")
    return run
