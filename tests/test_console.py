"""What a terminal is told, where there is one."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sparring.console import ProgressStyle, display
from sparring.engine.checkpoint import checkpoints
from sparring.engine.signals import StopRequest

COMMAND = [sys.executable, "-m", "sparring"]
TRAIN = ["train", "ring8", "--recipe", "gan", "--width", "8", "--batch", "8", "--threads", "1"]


def test_a_second_signal_gives_the_cursor_back(tmp_path: Path) -> None:
    """The bar hides it; the first signal leaves it to the bar's own end."""
    controller, terminal = os.openpty()
    words = [*COMMAND, *TRAIN, "--images", "2M", "--progress", "bar", "--out", str(tmp_path / "run")]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=terminal, env={**os.environ, "TERM": "xterm"})
    os.close(terminal)
    said = b""
    while b"images/s  D" not in said.rpartition(b"\x1b[?25l")[2]:
        said += os.read(controller, 1 << 16)
    for number in (signal.SIGTERM, signal.SIGINT):  # two different ones: of equal ones only one may be heard
        process.send_signal(number)
    with contextlib.suppress(OSError):  # EIO: nobody holds the terminal any more
        while more := os.read(controller, 1 << 16):
            said += more
    os.close(controller)
    process.wait(timeout=60)
    assert b"\x1b[?25h" in said.rpartition(b"\x1b[?25l")[2]


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("style", ["auto", "bar", "lines"])
def test_without_a_standard_error_nothing_is_said(
    style: ProgressStyle, closed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda _, words: written.append(words))
    stream = io.StringIO() if closed else None
    if stream is not None:
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    with display(style) as screen:
        screen.say("a sentence")
        screen.show({"seen": 10}, until=20)
        StopRequest().ask(signal.SIGINT)
    assert written == []


def test_a_run_whose_standard_error_is_closed_trains_and_stops(tmp_path: Path) -> None:
    """As `2>&-` does; what is opened first may then have the number 2."""
    words = [*COMMAND, *TRAIN, "--images", "2M", "--out", str(tmp_path / "run")]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, preexec_fn=lambda: os.close(2))
    while process.poll() is None and not checkpoints(tmp_path / "run" / "checkpoints"):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    assert (tmp_path / "run" / "LOCK").read_bytes() == b""
