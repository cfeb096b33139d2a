"""What many tests share: small data, and a run that never touches the user's cache."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sparring.chance import draw
from sparring.cli import main
from sparring.data.loader import Loader
from sparring.engine.devices import Devices


class Noise:
    """Random images, or points of a plane, that nobody has to decode."""

    def __init__(self, shape: tuple[int, int, int], n: int = 96, classes: int = 3) -> None:
        source = torch.Generator().manual_seed(7)
        points = shape[1:] == (1, 1)
        self.pixels = (
            torch.randn(n, *shape, generator=source)
            if points
            else torch.randint(0, 256, (n, *shape), generator=source, dtype=torch.uint8)
        )
        self.labels: Tensor | None = torch.arange(n) % classes if classes else None

    def __len__(self) -> int:
        return len(self.pixels)

    def images(self, indices: Tensor) -> Tensor:
        return self.pixels[indices]


class Point(nn.Module):
    """Points around a place on the diagonal, by default the origin and a twentieth as wide as z."""

    z_dim, z_kind = 2, "normal"

    def __init__(self, width: float = 0.05, at: float = 0.0) -> None:
        super().__init__()
        self.weight, self.at = nn.Parameter(torch.tensor(width)), at

    def forward(self, z: Tensor) -> Tensor:
        return (self.weight * z + self.at)[:, :, None, None]


def noise_loader(
    shape: tuple[int, int, int], *, seed: int = 0, mirror: bool = False, balanced: bool = False, classes: int = 3
) -> Loader:
    """A loader of 96 noise images."""
    data = Noise(shape, classes=classes)
    return Loader(data, torch.arange(len(data)), seed=seed, mirror=mirror, balanced=balanced)


@pytest.fixture(scope="session")
def devices() -> Devices:
    """One thread on the CPU, so that tests may run side by side."""
    return Devices("cpu", threads=1)


@pytest.fixture(autouse=True, scope="session")
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Prepared data go to a folder of the test session."""
    patch = pytest.MonkeyPatch()
    patch.setenv("SPARRING_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty working folder."""
    return tmp_path


def noise_of(seed: int) -> Callable[[int, int, str], Tensor]:
    """Draws `(n, dim, kind)` as the engine lends them, from a generator of their own."""
    source = torch.Generator().manual_seed(seed)
    return lambda n, dim, kind: draw((n, dim), kind, source)


def played_here(
    folder: Path, capsys: pytest.CaptureFixture[str], told: list[dict[str, int]]
) -> Callable[..., Iterator[Any]]:
    """In place of `trials.side_by_side`: each command in this process, one after the other, while one is unfinished.

    What it is told besides is added to `told`.
    """

    def side_by_side(commands: Sequence[Sequence[str]], **more: int) -> Iterator[Any]:
        told.append(more)
        for words in commands:
            with pytest.raises(SystemExit):
                main([*words, "--json"])
            assert len(list((folder / "unfinished").iterdir())) == 1
            yield json.loads(capsys.readouterr().out)

    return side_by_side
