"""Many trainings side by side: what one that fails, or a signal, leaves of the others."""

from __future__ import annotations

import errno
import math
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest

from conftest import noise_loader
from sparring import trials
from sparring.data.loader import Loader
from sparring.engine.checkpoint import newest, read
from sparring.engine.devices import Devices
from sparring.engine.signals import StopRequest
from sparring.engine.state import State
from sparring.errors import DataError, DiskError, Interrupted, SparringError, UsageError
from sparring.recipe import BoundRecipe
from sparring.recipes import gan
from sparring.trials import Journal, cautions_said, play, require_trials, side_by_side

STUB = """
import pathlib, signal, sys, time
word = sys.argv[1]
def end(number, frame):
    if word == "ends":
        print(7)
        sys.exit(0)
    pathlib.Path(word + ".saved").write_text(str(int(number)))
    sys.exit(128 + number)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, end)
pathlib.Path(word + ".runs").touch()
if word == "falls":
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.raise_signal(signal.SIGTERM)
if word == "warns":
    print("warning: batch norm", file=sys.stderr)
    print(7)
    sys.exit(0)
if word == "answers":
    while not pathlib.Path("saves.runs").exists():
        time.sleep(0.01)
    print(7)
    sys.exit(0)
time.sleep(60)
"""


@pytest.fixture
def stub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which `python -m sparring WORD` notes that it runs, and what it was told; it never trains."""
    (folder / "sparring.py").write_text(STUB)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def number(request: pytest.FixtureRequest) -> Iterator[int]:
    """A signal that this process would survive, even where tests in the background ignore it."""
    before = signal.signal(request.param, lambda *_: None)
    yield request.param
    signal.signal(request.param, before)


def test_trials_beside_one_that_fails_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at once: the first fails while the second runs, whose answer is given; the third is never begun."""
    running, failed = threading.Event(), threading.Event()
    begun: list[str] = []

    def answer(words: Sequence[str], threads: int, stop: StopRequest) -> str:
        begun.append(words[0])
        if words[0] == "first":
            assert running.wait(30)
            failed.set()
            raise DataError("no data")
        running.set()
        assert failed.wait(30)
        return words[0]

    monkeypatch.setattr(trials, "_answer", answer)
    answers = side_by_side([["first"], ["second"], ["third"]], jobs=2, threads=1)
    assert next(answers) == "second"
    with pytest.raises(DataError, match="no data"):
        next(answers)
    assert sorted(begun) == ["first", "second"]


def test_a_signal_goes_to_the_children_which_save(stub: Path, number: int) -> None:
    """To this process alone: of two that run one saves and one has just ended, whose answer counts; none follows."""

    def send() -> None:
        while not all((stub / f"{word}.runs").exists() for word in ("saves", "ends")):
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    threading.Thread(target=send).start()
    answers = side_by_side([["saves"], ["ends"], ["never"]], jobs=2, threads=1)
    assert next(answers) == 7
    with pytest.raises(Interrupted) as found:
        next(answers)
    assert found.value.exit_code == 128 + number
    assert (stub / "saves.saved").read_text() == str(int(number))
    assert not (stub / "never.runs").exists()


def test_who_wants_no_more_answers_leaves_nobody_behind(stub: Path) -> None:
    answers = side_by_side([["saves"], ["answers"], ["never"]], jobs=2, threads=1)
    assert next(answers) == 7
    answers.close()
    assert (stub / "saves.saved").read_text() == str(int(signal.SIGTERM))


def test_a_second_signal_ends_children_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is begun between both."""
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    request, told = StopRequest(), Told()
    request.follow(told)  # type: ignore[arg-type]
    request.ask(signal.SIGINT)
    late = Told()
    request.follow(late)  # type: ignore[arg-type]
    assert (told.heard, late.heard, ended) == ([signal.SIGINT], [signal.SIGINT], [])
    request.ask(signal.SIGTERM)
    assert told.heard == late.heard == [signal.SIGINT, signal.SIGTERM]
    assert ended == [143]


class Told:
    """A child that remembers."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    def send_signal(self, number: int) -> None:
        self.heard.append(number)


def test_what_was_kept_of_a_trial_goes_when_the_trial_is_on_the_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = folder / "unfinished" / "trial"
    kept.mkdir(parents=True)
    journal = Journal(folder, "trials.jsonl")
    journal.open()
    synchronised: list[tuple[str, bool]] = []

    def synchronise(_: int) -> None:
        synchronised.append(((folder / "trials.jsonl").read_text(), kept.exists()))

    monkeypatch.setattr(os, "fsync", synchronise)
    journal.append({"seed": 0}, kept)
    assert synchronised == [('{"seed": 0}\n', True)]
    assert not kept.exists()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    kept.mkdir()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskError, match="No space left"):
        journal.append({"seed": 1}, kept)
    assert kept.exists()


def test_a_trial_goes_on_where_one_of_other_data_had_been_farther(
    folder: Path, devices: Devices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "_SECONDS_BETWEEN_SAVES", -1)  # after every round but the last
    bound = gan(width=4, batch=8).bind((2, 1, 1), 0, images=64, budget=1000)
    loader = noise_loader((2, 1, 1), seed=0)
    for until, data in ((80, "those"), (40, "these")):
        state = State(bound, seed=0, device=devices.device)
        assert play(bound, loader, state, devices, until=until, about=data, keep=folder)
    found = newest(folder)
    assert found is not None
    assert found.seen == 32
    assert read(found)[1]["recipe"].endswith(" these")


@pytest.mark.parametrize("kept", [False, True])
def test_a_training_that_diverges_says_so_and_leaves_nothing(
    kept: bool, folder: Path, devices: Devices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One weight that is no number: the first turn has no loss, and such a state is never one to go on from."""
    monkeypatch.setattr(trials, "_SECONDS_BETWEEN_SAVES", -1)  # after every round
    keep = folder if kept else None
    assert play(*poisoned(devices), devices, until=80, about="", keep=keep) is False
    assert not list(folder.iterdir())


def test_a_signal_saves_no_training_that_diverges(
    folder: Path, devices: Devices, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = StopRequest()
    request.signal = signal.SIGTERM
    monkeypatch.setattr(trials, "listening", lambda: nullcontext(request))
    with pytest.raises(Interrupted):
        play(*poisoned(devices), devices, until=80, about="", keep=folder)
    assert not list(folder.iterdir())


def poisoned(devices: Devices) -> tuple[BoundRecipe, Loader, State]:
    """What is played, with a weight of the generator that is no number."""
    bound = gan(width=4, batch=8).bind((2, 1, 1), 0, images=64, budget=1000)
    state = State(bound, seed=0, device=devices.device)
    next(iter(state.players["generator"].parameters.values())).detach().flatten()[0] = math.nan
    return bound, noise_loader((2, 1, 1)), state


def test_a_seed_is_played_once() -> None:
    with pytest.raises(UsageError, match="name each only once"):
        require_trials(["gan"], seeds=[0, 1, 0], jobs=1, threads=1)


def test_a_child_that_is_killed_is_said_to_be(stub: Path) -> None:
    """As by a kernel without memory."""
    with pytest.raises(SparringError, match="sparring falls failed: ended by signal 15; is there memory"):
        list(side_by_side([["falls"]], jobs=2, threads=1))


def test_what_children_warn_of_is_said_once(stub: Path) -> None:
    said: list[str] = []
    with cautions_said(said.append):
        assert list(side_by_side([["warns"], ["warns"]], jobs=2, threads=1)) == [7, 7]
    assert said == ["warning: batch norm"]
