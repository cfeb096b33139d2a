"""Every test has a cache folder of its own and leaves the user's alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from image_files import put


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder, by way of the environment."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("SPARRING_CACHE", str(folder))
    return folder


@pytest.fixture
def photo() -> Callable[..., Image.Image]:
    """Makes colour images of noise; the same seed gives the same image."""

    def make(seed: int = 0, size: tuple[int, int] = (32, 32), mode: str = "RGB") -> Image.Image:
        width, height = size
        noise = np.random.RandomState(seed).randint(0, 256, (height, width, 3), dtype=np.uint8)
        return Image.fromarray(noise).convert(mode)

    return make


@pytest.fixture
def folder(tmp_path: Path, photo: Callable[..., Image.Image]) -> Path:
    """A folder of four good images, 32x32, RGB."""
    path = tmp_path / "photos"
    path.mkdir()
    for seed in range(4):
        photo(seed).save(path / f"{seed}.png")
    return path


@pytest.fixture
def two(tmp_path: Path, photo: Callable[..., Image.Image]) -> Path:
    """Folders A and B of three images each, 20 wide and 16 high, that pair up."""
    names = ("0", "1", "deep/2")
    first = {f"A/{name}.png": photo(seed, (20, 16)) for seed, name in enumerate(names)}
    second = {f"B/{name}.bmp": photo(10 + seed, (20, 16)) for seed, name in enumerate(names)}
    return put(tmp_path / "two", first | second)
