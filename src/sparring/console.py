"""What a person sees in the terminal while a run goes on: one live line, or plain lines where there is no terminal."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Protocol, TextIO, cast, final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

__all__ = ["Display", "ProgressStyle", "display", "letters", "standard_error", "summary"]

ProgressStyle = Literal["auto", "bar", "lines", "none"]


class Display(Protocol):
    """Something that shows how a run goes."""

    def say(self, text: str) -> None:
        """One sentence that stays."""

    def show(self, record: Mapping[str, Any], until: int) -> None:
        """The newest numbers of a run that is to see `until` images."""


def standard_error() -> TextIO:
    """Standard error as it is now; what is written when it, its terminal or its pipe is closed is lost."""
    return cast(TextIO, _Forgiving(sys.stderr or io.StringIO()))


@contextlib.contextmanager
def display(style: ProgressStyle) -> Iterator[Display]:
    """The display of a style; `auto` is a bar on a terminal and lines elsewhere."""
    if style == "auto":
        style = "bar" if standard_error().isatty() else "lines"
    if style == "bar":
        with _bar() as progress:
            yield _Bar(progress)
    else:
        yield _Lines(silent=style == "none")


def summary(record: Mapping[str, Any]) -> str:
    """The numbers of a record in a few words: speed, the players' losses, how often D is right.

    >>> summary({"images_per_second": 160.2, "discriminator/adversarial": 0.61, "right": 0.71})
    '160 images/s  D 0.610  D right 71 %'
    """
    words = []
    if "images_per_second" in record:
        words.append(f"{record['images_per_second']:.0f} images/s")
    for key in record:
        players, _, term = key.partition("/")
        if term == "adversarial":
            words.append(f"{letters(players)} {record[key]:.3f}")
    if "right" in record:
        words.append(f"D right {100 * record['right']:.0f} %")
    if "real_probability" in record:
        words.append(f"p(real) {record['real_probability']:.2f}/{record['fake_probability']:.2f}")
    return "  ".join(words)


def letters(players: str) -> str:
    """Players of a turn as the field writes them.

    >>> letters("discriminator"), letters("discriminator+generator"), letters("codec")
    ('D', 'D+G', 'codec')
    """
    return "+".join({"discriminator": "D", "generator": "G"}.get(player, player) for player in players.split("+"))


def _bar() -> Progress:
    return Progress(
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[seen]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[numbers]}", style="dim"),
        console=Console(file=standard_error()),
        transient=True,
    )


@final
class _Forgiving(io.TextIOBase):
    """A stream whose refusals to be written to are nobody's concern."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return not self._stream.closed and self._stream.isatty()

    def write(self, text: str, /) -> int:
        with contextlib.suppress(OSError, ValueError):  # it refuses, or is closed
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


@final
class _Bar:
    """A live bar on a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: Any = None

    def say(self, text: str) -> None:
        self._progress.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def show(self, record: Mapping[str, Any], until: int) -> None:
        seen = record["seen"]
        if self._task is None:
            self._task = self._progress.add_task("", total=until, completed=seen, seen="", numbers="")
        self._progress.update(
            self._task, completed=min(seen, until), total=until, seen=f"{seen / 1000:.1f} kimg", numbers=summary(record)
        )


@final
class _Lines:
    """A line every few seconds, for logs and pipes."""

    _SECONDS = 10.0

    def __init__(self, *, silent: bool) -> None:
        self._silent, self._last, self._stream = silent, 0.0, standard_error()

    def say(self, text: str) -> None:
        if not self._silent:
            print(text, file=self._stream, flush=True)

    def show(self, record: Mapping[str, Any], until: int) -> None:
        now = time.monotonic()
        if self._silent or (now - self._last < self._SECONDS and record["seen"] < until):
            return
        self._last = now
        speed = record.get("images_per_second", 0.0)
        seen = min(record["seen"], until)
        left = f"{(until - seen) / speed:.0f} s left  " if speed else ""
        self.say(f"{100 * seen / until:3.0f} %  {record['seen'] / 1000:.1f} kimg  {left}{summary(record)}")
