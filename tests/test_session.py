"""What `train` prepares: which images are shown, from which seed, and of what records and grids are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sparring import recipes
from sparring.console import display
from sparring.engine.devices import Devices
from sparring.errors import DiskError, UsageError
from sparring.training.keeper import Keeper
from sparring.training.session import Session, Wish, _free_run, begin, prepare


def session_of(folder: Path, *, out: str = "run", seed: int | None = None, **changes: Any) -> Session:
    """A tiny game on 240 images, of which number k is k in its right half and 255 - k in its left one."""
    images = np.arange(240, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)
    images[:, :, :4] = 255 - images[:, :, :4]
    np.savez(folder / "set.npz", images=images)
    recipe = recipes.gan(width=8, batch=8).but(**changes)
    with display("none") as screen:
        wish = Wish(recipe, str(folder / "set.npz"), None, None, 100, None, seed)
        return prepare(wish, Devices("cpu", 1), screen, folder / out)


def test_no_held_out_image_is_shown(tmp_path: Path) -> None:
    session = session_of(tmp_path)
    shown = set(session.loader.draw(0, 500, slice(None))[0][:, 0, 0, 7].tolist())
    held = set(session.dataset.images(session.split.held_out)[:, 0, 0, 7].tolist())
    assert len(held) == 24
    assert len(shown) == 216
    assert not shown & held


def test_the_seed_is_that_of_weights_and_of_the_order(tmp_path: Path) -> None:
    one, two = (session_of(tmp_path, out=f"run{seed}", seed=seed) for seed in (1, 2))
    assert (one.state.seed, two.state.seed) == (1, 2)
    mine, theirs = one.state.tensors(), two.state.tensors()
    assert not torch.equal(
        mine["players.generator.weights.layers.0.weight"], theirs["players.generator.weights.layers.0.weight"]
    )
    first, second = (session.loader.draw(0, 64, slice(None))[0][:, 0, 0, 7] for session in (one, two))
    assert not torch.equal(first, second)


def test_images_are_mirrored_where_the_recipe_says_so(tmp_path: Path) -> None:
    for mirror in (False, True):
        session = session_of(tmp_path, out=f"run{mirror}", mirror=mirror)
        known = {image.numpy().tobytes() for image in session.dataset.images(session.split.train)}
        shown = session.loader.draw(0, 64, slice(None))[0]
        assert all(image.numpy().tobytes() in known for image in shown) is not mirror


def test_each_record_is_of_its_own_interval(tmp_path: Path) -> None:
    session = session_of(tmp_path)
    with session.run.locked(), display("none") as screen:
        begin(session)
        keeper = Keeper(session, screen, None)
        for number in (1.0, 5.0):
            session.state.notes.add({"right": torch.tensor(number)})
            keeper.record()
    assert [record["right"] for record in session.run.records()] == [1.0, 5.0]


def test_grids_are_of_the_average_and_of_the_same_z_at_any_time(tmp_path: Path) -> None:
    session = session_of(tmp_path)
    player = session.state.players["generator"]
    for tensor in player.network.state_dict().values():
        tensor.fill_(-1.0)
    before = session.grid()[0]
    session.state.seen = 800
    assert torch.equal(session.grid()[0], before)
    assert player.average is not None
    for tensor in player.average.state_dict().values():
        tensor.fill_(0.01)
    assert not torch.equal(session.grid()[0], before)


def test_trainings_without_a_folder_take_one_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where none of them has begun to write: names are taken, not only looked at."""
    monkeypatch.chdir(tmp_path)
    assert [_free_run("a").path for _ in range(3)] == [Path("runs/a"), Path("runs/a-2"), Path("runs/a-3")]
    Path("runs/b").write_text("a file")
    assert _free_run("b").path == Path("runs/b-2")
    monkeypatch.chdir("runs")
    Path("runs").write_text("a file")
    with pytest.raises(DiskError, match=r"runs/a cannot hold a run \(Not a directory\); choose an --out"):
        _free_run("a")


def test_a_run_is_no_part_of_its_own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not go on, nor be measured: what it was trained on would have changed."""
    monkeypatch.chdir(tmp_path)
    pictures = tmp_path / "photos"
    pictures.mkdir()
    for k in range(8):
        Image.new("L", (8, 8), k).save(pictures / f"{k}.png")

    def begun(data: str, out: str | None) -> Path:
        with display("none") as screen:
            wish = Wish(recipes.gan(width=4, batch=4), data, None, None, 100, None, 0)
            return prepare(wish, Devices("cpu", 1), screen, out).run.path

    for data, out in (("photos", "photos/run"), (".", None), ("photos", str(pictures / "a" / "b"))):
        with pytest.raises(UsageError, match=r"lies in the data \(.*\), to which it would be added"):
            begun(data, out)
    for data in ("ring8", "mnist"):
        with pytest.raises(UsageError, match=f"{data} would be taken for the data of that name"):
            begun(data, data)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]
    assert begun("photos", "photos-run") == Path("photos-run")
    assert begun("ring8", "rings/ring8") == Path("rings/ring8")
