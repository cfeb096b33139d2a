"""`train --from`: another run's weights, wherever they fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sparring as sp
from sparring.engine.checkpoint import read
from sparring.errors import FileUnusableError, UsageError

QUIET: dict[str, Any] = {"threads": 1, "progress": "none"}


def images_with(folder: Path, name: str, classes: int, *, side: int = 16) -> Path:
    """A small labelled set."""
    source = np.random.default_rng(classes)
    path = folder / f"{name}.npz"
    images = source.integers(0, 256, (60, side, side), dtype=np.uint8)
    np.savez(path, images=images, labels=np.arange(60) % classes)
    return path


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[sp.Run, Path]:
    folder = tmp_path_factory.mktemp("first")
    recipe = sp.recipe_named("quick+labels=projection", width=4)
    run = sp.train(recipe, images_with(folder, "three", 3), images=200, out=folder / "run", **QUIET)
    return run, folder


def tensors_of(run: sp.Run) -> dict[str, torch.Tensor]:
    return read(run.checkpoint)[0]


def test_other_classes_keep_everything_but_their_tables(
    first: tuple[sp.Run, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, folder = first
    data = images_with(folder, "five", 5)
    from sparring.console import display
    from sparring.engine.devices import Devices
    from sparring.training.session import Wish, prepare

    with display("none") as screen:
        wish = Wish(None, str(data), None, None, 100, None, None, run)
        session = prepare(wish, Devices("cpu", 1), screen, tmp_path / "second")
    theirs = tensors_of(run)
    tables = {"embedding.weight", "network.entry.weight"}  # beside z, whose width depends on the number of classes
    for name, player in session.state.players.items():
        for key, tensor in player.network.state_dict().items():
            same = torch.equal(tensor, theirs[f"players.{name}.weights.{key}"])
            assert same is (key not in tables), key
        assert not player.optimizer.state  # type: ignore[union-attr]
    average = session.state.players["generator"].average
    assert average is not None
    key = "network.head.weight"
    assert torch.equal(average.state_dict()[key], theirs[f"players.generator.average.{key}"])
    assert session.bound.facts.classes == 5
    assert session.bound.facts.budget == 100
    assert session.card["start"] == run.checkpoint.digest
    batch = session.bound.recipe.batch
    assert batch(10**9) == run.bound.recipe.batch(10**9)  # type: ignore[operator]
    assert max(batch.at) == pytest.approx(max(run.bound.recipe.batch.at) / 2)  # type: ignore[union-attr]


def test_a_run_from_another_trains_and_resumes(first: tuple[sp.Run, Path], tmp_path: Path) -> None:
    run, folder = first
    data = images_with(folder, "five", 5)
    recipe = sp.recipe_named("quick+labels=projection+freeze=1", width=4)
    second = sp.train(recipe, data, images=150, start=run, out=tmp_path / "second", **QUIET)
    assert second.generator.classes == 5
    frozen = "players.discriminator.weights.network.layers.0.weight"
    assert frozen in tensors_of(second)
    assert torch.equal(tensors_of(second)[frozen], tensors_of(run)[frozen])
    resumed = sp.train(out=tmp_path / "second", resume=True, images=200, **QUIET)
    assert resumed.checkpoint.seen >= 200


def test_what_does_not_fit(first: tuple[sp.Run, Path], tmp_path: Path) -> None:
    run, folder = first
    data = images_with(folder, "three", 3)
    with pytest.raises(UsageError, match="nothing of the generator of"):
        sp.train(sp.recipes.gan(width=3), data, images=50, start=run, out=tmp_path / "a", **QUIET)
    with pytest.raises(FileUnusableError, match="is not a run"):
        sp.train(data=data, images=50, start=tmp_path / "nowhere", out=tmp_path / "b", **QUIET)
    with pytest.raises(UsageError, match="either start"):
        sp.train(start=run, resume=True, out=run.path, **QUIET)
    assert not (tmp_path / "a" / "recipe.json").exists()
