"""Many trainings side by side: what one that fails leaves of the others."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from sparring import trials
from sparring.errors import DataError, UsageError
from sparring.trials import check, side_by_side


def test_trials_beside_one_that_fails_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at once: the first fails while the second runs, whose answer is given; the third is never begun."""
    running, failed = threading.Event(), threading.Event()
    begun: list[str] = []

    def answer(words: Sequence[str], threads: int) -> str:
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


def test_a_seed_is_played_once() -> None:
    with pytest.raises(UsageError, match="name each only once"):
        check(["gan"], seeds=[0, 1, 0], jobs=1, threads=1)
