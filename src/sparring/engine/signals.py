"""A polite stop: the first signal asks, the second ends at once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, final

__all__ = ["StopRequest", "Stopped", "interrupting", "listening"]

_HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none


@final
class Stopped(KeyboardInterrupt):
    """A person or a scheduler asked to stop, with this signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


@final
class StopRequest:
    """Whether a person or a scheduler asked to stop, and with which signal; processes that it follows are told too."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._children: list[subprocess.Popen[Any]] = []

    def ask(self, number: int, frame: FrameType | None = None) -> None:
        """Take note of a signal; at the second one the process ends, and the last checkpoint stands.

        A hangup is never that second one: a terminal that is closed may send it twice, by its shell and by itself.
        """
        again = self.signal is not None
        if again and number == _HANGUP:
            return
        self.tell(number)
        if again:
            if os.isatty(2):
                _say(b"\x1b[?25h")  # the cursor, which the bar has hidden
            os._exit(128 + number)
        _say(b"\nstopping after this round, and saving (once more ends it at once)\n")

    def follow(self, child: subprocess.Popen[Any]) -> None:
        """Let a child hear every signal too, also one that came before it did."""
        self._children.append(child)
        if self.signal is not None:
            child.send_signal(self.signal)

    def tell(self, number: int) -> None:
        """Stop for a signal, and send it to the children that have not ended."""
        self.signal = number  # first, so that a child that joins meanwhile is not left out
        for child in tuple(self._children):
            with contextlib.suppress(ValueError):  # Windows, whose consoles tell children of Ctrl-C by themselves
                child.send_signal(number)


def _say(words: bytes) -> None:
    """Words on standard error from within a signal's handler, where nothing may wait for a lock.

    Where standard error was closed its number may be that of any file.
    """
    if sys.stderr is not None and not sys.stderr.closed:
        with contextlib.suppress(OSError):  # nobody may be there to read it
            os.write(2, words)


@contextlib.contextmanager
def listening() -> Iterator[StopRequest]:
    """Turn SIGINT, SIGTERM and SIGHUP into a request while the block runs (in the main thread; elsewhere nothing)."""
    request = StopRequest()
    with _handling(request.ask):
        yield request


@contextlib.contextmanager
def interrupting() -> Iterator[None]:
    """Raise Stopped at SIGINT, SIGTERM and SIGHUP while the block runs (in the main thread; elsewhere nothing)."""

    def stop(number: int, frame: FrameType | None = None) -> None:
        raise Stopped(number)

    with _handling(stop):
        yield


@contextlib.contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let a handler take the signals that ask to stop, but for those that are ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    heard = [number for number in heard if signal.getsignal(number) is not signal.SIG_IGN]  # nohup stays nohup
    before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
