"""CPU time of this process as a clock that stands still while results are looked at."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def at_marks(steps: Iterable[T], marks: list[float]) -> Iterator[tuple[float, T]]:
    """The step that reaches each mark, with the CPU seconds so far; what the caller does with it is not counted."""
    used, begin, left = 0.0, time.process_time(), list(marks)
    for step in steps:
        now = used + time.process_time() - begin
        if now < left[0]:
            continue
        left.pop(0)
        yield now, step
        if not left:
            return
        used, begin = now, time.process_time()
