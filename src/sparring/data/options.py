"""What a person may choose about an intake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import Any, Literal, get_args

from sparring.errors import UsageError

__all__ = ["Channels", "Options", "Reading", "sides_of"]

Channels = Literal["auto", 1, 3, 4]
Reading = Literal["images", "tiles", "pairs", "sides"]
_MOST_SIDE = 4096


@dataclass(frozen=True)
class Options:
    """Size (height, width), channels, the colour behind transparent pixels, the largest side chosen unasked, and what
    one image of the data set is made of.

    Raises UsageError for values that cannot be meant.

    >>> Options(size=(64, 0))
    Traceback (most recent call last):
    ...
    sparring.errors.UsageError: size 64x0 cannot be; give a height and a width from 2 to 4096
    """

    size: tuple[int, int] | None = None
    channels: Channels = "auto"
    background: tuple[int, int, int] = (255, 255, 255)
    max_side: int = 64
    reading: Reading = "images"

    def __post_init__(self) -> None:
        if self.size is not None and not _are_sides(self.size):
            shown = "x".join(map(str, self.size)) if isinstance(self.size, tuple) else repr(self.size)
            raise UsageError(f"size {shown} cannot be; give a height and a width from 2 to {_MOST_SIDE}")
        if self.channels not in ("auto", 1, 3, 4):
            raise UsageError(f"channels {self.channels!r} cannot be; give auto, 1, 3 or 4")
        if len(self.background) != 3 or not all(0 <= value <= 255 for value in self.background):
            raise UsageError(f"background {self.background} is no colour; give three numbers from 0 to 255")
        if self.max_side < 16:
            raise UsageError(f"max_side {self.max_side} is too small; give 16 or more")
        if self.reading not in get_args(Reading):
            raise UsageError(f"reading {self.reading!r} cannot be; give one of {', '.join(get_args(Reading))}")


def sides_of(size: int | Sequence[int] | None) -> tuple[int, int] | None:
    """Height and width, also of a square of which the side is given.

    What is neither is given back as it is, for `Options` to refuse.

    >>> sides_of(64), sides_of([48, 64]), sides_of(None)
    ((64, 64), (48, 64), None)
    """
    found = tuple(map(_whole, size)) if isinstance(size, tuple | list) else _whole(size)
    return (found, found) if isinstance(found, int) else found


def _whole(side: Any) -> Any:
    """NumPy's whole numbers, and everybody's, as Python's; what is none as it is."""
    return index(side) if hasattr(side, "__index__") else side


def _are_sides(size: object) -> bool:
    """Whether these are two whole numbers that pictures can measure."""
    sides = size if isinstance(size, tuple) and len(size) == 2 else (0, 0)
    return all(isinstance(side, int) and 2 <= side <= _MOST_SIDE for side in sides)
