"""One trial: what its modes are counted of, and what is said of one that diverged."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from sparring.engine.devices import Devices
from sparring.engine.state import State
from sparring.modes import run_modes
from sparring.modes.benchmark import protocol_of
from sparring.modes.table import as_markdown
from sparring.modes.trial import play_trial


def test_modes_are_counted_of_the_last_weights_and_not_of_their_average(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of 0 draw the origin, whatever z is; averaged ones, of 1 here, would draw other points."""

    def play(bound: object, loader: object, state: State, *_: Any, **__: Any) -> bool:
        player = state.players["generator"]
        assert player.average is not None
        for network, number in ((player.network, 0.0), (player.average, 1.0)):
            for tensor in network.state_dict().values():
                tensor.fill_(number)
        return True

    monkeypatch.setattr("sparring.modes.trial.play", play)
    _, samples = play_trial("ring8", protocol_of("ring8", "own", 1), "gan", 0, Devices("cpu", threads=1))
    assert torch.equal(samples, torch.zeros(2500, 2))


@pytest.mark.parametrize(("weight", "diverged"), [(0.0, False), (math.nan, True)])
def test_a_trial_that_diverged_is_said_to_have(weight: float, diverged: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A discriminator whose weights are no numbers has no loss in its very first turn."""

    def endow(state: State, recipe: object) -> None:
        for tensor in state.players["discriminator"].network.state_dict().values():
            tensor.fill_(weight)

    monkeypatch.setattr("sparring.modes.trial.endow", endow)
    said: list[str] = []
    summary = run_modes("ring8", ["gan"], rounds=2, seeds=[0], say=said.append)
    (trial,) = summary.trials
    assert (trial.diverged, trial.rounds) == ((True, 0) if diverged else (False, 2))
    assert said[0].endswith(", diverged") is diverged
    assert ("| `gan` | 1, 1 diverged |" in as_markdown(summary)) is diverged


def test_a_folder_of_the_name_of_a_mixture_is_not_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `modes ring8 --out ring8` leaves one."""
    monkeypatch.chdir(tmp_path)
    summary = run_modes("ring8", ["gan"], rounds=1, seeds=[0], out="ring8", say=lambda text: None)
    assert summary.trials[0].count.modes == 8
