"""Training as a person calls it, on disks that refuse and with paths as one types them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sparring
from sparring import Run, recipes
from sparring.engine.checkpoint import save
from sparring.engine.sampler import TrainedGenerator, settled
from sparring.errors import DiskError, UsageError
from sparring.recipe import Ema
from sparring.report.page import _state
from sparring.training import keeper

_BUDGET = 9600


def trained(out: str | Path, **options: Any) -> Run:
    """Half a second of a tiny game of points, with 40 moments to keep."""
    recipe = recipes.gan(width=8, batch=16)
    return sparring.train(recipe, "ring8", out=out, images=_BUDGET, threads=1, progress="lines", **options)


def refusing(monkeypatch: pytest.MonkeyPatch, which: Iterable[int]) -> list[int]:
    """A disk that writes no log and no grid, and none of the checkpoints of these numbers; what it was asked for."""
    asked: list[int] = []

    def full(*_: Any, **__: Any) -> None:
        raise DiskError("the disk is full")

    def counted(folder: Path, tensors: Any, record: Any) -> Any:
        asked.append(int(record["seen"]))
        return full() if len(asked) in which else save(folder, tensors, record)

    monkeypatch.setattr(Run, "append", full)
    monkeypatch.setattr(Run, "keep_grid", full)
    monkeypatch.setattr(keeper, "save", counted)
    return asked


def test_a_full_disk_ends_training_at_the_fifth_checkpoint_in_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = refusing(monkeypatch, range(1, 99))
    with pytest.raises(DiskError, match="the disk is full"):
        trained(tmp_path / "run")
    assert len(asked) == 5
    assert capsys.readouterr().err.count("the disk is full (training goes on)") == 1


def test_a_disk_that_has_space_again_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = refusing(monkeypatch, {1, 2, 3, 4, 6, 7, 8, 9})
    assert trained(tmp_path / "run").checkpoint.seen == asked[-1] == _BUDGET


def test_a_run_whose_folder_goes_does_not_come_back_without_its_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    append, deleted = Run.append, []

    def deleting(run: Run, record: Any) -> None:
        append(run, record)
        if record["seen"] > _BUDGET / 2 and not deleted:
            deleted.append(record["seen"])
            shutil.rmtree(run.path)

    monkeypatch.setattr(Run, "append", deleting)
    with pytest.raises(DiskError, match=r"has no recipe\.json any more"):
        trained(tmp_path / "run")
    assert deleted
    assert not (tmp_path / "run").exists()
    assert capsys.readouterr().err.count("put the folder back (training goes on)") == 1


def test_the_generator_is_that_of_the_newest_checkpoint(tmp_path: Path) -> None:
    watched = trained(tmp_path / "run")
    before = watched.generator
    assert watched.generator is before
    sparring.train(out=tmp_path / "run", resume=True, images=2 * _BUDGET, threads=1, progress="none")
    assert watched.generator.source == f"gan {watched.checkpoint.digest}" != before.source


def test_a_run_is_evaluated_by_one_generator_whatever_it_writes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, read = trained(tmp_path / "run"), Run.generator_at
    asked: list[str] = []

    def counted(run: Run) -> TrainedGenerator:
        asked.append(run.checkpoint.digest)
        return read(run, run.checkpoint)

    monkeypatch.setattr(Run, "generator", property(counted))
    sparring.evaluate(run, metrics="fid", n=64)
    assert len(asked) == 1


@pytest.mark.parametrize("seed", [np.int64(3), np.uint8(3)])
def test_a_whole_number_of_numpy_is_a_seed(seed: Any, tmp_path: Path) -> None:
    assert trained(tmp_path / "run", seed=seed).card["seed"] == 3


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"seed": 1.5}, "seed 1.5 cannot be; give a whole number"),
        ({"seed": "1"}, "seed '1' cannot be; give a whole number"),
        ({"minutes": "0.1", "images": None}, "0.1 minutes cannot be; give a number above 0"),
    ],
)
def test_what_is_no_number_begins_no_run(asked: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=sentence):
        sparring.train(recipes.gan(width=8), "ring8", out=tmp_path / "run", **{"images": 100} | asked)
    assert not (tmp_path / "run").exists()


def test_a_refused_resume_leaves_no_trace(tmp_path: Path) -> None:
    """The last record may be that of a divergence, which a line behind it would hide."""
    run = trained(tmp_path / "run")
    before = (run.path / "log.jsonl").read_bytes()
    with pytest.raises(UsageError, match="give --images a larger total"):
        sparring.train(out=run.path, resume=True, images=100, threads=1)
    assert (run.path / "log.jsonl").read_bytes() == before


def test_refused_transfers_leave_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = trained(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="too little of the generator"):
        sparring.train(recipes.gan(width=32), "ring8", start=start, images=100, threads=1)
    assert not (tmp_path / "runs").exists()


def test_home_is_where_one_types_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert trained("~/run").path == tmp_path / "run"
    assert sparring.load("~/run").sample(2).shape == (2, 2, 1, 1)
    sparring.export("~/run", "~/kept")
    assert (tmp_path / "kept" / "generator.safetensors").exists()
    assert not (tmp_path / "~").exists()


def test_a_run_that_goes_beyond_its_budget_is_training(tmp_path: Path) -> None:
    run = trained(tmp_path / "run")
    assert _state(run, _BUDGET, "training") == "training"
    assert _state(run, _BUDGET, "stopped") == _state(run, _BUDGET, None) == "finished"
    assert _state(run, _BUDGET - 1, "stopped") == "stopped"


def test_statistics_are_measured_anew_where_the_recipe_says_so(tmp_path: Path) -> None:
    """BigGAN's standing statistics, here over three batches."""
    recipe = recipes.gan(width=8, batch=16, batch_norm=True).but(emas={"generator": Ema(100, standing=3)})
    run = sparring.train(recipe, "ring8", out=tmp_path / "run", images=64, threads=1, progress="none")
    stored = run.weights(run.checkpoint, "generator")
    shown = run.generator.network.state_dict()
    measured = settled(TrainedGenerator.of(run.bound, stored).network, 3).state_dict()
    names = [name for name in shown if name.endswith("running_mean")]
    assert names
    for name in names:
        assert torch.equal(shown[name], measured[name])
        assert not torch.equal(shown[name], stored[name])
