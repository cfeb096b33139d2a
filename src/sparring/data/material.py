"""Images on their way from a source to a data set: already uint8, sized and counted, handed out chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from sparring.data.options import Options
from sparring.data.report import IntakeReport

__all__ = ["FileStamp", "Material", "Pixels", "Source"]

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Material:
    """What every source delivers.

    `chunks()` yields uint8 `[k, c, h, w]` blocks, in order, `count` images in all, as often as it is called. `waiting`
    is the temporary file they come from, where there is one.
    """

    count: int
    shape: tuple[int, int, int]
    chunks: Callable[[], Iterator[Pixels]]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    report: IntakeReport
    waiting: IO[bytes] | None = None

    def close(self) -> None:
        """Gives back the temporary file; `chunks` must not be called afterwards."""
        if self.waiting is not None:
            self.waiting.close()


@dataclass(frozen=True)
class FileStamp:
    """A file as the cache knows it: name inside the source, bytes, and modification time in nanoseconds."""

    name: str
    size: int
    modified: int

    @classmethod
    def of(cls, path: Path) -> FileStamp:
        """The stamp of one file on disk. Raises OSError."""
        facts = path.stat()
        return cls(path.name, facts.st_size, facts.st_mtime_ns)


class Source(Protocol):
    """A place images come from: cheap to list, expensive to prepare."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    @property
    def root(self) -> Path:
        """Where it is, absolute."""

    @property
    def stamps(self) -> tuple[FileStamp, ...]:
        """Every file it is made of; a change in any of them means new material."""

    def prepare(self, options: Options) -> Material:
        """Reads and converts everything. Raises DataError."""
