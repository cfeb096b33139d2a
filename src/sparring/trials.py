"""Many trainings: interruptible ones, side by side in processes of their own, and a journal of what is done."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparring.data.loader import Loader
from sparring.engine.checkpoint import checkpoints, newest, read, save
from sparring.engine.devices import Devices
from sparring.engine.rounds import Round, rounds
from sparring.engine.signals import StopRequest, listening
from sparring.engine.state import State
from sparring.errors import DiskError, DivergedError, FileUnusableError, Interrupted, SparringError, UsageError
from sparring.recipe import BoundRecipe, RecipeWarning
from sparring.recipe_file import identity
from sparring.recipes.spelling import recipe_named

__all__ = ["Journal", "cautions_said", "play", "require_trials", "side_by_side", "slug", "unfinished"]

_SECONDS_BETWEEN_SAVES = 60
_UNFINISHED = "unfinished"
_CAUTION = "warning: "


def play(
    bound: BoundRecipe,
    loader: Loader,
    state: State,
    devices: Devices,
    *,
    until: int,
    about: str,
    keep: Path | None = None,
) -> bool:
    """Play until so many images were seen; False where the numbers stopped being finite, before the step that did it.

    With `keep`, a folder, the state is saved there now and then, and a later call with the same recipe, seed and data
    (`about` names them) goes on from it, bit for bit; with others it begins anew and removes it. Whoever has noted the
    result may remove it. It is also saved there at a signal, which raises Interrupted.
    """
    mark = f"{identity(bound, state.seed)} {about}"
    if keep is not None and (found := newest(keep)) is not None:
        tensors, record = read(found)
        if record.get("recipe") == mark:
            state.load(tensors, record)
        else:  # what has seen more would be taken for the newer one
            for other in checkpoints(keep):
                other.path.unlink(missing_ok=True)
    playing = _finite(rounds(bound, loader, seed=state.seed, state=state, devices=devices, until=until))
    if keep is None:
        return all(playing)
    saved, finite = time.monotonic(), True
    with listening() as stop:
        for finite in playing:
            over = not finite or state.seen >= until
            if stop.signal is None and (over or time.monotonic() - saved <= _SECONDS_BETWEEN_SAVES):
                continue
            if finite:  # else it ended within a round, which nothing can go on from
                save(keep, state.tensors(), {**state.scalars(), "recipe": mark})
            saved = time.monotonic()
            if stop.signal is not None:
                raise Interrupted("stopped and saved; the same command goes on from there", stop.signal)
    return finite


def _finite(playing: Iterator[Round]) -> Iterator[bool]:
    """Whether each round is finite, as they are played; the first that is not is the last."""
    try:
        for _ in playing:
            yield True
    except DivergedError:
        yield False


def unfinished(place: Path | None, name: str) -> Path | None:
    """The folder in which a trial is kept until it is noted, where there is a place for such."""
    return None if place is None else place / _UNFINISHED / name


@dataclass(frozen=True)
class Journal:
    """A file of JSON lines, one a trial, that a later call goes on with; nothing is kept without a folder."""

    folder: Path | None
    name: str

    def open(self) -> list[dict[str, Any]]:
        """The trials so far, without a line that a kill tore; the folder is made before anything is trained.

        Raises DiskError for a folder that cannot be, FileUnusableError for what is no journal.
        """
        if self.folder is None:
            return []
        path = self.folder / self.name
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            *lines, last = (path.read_bytes().decode() if path.exists() else "").split("\n")
            found = [json.loads(line) for line in lines]
        except OSError as error:
            raise DiskError(f"{self.folder} cannot hold trials ({error.strerror}); choose another --out") from error
        except ValueError as error:
            raise FileUnusableError(f"{path} is damaged ({error}); remove it, or choose another --out") from error
        if not all(isinstance(trial, dict) for trial in found):
            raise FileUnusableError(f"{path} is not a journal of trials; remove it, or choose another --out")
        if last:
            with path.open("rb+") as file:
                file.truncate(len("\n".join([*lines, ""]).encode()))
        return found

    def append(self, trial: dict[str, Any], kept: Path | None = None) -> None:
        """One more trial, on the disk; then what was kept of it, to go on from, is not needed any more.

        Raises DiskError.
        """
        if self.folder is None:
            return
        path = self.folder / self.name
        try:
            with path.open("a", newline="\n") as file:
                file.write(json.dumps(trial) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DiskError(f"{path} could not be written ({error.strerror}); free some space, and go on") from error
        if kept is not None:
            shutil.rmtree(kept, ignore_errors=True)

    def close(self) -> None:
        """Leave no empty folder of unfinished trials behind."""
        if self.folder is not None:
            with contextlib.suppress(OSError):  # not there, or another call is at work in it
                (self.folder / _UNFINISHED).rmdir()


def require_trials(recipes: Sequence[str], *, seeds: Sequence[int], jobs: int, threads: int) -> None:
    """Refuse what cannot be meant before anything is trained: unknown recipes, what is repeated, numbers below 1."""
    for word in recipes:
        recipe_named(word)
    if len(set(recipes)) < len(recipes):
        raise UsageError("a recipe with the same seed is the same run; name each only once")
    if len(set(seeds)) < len(seeds):
        raise UsageError("a seed that is given twice says nothing new; name each only once")
    if not recipes or not seeds or min(seeds) < 0:
        raise UsageError("trials need recipes and seeds; give at least one of each, seeds from 0")
    for name, number in (("jobs", jobs), ("threads", threads)):
        if not 1 <= number <= 1024:
            raise UsageError(f"{number} {name} cannot be; give a number from 1")


@contextlib.contextmanager
def cautions_said(say: Callable[[str], None]) -> Iterator[None]:
    """What a recipe warns of is said to the person, once."""
    said: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, RecipeWarning):
            others(message, category, *where, **more)
        elif str(message) not in said:
            said.add(str(message))
            say(f"{_CAUTION}{message}")

    with warnings.catch_warnings():
        warnings.simplefilter("always", RecipeWarning)
        others, warnings.showwarning = warnings.showwarning, show
        yield


def slug(word: str) -> str:
    """A recipe's word as the name of a file, on every system; no two words share one.

    >>> slug("gan"), slug("pacgan+packing=3")
    ('gan', 'pacgan+packing=3')
    """
    plain = re.sub(r"[^A-Za-z0-9_.=+-]", "-", word)[:60]
    mark = hashlib.blake2b(word.encode(), digest_size=4).hexdigest()
    return plain if plain == word and word.strip(".") else f"{plain.strip('.')}-{mark}"


def side_by_side(commands: Sequence[Sequence[str]], *, jobs: int, threads: int) -> Iterator[Any]:
    """The JSON answers of sparring commands as they end; `jobs` run at once, each on so many threads.

    Where a command fails no other is begun, and those that run are still answered; then SparringError is raised with
    the last words and the exit code of the first one that failed. A signal goes to those that run, which save
    themselves; once they have ended Interrupted is raised. Whoever wants no more answers ends them as well.
    """
    failed: BaseException | None = None
    stopped = threading.Event()

    def turn(words: Sequence[str]) -> Any:
        if stopped.is_set() or stop.signal is not None:
            return None
        try:
            return _answer(words, threads, stop)
        except BaseException:
            stopped.set()
            raise

    with listening() as stop, ThreadPoolExecutor(jobs) as pool:
        try:
            for done in as_completed([pool.submit(turn, words) for words in commands]):
                failed = failed or done.exception()
                if done.exception() is None and (answer := done.result()) is not None:
                    yield answer
        except GeneratorExit:
            if stop.signal is None:
                stop.tell(signal.SIGTERM)
            raise
    if stop.signal is not None:
        raise Interrupted("stopped; with an --out, the same command goes on from there", stop.signal)
    if failed is not None:
        raise failed


def _answer(words: Sequence[str], threads: int, stop: StopRequest) -> Any:
    """The answer of one command, whose process hears of signals from us alone, not from the terminal as well."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "sparring", *words, "--threads", str(threads), "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        stop.follow(process)
        out, err = process.communicate()
    if process.returncode:
        silent = "nothing was said"
        if process.returncode < 0:
            silent = f"ended by signal {-process.returncode}; is there memory for so many at once (--jobs)?"
        said = err.strip().splitlines() or [silent]
        error = SparringError(f"sparring {' '.join(words)} failed: {said[-1].removeprefix('sparring: ')}")
        error.exit_code = process.returncode if process.returncode > 1 else error.exit_code
        raise error
    for line in err.splitlines():
        if line.startswith(_CAUTION):
            warnings.warn(line.removeprefix(_CAUTION), RecipeWarning, stacklevel=1)
    return json.loads(out)
