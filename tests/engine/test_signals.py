"""Signals are heard while a run goes on, and given back."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from sparring.engine.signals import listening


def mine(number: int, frame: FrameType | None) -> None:
    """What a program did with a signal before."""


def test_handlers_are_given_back_and_what_is_ignored_stays_so() -> None:
    """As in a notebook, and under nohup."""
    wanted = {signal.SIGINT: mine, signal.SIGTERM: mine, signal.SIGHUP: signal.SIG_IGN}
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        with listening() as request:
            assert signal.getsignal(signal.SIGINT) == request.ask
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert {number: signal.getsignal(number) for number in wanted} == wanted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_elsewhere_than_in_the_main_thread_nothing_is_heard() -> None:
    heard: list[int | None] = []

    def run() -> None:
        with listening() as request:
            heard.append(request.signal)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert heard == [None]
