"""Several processes play the game of one: this file, started twice by torchrun, against itself in one process."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from conftest import noise_loader
from sparring.engine.devices import Devices
from sparring.engine.rounds import rounds
from sparring.engine.state import State
from sparring.recipe import Optim
from sparring.recipes.spelling import recipe_named

PLAYED = {"gan+loss=relativistic_average": 2, "gan+augment=ada": 4}
"""Rounds of each: logits that are compared with means over the batch, and a strength that moves in the fourth."""


def played(word: str, devices: Devices) -> dict[str, Tensor]:
    """All weights, and what the game keeps, after so many rounds; plain steps hide no factor."""
    recipe = recipe_named(word, width=4, batch=8)
    plain = {player: Optim(kind="sgd", rate=0.5) for player in recipe.optims}
    fitted = recipe.but(optims=plain, emas={}).bind((1, 8, 8), 0, 96, 1000)
    state = State(fitted, seed=3, device=devices.device)
    for _ in itertools.islice(rounds(fitted, noise_loader((1, 8, 8)), state=state, devices=devices), PLAYED[word]):
        pass
    return {name: t for name, t in state.tensors().items() if ".weights." in name or name.startswith("game.")}


def test_two_processes_play_the_game_of_one(devices: Devices, folder: Path) -> None:
    """Halves of a batch, with gradients and statistics over both, move both processes to where the whole moves one."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", __file__]
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    done = subprocess.run(
        [*command, str(folder)], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for word in PLAYED:
        whole = played(word, devices)
        for rank in (0, 1):
            found = load_file(folder / f"{word}-{rank}.safetensors")
            assert found.keys() == whole.keys()
            for name, tensor in whole.items():
                torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=1e-6, msg=f"{word}: {name}")
    assert whole["game.strength"] > 0


if __name__ == "__main__":
    here = Devices("cpu", threads=1)
    for each in PLAYED:
        save_file(played(each, here), Path(sys.argv[1]) / f"{each}-{here.rank}.safetensors")
    torch.distributed.destroy_process_group()
