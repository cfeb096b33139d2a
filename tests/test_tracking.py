"""`train --tensorboard`: the run's numbers and grids, all of them, and nothing that the run depends on."""

from __future__ import annotations

import errno
import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparring as sp
from sparring.engine.checkpoint import checkpoints
from sparring.errors import DiskError, UsageError
from sparring.tracking import Tracker


def trained(out: Path, images: int = 200, **more: Any) -> sp.Run:
    """A short run, and what TensorBoard is told of it."""
    data = out.with_suffix(".npz")
    np.savez(data, images=np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8))
    recipe = None if more.get("resume") else sp.recipes.gan(width=8, batch=8)
    return sp.train(recipe, data, images=images, out=out, threads=1, progress="lines", tensorboard=True, **more)


def told(run: sp.Run) -> tuple[list[int], list[int]]:
    """The moments of the numbers and of the grids, as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.path / "tensorboard"), size_guidance={"images": 0, "scalars": 0}).Reload()
    speeds = events.Scalars("images_per_second")
    return [event.step for event in speeds], [event.step for event in events.Images("samples")]


def test_every_number_and_every_grid_arrives(tmp_path: Path) -> None:
    """The writer is closed, so that the process may end at once."""
    before = threading.active_count()
    run = trained(tmp_path / "run")
    assert threading.active_count() == before
    numbers, grids = told(run)
    assert numbers == [record["seen"] for record in run.records() if "round" in record]
    assert grids == [seen for seen, _ in run.grids()]


def test_a_resumed_run_replaces_what_it_plays_again(tmp_path: Path) -> None:
    run = trained(tmp_path / "run")
    newest, *_ = checkpoints(run.path / "checkpoints")
    newest.path.unlink()
    trained(run.path, resume=True)
    numbers, grids = told(run)
    assert numbers == [record["seen"] for record in run.records() if "round" in record]
    assert grids == [seen for seen, _ in run.grids()]


def test_without_tensorboard_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match=r"in sparring's folder, pip install '\.\[tensorboard\]'"):
        trained(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_grid_is_the_one_just_written_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full at the first one; an older checkpoint is gone on from, beside the grids of later ones."""
    keep, shown, full = sp.Run.keep_grid, [], [True]

    def kept(run: sp.Run, seen: int, *arguments: Any, **keywords: Any) -> Path:
        if full and full.pop():
            raise DiskError(f"{run.path} could not be written (No space left on device)")
        return keep(run, seen, *arguments, **keywords)

    monkeypatch.setattr(sp.Run, "keep_grid", kept)
    monkeypatch.setattr(Tracker, "picture", lambda _, seen, path: shown.append((seen, path)))
    run = trained(tmp_path / "run")
    assert shown == run.grids()
    assert shown[0][0] > 0
    shown.clear()
    for later in checkpoints(run.path / "checkpoints")[:2]:
        later.path.unlink()
    trained(run.path, resume=True)
    assert len(shown) == 2
    assert shown == run.grids()[-2:]


@pytest.mark.parametrize("method", ["record", "picture"])
def test_a_disk_that_refuses_tensorboard_stops_nothing(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Tracker, method, refuse)
    run = trained(tmp_path / "run")
    assert run.checkpoint.seen == 200
    assert capsys.readouterr().err.count("TensorBoard is told no more (No space left on device)") == 1
