"""IDX files, the set that ships, and the facts of MNIST and Fashion-MNIST."""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sparring.data import open_data
from sparring.errors import DataError

REAL = os.environ.get("SPARRING_TEST_DATA")


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


IMAGES = np.arange(6 * 4 * 4, dtype=np.uint8).reshape(6, 4, 4)
LABELS = np.array([3, 1, 3, 1, 3, 3])


def fill(folder: Path, part: str, images: bytes, labels: bytes | None, *, packed: bool) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for kind, content in (("images-idx3", images), ("labels-idx1", labels)):
        if content is not None:
            name = f"{part}-{kind}-ubyte" + (".gz" if packed else "")
            (folder / name).write_bytes(gzip.compress(content) if packed else content)
    return folder


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("inner", ["", "raw"])
def test_training_set_is_preferred(packed: bool, inner: str, tmp_path: Path) -> None:
    fill(tmp_path / "set" / inner, "t10k", idx(IMAGES[:2]), idx(LABELS[:2]), packed=packed)
    assert len(open_data(tmp_path / "set")) == 2
    fill(tmp_path / "set" / inner, "train", idx(IMAGES), idx(LABELS), packed=packed)
    data = open_data(tmp_path / "set")
    assert (data.shape, data.classes, data.name) == ((1, 4, 4), ("1", "3"), "set")
    assert data.labels is not None
    assert data.labels.tolist() == [1, 0, 1, 0, 1, 1]
    assert torch.equal(data.images(np.arange(6)), torch.from_numpy(IMAGES[:, None]))


def test_without_labels(tmp_path: Path) -> None:
    assert open_data(fill(tmp_path / "set", "train", idx(IMAGES), None, packed=True)).labels is None


DAMAGED: dict[str, tuple[Callable[[], bytes], str]] = {
    "short": (lambda: idx(IMAGES)[:-5], "announces 96 values and holds 91"),
    "long": (lambda: idx(IMAGES) + b"x", "announces 96"),
    "no header": (lambda: b"\0\0\x08", "no IDX file"),
    "half a header": (lambda: b"\0\0\x08\x03\0\0", "ends in its header"),
    "floats": (lambda: b"\0\0\x0d\x03" + bytes(12), "no IDX file of bytes"),
    "bomb": (lambda: struct.pack(">BBBB3I", 0, 0, 8, 3, 2**31, 1000, 1000), "limit is 8 GB"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", DAMAGED)
def test_damaged(name: str, packed: bool, tmp_path: Path) -> None:
    make, sentence = DAMAGED[name]
    with pytest.raises(DataError, match=sentence):
        open_data(fill(tmp_path / "set", "train", make(), None, packed=packed))


def test_cut_gzip_and_wrong_counts(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", "train", idx(IMAGES), idx(LABELS[:4]), packed=True)
    with pytest.raises(DataError, match="6 images and 4 labels"):
        open_data(folder)
    file = folder / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        open_data(folder)


def test_the_set_that_ships() -> None:
    """Counts by its authors: 10,000 images, 1,000 a class."""
    data = open_data()
    assert (len(data), data.shape, len(data.classes)) == (10_000, (1, 28, 28), 10)
    assert (data.classes[0], data.classes[9]) == ("T-shirt/top", "Ankle boot")
    assert data.labels is not None
    assert data.labels.bincount().tolist() == [1000] * 10
    # The first test image is an ankle boot, as on the project's page.
    assert data.labels[0] == 9
    # Frozen when it was first prepared: a change means other bytes, and runs that no longer resume.
    assert data.fingerprint == "263d1fba7ec7c6f9e5e5ccc5097448f455979ac12a453b1a2bef450270d84155"


@pytest.mark.skipif(REAL is None, reason="SPARRING_TEST_DATA names no folder with the full sets")
@pytest.mark.parametrize(
    ("name", "counts", "mean", "std"),
    [
        ("MNIST", [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949], 0.1307, 0.3081),
        ("FashionMNIST", [6000] * 10, 0.2860, 0.3530),
    ],
)
def test_facts_everybody_knows(name: str, counts: list[int], mean: float, std: float) -> None:
    data = open_data(Path(str(REAL)) / name)
    assert data.labels is not None
    assert data.labels.bincount().tolist() == counts
    pixels = data.images(torch.arange(len(data)))
    assert (pixels.float() / 255).mean().item() == pytest.approx(mean, abs=5e-5)
    assert (pixels.float() / 255).std().item() == pytest.approx(std, abs=5e-5)
