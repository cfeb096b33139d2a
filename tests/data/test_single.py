"""One file as a tensor, at its own size."""

from __future__ import annotations

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


@pytest.mark.parametrize("channels", [2, 5])
def test_channels_that_no_file_has(tmp_path: Path, channels: int) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    for read in (lambda path: read_picture(path, channels), lambda path: read_image(path, (channels, 4, 4))):
        with pytest.raises(DataError, match=f"this network's images {channels}; none fits it"):
            read(tmp_path / "a.png")
