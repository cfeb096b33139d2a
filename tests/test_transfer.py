"""`train --from`: another run's weights, wherever they fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sparring as sp
from sparring.console import display
from sparring.engine.checkpoint import Checkpoint, checkpoints, read
from sparring.engine.devices import Devices
from sparring.engine.rounds import rounds
from sparring.engine.state import State
from sparring.errors import FileUnusableError, UsageError
from sparring.recipe_file import to_json
from sparring.training.session import Wish, begin, prepare
from sparring.training.transfer import recipe_of
from test_contracts import small

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


def prepared(data: Path, start: sp.Run, out: Path, recipe: sp.Recipe | None = None, images: int = 100) -> Any:
    """A session that begins with another run's weights."""
    with display("none") as screen:
        return prepare(Wish(recipe, str(data), None, None, images, None, None, start), Devices("cpu", 1), screen, out)


def test_other_classes_keep_everything_but_their_tables(first: tuple[sp.Run, Path], tmp_path: Path) -> None:
    run, folder = first
    session = prepared(images_with(folder, "five", 5), run, tmp_path / "second")
    theirs = tensors_of(run)
    for name, player in session.state.players.items():
        for key, tensor in player.network.state_dict().items():
            same = key != "embedding.weight"
            assert not same or torch.equal(tensor, theirs[f"players.{name}.weights.{key}"]), key
        assert not player.optimizer.state
    average = session.state.players["generator"].average
    for key, tensor in average.state_dict().items():
        if key != "embedding.weight":
            assert torch.equal(tensor, theirs[f"players.generator.average.{key}"])
    assert session.bound.facts.classes == 5
    assert session.card["start"] == run.checkpoint.digest
    next(rounds(session.bound, session.loader, state=session.state, devices=session.devices))
    before = theirs["players.generator.average.network.head.weight"]
    moved = (average.state_dict()["network.head.weight"] - before).abs()
    now = session.state.players["generator"].network.state_dict()["network.head.weight"]
    gap = (now - before).abs()
    assert float(moved.max()) < 0.1 * float(gap.max())  # it is not forgotten in its first round


