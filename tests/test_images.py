"""Runs of games of images, from a folder to what people do with them: train, resume, evaluate, translate, sample."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import sparring as sp
from sparring import recipes
from sparring.chance import generator
from sparring.cli import main
from sparring.data import open_data
from sparring.data.loader import Loader
from sparring.engine.devices import Devices
from sparring.engine.rounds import rounds
from sparring.engine.rundir import Run
from sparring.engine.state import State
from sparring.errors import DataError, FileUnusableError, UsageError
from sparring.evaluation import evaluate
from sparring.games.questions import shrunken
from sparring.metrics.fidelity import fidelities, scored
from sparring.pictures import scaled, to_uint8
from sparring.recipe import Recipe


def shapes(n: int, side: int = 16) -> Tensor:
    """Bright squares on dark ground, uint8 `[n, 3, side, side]`: something that can be learnt."""
    images = torch.full((n, 3, side, side), 30, dtype=torch.uint8)
    places = torch.randint(0, side // 2, (n, 2), generator=generator("places"))
    for image, (top, left) in zip(images, places.tolist(), strict=True):
        image[:, top : top + side // 2, left : left + side // 2] = torch.tensor([200, 120, 60])[:, None, None]
    return images


def write(folder: Path, images: Tensor) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for place, image in enumerate(images):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{place:03d}.png")
    return folder


def pairs(folder: Path, n: int = 24) -> Path:
    """A square on the left, and its negative on the right."""
    images = shapes(n)
    return write(folder, torch.cat([images, 255 - images], 3))


SMALL = {
    "pix2pix": recipes.pix2pix(width=8, batch=4, layers=1, dropout=0.0, rate=2e-3),
    "cyclegan": recipes.cyclegan(width=4, blocks=1, batch=4, layers=1),
    "esrgan": recipes.esrgan(scale=2, width=8, blocks=1, growth=4, batch=4, layers=1, eyes="grey28", rate=2e-3),
    "vqgan": recipes.vqgan(
        width=8, halvings=2, codes=16, dim=8, batch=4, layers=1, eyes="grey28", begin=0.5, rate=2e-3
    ),
}


def source_of(name: str, folder: Path) -> Path:
    """Data that a recipe plays."""
    if name == "pix2pix":
        return pairs(folder / "pairs")
    if name == "cyclegan":
        write(folder / "kinds" / "trainA", shapes(24))
        return write(folder / "kinds" / "trainB", 255 - shapes(24)).parent
    return write(folder / "squares", shapes(24))


def trained(recipe: Recipe, data: Path, out: Path, images: int = 24, **more: object) -> Run:
    size = None if recipe.reading in ("pairs", "sides") else 16
    settings = {"channels": 1, "device": "cpu", "threads": 1, "progress": "none", **more}  # grey is measured fastest
    return sp.train(recipe, data, images=images, size=size, out=out, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SMALL)
def test_a_run_from_a_folder(name: str, folder: Path) -> None:
    """It trains, shows, scores itself, is resumed, and evaluates again to the same numbers."""
    data = source_of(name, folder)
    run = trained(SMALL[name], data, folder / "run")
    assert run.grids()[-1][0] == 24
    scores = next(record["scores"] for record in run.records() if "scores" in record)
    expected = {"fid", "kid"} | (set() if name == "cyclegan" else {"psnr"})
    assert {score["name"] for score in scores} == expected
    assert (run.path / "report.html").stat().st_size > 10_000
    again = evaluate(run, metrics=sorted(expected))
    assert {s.name: s.value for s in again} == pytest.approx({s["name"]: s["value"] for s in scores}, rel=1e-5)
    more = sp.train(data=data, images=48, out=run.path, resume=True, device="cpu", threads=1, progress="none")
    assert more.checkpoint.seen == 48


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_a_side_that_is_too_small_to_hold_any_out(direction: Literal["AtoB", "BtoA"], folder: Path) -> None:
    """It is trained on as a whole, and grids and scores show it beside what the other side held out."""
    noise = torch.randint(0, 256, (205, 3, 16, 16), generator=generator("many", 2), dtype=torch.uint8)
    write(folder / "kinds" / "trainA", noise)
    write(folder / "kinds" / "trainB", 255 - shapes(5))
    recipe = recipes.cyclegan(width=4, blocks=1, batch=4, layers=1, direction=direction)
    run = trained(recipe, folder / "kinds", folder / "run", images=4)
    held_out = run.card["data"]["held_out"]
    assert len(held_out) == 20
    assert max(held_out) < 205
    assert np.asarray(Image.open(run.grids()[0][1])).shape[0] > 3 * 16  # 5 of each side, two to a row
    scores = next(record["scores"] for record in run.records() if "scores" in record)
    assert all("on one side" in score["protocol"]["split"] for score in scores)
    again = evaluate(run, metrics=("fid", "kid"))
    assert [s.value for s in again] == pytest.approx([s["value"] for s in scores], rel=1e-5)
    given, wanted = (5, 20) if direction == "BtoA" else (20, 5)
    assert again[0].protocol["fakes"] == f"answers to {given} questions"
    assert again[0].protocol["real"] == wanted


def test_a_prior_writes_codes(folder: Path) -> None:
    """Its run begins with the codec's weights, samples, evaluates and exports with nothing but itself."""
    data = source_of("vqgan", folder)
    codec = trained(SMALL["vqgan"], data, folder / "codec")
    with pytest.raises(UsageError, match="makes images from images, not from noise"):
        _ = codec.generator
    recipe = recipes.vqgan_prior(codec=str(codec.path), width=16, depth=1, heads=2, batch=4)
    run = trained(recipe, data, folder / "prior", images=24)
    mine = run.weights(run.checkpoint, "generator")
    theirs = codec.weights(codec.checkpoint, "codec")
    assert all(torch.equal(mine[f"codec.{name}"], tensor) for name, tensor in theirs.items())
    images = run.generator.sample(4, seed=3)
    assert torch.equal(images[1], run.generator.sample(1, seed=4)[0])
    run.generator.sharpen(0.5, 2)
    assert not torch.equal(images, run.generator.sample(4, seed=3))
    run.generator.sharpen()
    assert torch.equal(images, run.generator.sample(4, seed=3))
    with pytest.raises(UsageError, match="the likeliest 99 of 16 codes"):
        run.generator.sharpen(top_k=99)
    exported = sp.export(run, folder / "exported")
    assert torch.equal(sp.load(exported).sample(4, seed=3), images)
    assert str(folder) not in (exported / "card.json").read_text()
    sp.train(data=data, images=48, out=codec.path, resume=True, device="cpu", threads=1, progress="none")
    with pytest.raises(FileUnusableError, match="has another checkpoint"):
        trained(recipe, data, folder / "later")
    sp.train(data=data, images=32, out=run.path, resume=True, device="cpu", threads=1, progress="none")


