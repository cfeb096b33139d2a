"""Many trainings: interruptible ones, side by side in processes of their own, and a journal of what is done."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparring.data.loader import Loader
from sparring.engine.checkpoint import newest, read, save
from sparring.engine.devices import Devices
from sparring.engine.rounds import rounds
from sparring.engine.state import State
from sparring.errors import DivergedError, FileUnusableError, SparringError
from sparring.recipe import BoundRecipe
from sparring.recipe_file import identity

__all__ = ["Journal", "play", "side_by_side"]

_SECONDS_BETWEEN_SAVES = 60


def play(
    bound: BoundRecipe, loader: Loader, state: State, devices: Devices, *, length: int, keep: Path | None = None
) -> bool:
    """Play `length` rounds in all; False where the numbers stopped being finite, before the round that did it.

    With `keep`, a folder, the state is saved there now and then, and a later call with the same recipe and seed goes on
    from it, bit for bit. At the end the folder is removed.
    """
    mark = identity(bound, state.seed)
    if keep is not None and (found := newest(keep)) is not None:
        tensors, record = read(found)
        if record.get("recipe") == mark:
            state.load(tensors, record)
    playing = rounds(bound, loader, seed=state.seed, state=state, devices=devices)
    saved = time.monotonic()
    try:
        while state.round < length:
            next(playing)
            if keep is not None and state.round < length and time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                keep.mkdir(parents=True, exist_ok=True)
                save(keep, state.tensors(), {**state.scalars(), "recipe": mark})
                saved = time.monotonic()
    except DivergedError:
        return False
    if keep is not None:
        shutil.rmtree(keep, ignore_errors=True)
    return True


@dataclass(frozen=True)
class Journal:
    """A file of JSON lines, one a trial, that a later call goes on with; nothing is kept without a folder."""

    folder: Path | None
    name: str = "trials.jsonl"

    def read(self) -> list[dict[str, Any]]:
        """The trials so far, without a line that a kill tore; raises FileUnusableError for what is no journal."""
        if self.folder is None or not (self.folder / self.name).exists():
            return []
        *lines, last = (self.folder / self.name).read_text().split("\n")
        try:
            found = [json.loads(line) for line in lines]
        except ValueError as error:
            raise FileUnusableError(f"{self.folder / self.name} is damaged ({error}); remove the line") from error
        if last:
            with (self.folder / self.name).open("r+") as file:
                file.truncate(len("\n".join([*lines, ""]).encode()))
        return found

    def append(self, trial: dict[str, Any]) -> None:
        """One more trial."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / self.name).open("a") as file:
            file.write(json.dumps(trial) + "\n")


def side_by_side(commands: Sequence[Sequence[str]], *, jobs: int, threads: int) -> Iterator[Any]:
    """The JSON answers of sparring commands, in their order; `jobs` run at once, each on so many threads.

    Raises SparringError with the last words of a command that failed.
    """
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda words: _answer(words, threads), commands)


def _answer(words: Sequence[str], threads: int) -> Any:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "sparring", *words, "--threads", str(threads), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["nothing was said"]
        raise SparringError(f"sparring {' '.join(words)} failed: {said[-1].removeprefix('sparring: ')}")
    return json.loads(done.stdout)