@pytest.mark.parametrize("name", [n for n in sp.recipes.__all__ if n != "unrolled"])
def test_a_recipe_for_another_budget_is_that_recipe(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run hands on, stretched, is what the recipe would have been for the new budget."""
    recipe = small(name, pretrain=0.4, begin=0.4)
    shape = (2 if name == "pix2pix" else 1, 16, 16)
    classes = 2 if name == "cyclegan" else 3
    run = sp.Run(tmp_path)
    run.__dict__["card"] = {"recipe": to_json(recipe.bind(shape, classes, 96, 5_000))}
    monkeypatch.setattr(sp.Run, "checkpoint", Checkpoint(tmp_path, 100, ""))
    stretched = recipe_of(run, 400_000).bind(shape, classes, 96, 400_000)
    fresh = recipe.bind(shape, classes, 96, 400_000)
    assert same_numbers(to_json(stretched), to_json(fresh))


@pytest.mark.parametrize("name", ["progan", "stylegan"])
def test_what_has_grown_does_not_grow_again(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = sp.Run(tmp_path)
    run.__dict__["card"] = {"recipe": to_json(small(name).bind((1, 16, 16), 3, 96, 5_000))}
    monkeypatch.setattr(sp.Run, "checkpoint", Checkpoint(tmp_path, 4_900, ""))
    fitted = recipe_of(run, 400_000).bind((1, 32, 32), 3, 96, 400_000)
    state = State(fitted, seed=0, device=torch.device("cpu"))
    assert fitted.recipe.growth is None
    assert state.players["generator"].network.level == 3.0


def same_numbers(one: Any, two: Any) -> bool:
    """Equal up to rounding."""
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same_numbers(one[key], two[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(two) and all(map(same_numbers, one, two))
    return bool(one == pytest.approx(two)) if isinstance(one, float) else bool(one == two)


def test_weights_are_known_with_labels_and_norms_around_them(tmp_path: Path) -> None:
    data = images_with(tmp_path, "three", 3)
    plain = sp.train(sp.recipes.sngan(width=16).playing(modifiers=()), data, images=70, out=tmp_path / "plain", **QUIET)
    told = sp.recipe_named("sngan+labels=projection", width=16)
    session = prepared(data, plain, tmp_path / "told", told)
    judge = session.state.players["discriminator"].network.state_dict()
    theirs = tensors_of(plain)["players.discriminator.weights.layers.0.0.weight"]
    assert torch.equal(judge["network.layers.0.0.parametrizations.weight.original"], theirs)


def test_layers_that_know_nothing_are_not_frozen(first: tuple[sp.Run, Path], tmp_path: Path) -> None:
    run, _ = first
    colours = tmp_path / "colours.npz"
    np.savez(colours, images=np.zeros((60, 16, 16, 3), np.uint8), labels=np.arange(60) % 3)
    recipe = sp.recipe_named("quick+labels=projection+freeze=1", width=4)
    with pytest.raises(UsageError, match=r"network.layers.0.* would be frozen, but nothing of"):
        prepared(colours, run, tmp_path / "a", recipe)


def test_a_kill_before_the_first_round_loses_nothing(first: tuple[sp.Run, Path], tmp_path: Path) -> None:
    """The other run's weights are in a checkpoint before training begins; without one, nobody begins anew."""
    run, folder = first
    data = images_with(folder, "five", 5)
    session = prepared(data, run, tmp_path / "second")
    begin(session)
    with pytest.raises(FileUnusableError, match="could save the weights that it begins with; remove it"):
        sp.train(out=tmp_path / "second", resume=True, **QUIET)
    second = sp.train(data=data, images=300, start=run, out=tmp_path / "third", **QUIET)
    assert max(c.seen for c in checkpoints(second.path / "checkpoints")) >= 300


def test_a_run_from_another_trains_and_resumes(first: tuple[sp.Run, Path], tmp_path: Path) -> None:
    run, folder = first
    data = images_with(folder, "five", 5)
    recipe = sp.recipe_named("quick+labels=projection+freeze=1", width=4)
    second = sp.train(recipe, data, images=150, start=run, out=tmp_path / "second", **QUIET)
    assert second.generator.classes == 5
    frozen = "players.discriminator.weights.network.layers.0.weight"
    assert frozen in tensors_of(second)
    assert torch.equal(tensors_of(second)[frozen], tensors_of(run)[frozen])
    reworded = recipe.but(summary="the same in other words", papers=())
    resumed = sp.train(reworded, out=tmp_path / "second", resume=True, images=200, **QUIET)
    assert resumed.checkpoint.seen >= 200
    with pytest.raises(UsageError, match="other parameters"):
        sp.train(recipe.but(batch=4), out=tmp_path / "second", resume=True, images=250, **QUIET)


def test_what_does_not_fit(first: tuple[sp.Run, Path], tmp_path: Path) -> None:
    run, folder = first
    data = images_with(folder, "three", 3)
    with pytest.raises(UsageError, match="too little of the generator of"):
        sp.train(sp.recipes.gan(width=3), data, images=50, start=run, out=tmp_path / "a", **QUIET)
    with pytest.raises(UsageError, match="needs classes, and the data have none"):  # not that points have no size
        sp.train(data="moons", images=50, start=run, out=tmp_path / "c", **QUIET)
    with pytest.raises(FileUnusableError, match="is not a run"):
        sp.train(data=data, images=50, start=tmp_path / "nowhere", out=tmp_path / "b", **QUIET)
    with pytest.raises(UsageError, match="either start"):
        sp.train(start=run, resume=True, out=run.path, **QUIET)
    assert not (tmp_path / "a" / "recipe.json").exists()
