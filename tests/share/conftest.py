"""A run made by hand: a few rounds of a tiny recipe on noise, in a real run folder."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sparring import recipes
from sparring.data.loader import Loader
from sparring.engine.checkpoint import save
from sparring.engine.devices import Devices
from sparring.engine.rounds import rounds
from sparring.engine.rundir import Run
from sparring.engine.state import State
from sparring.errors import ShapeError
from sparring.recipe import Recipe
from sparring.share.export import export

SHAPES = [(1, 28, 28), (3, 32, 32), (3, 32, 48), (4, 16, 16), (2, 1, 1)]
MEMBERS = [
    pytest.param((name, shape), id=f"{name}-{'x'.join(map(str, shape))}")
    for name in recipes.__all__
    for shape in SHAPES
]
SECRET = "/home/somebody/private-photos"

Shape = tuple[int, int, int]
MakeRun = Callable[..., Run]


class Noise:
    """Sixteen images, or points, of noise."""

    labels = torch.arange(16) % 3

    def __init__(self, shape: Shape) -> None:
        source = torch.Generator().manual_seed(0)
        self._images = torch.randint(0, 256, (16, *shape), generator=source, dtype=torch.uint8)
        self._images = self._images.float() / 255 if shape[1:] == (1, 1) else self._images

    def images(self, indices: Tensor) -> Tensor:
        return self._images[indices]


def tiny(name: str) -> Recipe:
    """A recipe with the smallest parameters that it takes."""
    make: Callable[..., Recipe] = getattr(recipes, name)
    small = {"width": 8, "blocks": 1, "batch": 4, "z_dim": 6}
    return make(**{key: small[key] for key in inspect.signature(make).parameters if key in small})


def make_run(path: Path, recipe: Recipe, shape: Shape = (1, 28, 28), *, budget: int = 12) -> Run:
    """A run of three rounds of four images, as a trainer leaves it."""
    try:
        bound = recipe.bind(shape, 3, images=16, budget=budget)
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
        loader = Loader(Noise(shape), torch.arange(16), seed=0)
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
