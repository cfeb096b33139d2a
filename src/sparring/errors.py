"""Everything that can go wrong for a person, in one family: what was wrong, the value, what to do next.

Each member carries the exit code of the command line. A message is one sentence or two; it is all a person sees.
"""

from __future__ import annotations

__all__ = [
    "DataError",
    "DiskError",
    "DivergedError",
    "FileUnusableError",
    "FolderInUseError",
    "Interrupted",
    "ShapeError",
    "SparringError",
    "TooLargeError",
    "UsageError",
]


class SparringError(Exception):
    """Something a person can mend.

    >>> str(SparringError("batch 30 does not split over 4 processes; use 28 or 32"))
    'batch 30 does not split over 4 processes; use 28 or 32'
    """

    exit_code = 2


class UsageError(SparringError):
    """A flag, a name or a number that cannot be meant."""

    exit_code = 2


class ShapeError(UsageError):
    """Data whose shape an architecture cannot have; `nearest` are the sizes (height, width) next to it that it can."""

    def __init__(self, message: str, nearest: tuple[tuple[int, int], ...] = ()) -> None:
        super().__init__(message)
        self.nearest = nearest


class TooLargeError(UsageError):
    """An image that a network can take neither whole nor in tiles."""


class DataError(SparringError):
    """Images that are missing, unreadable, or too few."""

    exit_code = 3


class FileUnusableError(SparringError):
    """A checkpoint, run or weight file that is damaged, foreign or too new."""

    exit_code = 4


class DivergedError(SparringError):
    """Training met numbers that are not finite."""

    exit_code = 5


class FolderInUseError(SparringError):
    """Another process trains in this run folder."""

    exit_code = 6


class DiskError(SparringError):
    """The disk is full or refuses to write."""

    exit_code = 74


class Interrupted(SparringError):  # noqa: N818 - not a fault: a person or a scheduler asked
    """Stopped by a signal, after saving; the exit code is 128 + the signal's number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
