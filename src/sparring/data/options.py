"""What a person may choose about an intake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

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
        if self.size is not None and not all(2 <= side <= _MOST_SIDE for side in self.size):
            raise UsageError(
                f"size {self.size[0]}x{self.size[1]} cannot be; give a height and a width from 2 to {_MOST_SIDE}"
            )
        if self.channels not in ("auto", 1, 3, 4):
            raise UsageError(f"channels {self.channels!r} cannot be; give auto, 1, 3 or 4")
        if len(self.background) != 3 or not all(0 <= value <= 255 for value in self.background):
            raise UsageError(f"background {self.background} is no colour; give three numbers from 0 to 255")
        if self.max_side < 16:
            raise UsageError(f"max_side {self.max_side} is too small; give 16 or more")
        if self.reading not in get_args(Reading):
            raise UsageError(f"reading {self.reading!r} cannot be; give one of {', '.join(get_args(Reading))}")


def sides_of(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Height and width, also of a square of which the side is given.

    >>> sides_of(64), sides_of((48, 64)), sides_of(None)
    ((64, 64), (48, 64), None)
    """
    return (size, size) if isinstance(size, int) else size
