"""Many trainings side by side: commands in processes of their own, and a journal of what is done already."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparring.errors import FileUnusableError, SparringError

__all__ = ["Journal", "side_by_side"]


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
