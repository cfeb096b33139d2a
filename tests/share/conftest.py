"""A run made by hand: a few rounds of a tiny recipe on noise, in a real run folder."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import noise_loader
from sparring import recipes
from sparring.engine.checkpoint import save
from sparring.engine.devices import Devices
from sparring.engine.rounds import rounds
from sparring.engine.rundir import Run
from sparring.engine.state import State
from sparring.errors import ShapeError
from sparring.recipe import Recipe
from sparring.share.export import export
from test_contracts import CODEC, OF_IMAGES, PRIOR, TOYS

SHAPES = [(1, 28, 28), (3, 32, 32), (3, 32, 48), (4, 16, 16), (2, 1, 1)]
MEMBERS = [
    pytest.param((name, shape), id=f"{name}-{'x'.join(map(str, shape))}")
    for name in recipes.__all__
    if name not in OF_IMAGES
    for shape in SHAPES
] + [pytest.param(("vqgan_prior", (3, 16, 24)), id="vqgan_prior-3x16x24")]
SECRET = "/home/somebody/private-photos"

Shape = tuple[int, int, int]
MakeRun = Callable[..., Run]


def tiny(name: str) -> Recipe:
    """A recipe with the smallest parameters that it takes."""
    make: Callable[..., Recipe] = getattr(recipes, name)
    codec = partial(CODEC, multipliers=(1, 1, 1, 1))
    small = {"width": 8, "blocks": 1, "batch": 4, "z_dim": 6, **TOYS.get(name, {})}
    found = make(**{key: small[key] for key in inspect.signature(make).parameters if key in small})
    return found.playing(generator=partial(PRIOR, codec=codec)) if name == "vqgan_prior" else found


def make_run(path: Path, recipe: Recipe, shape: Shape = (1, 28, 28), *, budget: int = 12, classes: int = 3) -> Run:
    """A run of three rounds of four images, as a trainer leaves it."""
    try:
        bound = recipe.bind(shape, classes, images=16, budget=budget)
    except ShapeError as error:
        pytest.skip(str(error))
    run = Run(path)
    state = State(bound, seed=0, device=torch.device("cpu"))
    card: dict[str, Any] = {
        "sparring": "0.1.0",
        "seed": 0,
        "data": {
            "source": SECRET,
            "name": "noise",
            "fingerprint": "f00d",
            "shape": list(shape),
            "channels": "auto",
            "classes": ["ant", "bee", "cat"],
            "images": 16,
            "held_out": [],
        },
        "machine": {"host": "secret-host"},
        "command": f"sparring train {SECRET}",
    }
    with run.locked():
        run.begin(bound, card)
        loader = noise_loader(shape, balanced=recipe.balanced, classes=classes)
        for _ in rounds(bound, loader, seed=0, state=state, devices=Devices("cpu", threads=1), until=12):
            pass
        save(run.path / "checkpoints", state.tensors(), state.scalars())
    return run


@pytest.fixture(name="make_run", scope="session")
def _make_run() -> MakeRun:
    return make_run


@pytest.fixture(scope="session", params=MEMBERS)
def member(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of every recipe on every shape."""
    name, shape = request.param
    return make_run(tmp_path_factory.mktemp("runs") / name, tiny(name), shape)


@pytest.fixture(scope="session")
def exported(member: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of such a run; not to be changed."""
    return export(member, tmp_path_factory.mktemp("exported") / "out")


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run, where any will do."""
    return make_run(tmp_path_factory.mktemp("runs") / "gan", tiny("gan"))
