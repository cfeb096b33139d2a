"""One file as a tensor, at its own size."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sparring.data.single import read_image, read_picture
from sparring.errors import DataError


def test_picture_at_its_own_size(tmp_path: Path, photo: Callable[..., Image.Image]) -> None:
    image = photo(1, (31, 17))
    image.save(tmp_path / "a.png")
    assert torch.equal(
        read_picture(tmp_path / "a.png", 3), torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy())
    )
    assert torch.equal(
        read_picture(str(tmp_path / "a.png"), 1), torch.from_numpy(np.asarray(image.convert("L"))[None].copy())
    )
    assert (read_picture(tmp_path / "a.png", 4)[3] == 255).all()
    (tmp_path / "b.png").write_bytes(b"")
    for name, sentence in (("b.png", "cannot be used: empty file; give another"), ("c.png", "cannot be read")):
        with pytest.raises(DataError, match=sentence):
            read_picture(tmp_path / name, 3)


def no_end(path: Path) -> None:
    path.symlink_to("/dev/zero")


def too_long(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**45)  # 32 TB, of which nothing is on the disk


@pytest.mark.parametrize(
    ("make", "sentence"),
    [(os.mkfifo, "not a regular file"), (no_end, "not a regular file"), (too_long, "the limit is 25 MB")],
)
def test_files_without_end_are_not_read(make: Callable[[Path], None], sentence: str, tmp_path: Path) -> None:
    try:
        make(tmp_path / "a.png")
    except OSError as error:  # a file system without pipes or without holes
        pytest.skip(str(error))
    with pytest.raises(DataError, match=f"cannot be used: {sentence}"):
        read_picture(tmp_path / "a.png", 3)


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\\x00b.png cannot be read"):
        read_picture(f"{tmp_path}/a\0b.png", 3)


@pytest.mark.parametrize("channels", [2, 5])
def test_channels_that_no_file_has(tmp_path: Path, channels: int) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    for read in (lambda path: read_picture(path, channels), lambda path: read_image(path, (channels, 4, 4))):
        with pytest.raises(DataError, match=f"this network's images {channels}; none fits it"):
            read(tmp_path / "a.png")