def test_what_data_do_not_fit(folder: Path) -> None:
    squares = source_of("esrgan", folder)
    with pytest.raises(DataError):
        trained(SMALL["cyclegan"], squares, folder / "a")
    (folder / "kinds" / "A").mkdir(parents=True)
    write(folder / "kinds" / "B", shapes(4))
    with pytest.raises(DataError, match="A"):
        trained(SMALL["cyclegan"], folder / "kinds", folder / "b")
    with pytest.raises(DataError, match="A"):
        trained(SMALL["pix2pix"], folder / "kinds", folder / "c")
    with pytest.raises(UsageError, match="not multiples of 2"):
        sp.train(SMALL["esrgan"], squares, size=15, images=8, out=folder / "d", device="cpu", progress="none")
    assert not any((folder / name / "recipe.json").exists() for name in "abcd")


def test_the_commands(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(SMALL["pix2pix"], source_of("pix2pix", folder), folder / "run", channels=3)
    inputs = write(folder / "in", shapes(2))
    monkeypatch.chdir(run.path)
    for words, code in (
        (["export", "."], 0),
        (["translate", run.path.with_name("run-export"), inputs, folder / "by-export"], 0),
        (["sample", folder / ("long" * 80)], 74),
        (["translate", run.path, inputs, folder / "out", "--json"], 0),
        (["translate", run.path, inputs, folder / "out"], 2),
        (["translate", run.path, inputs, folder / "other", "--direction", "BtoA"], 2),
        (["reconstruct", run.path, inputs, folder / "codes"], 2),
        (["sample", run.path, "--out", folder / "s"], 2),
        (["translate", run.path, folder / "nowhere", folder / "x"], 3),
        (["import", folder / "none.pth", folder / "y", "--as", "pix2pix"], 4),
        (["evaluate", run.path, "--metrics", "kid,psnr,absolute_error,sharpness,perceptual"], 0),
    ):
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        said = capsys.readouterr()
        assert left.value.code == code, (words, said)
        if words[-1] == "BtoA":
            assert f"{run.path} has no translator b_to_a; leave the direction out" in said.err
        if words[-1] == "--json":
            assert len(json.loads(said.out)["images"]) == 2
    assert "PSNR" in said.out
    assert np.asarray(Image.open(folder / "out" / "000.png")).shape == (16, 16, 3)


def played(recipe: Recipe, images: Tensor, budget: int, devices: Devices, folder: Path) -> State:
    data = open_data(write(folder / "learn", images), reading=recipe.reading, size=(16, 16))
    bound = recipe.bind(data.shape, len(data.classes), len(data), budget)
    state = State(bound, seed=0, device=devices.device)
    for _ in rounds(bound, Loader(data, torch.arange(len(data)), seed=0), state=state, devices=devices, until=budget):
        pass
    return state


def test_pairs_are_learnt(devices: Devices, folder: Path) -> None:
    """Negatives of squares that it has not seen, to 20 dB, where leaving them alone has 4."""
    images = shapes(80)
    both = torch.cat([images, 255 - images], 3)
    state = played(SMALL["pix2pix"], both[:64], 1500, devices, folder)
    given, wanted = images[64:], 255 - images[64:]
    with torch.no_grad():
        made = to_uint8(state.players["generator"].shown()(scaled(given)))
    psnr = fidelities()["psnr"]
    assert scored(psnr, wanted, given).value < 6
    assert scored(psnr, wanted, made).value > 20


def test_larger_images_are_learnt(devices: Devices, folder: Path) -> None:
    """Sharper than the nearest pixel, on squares that it has not seen."""
    images = shapes(80)
    state = played(SMALL["esrgan"], images[:64], 1500, devices, folder)
    given = shrunken(scaled(images[64:]), 2)
    with torch.no_grad():
        made = to_uint8(state.players["generator"].shown()(given))
    nearest = to_uint8(given.repeat_interleave(2, 2).repeat_interleave(2, 3))
    psnr = fidelities()["psnr"]
    assert scored(psnr, images[64:], made).value > scored(psnr, images[64:], nearest).value + 1


def test_codes_are_learnt(devices: Devices, folder: Path) -> None:
    """A square is written as codes and read again to 18 dB, with most of the book in use."""
    images = shapes(80)
    state = played(SMALL["vqgan"], images[:64], 2400, devices, folder)
    codec = state.players["codec"].shown()
    with torch.no_grad():
        made = to_uint8(codec(scaled(images[64:])))
    assert scored(fidelities()["psnr"], images[64:], made).value > 18
    assert state.notes.means()["codes_used"] > 0.5
