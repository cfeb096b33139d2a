"""Image files and what a data set made of them: shared by the tests of readings."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sparring.data import Dataset


def put(root: Path, images: dict[str, Image.Image]) -> Path:
    for name, image in images.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(root / name)
    return root


def packed(root: Path) -> Path:
    """The same as a zip, wrapped in a folder and with an entry for each folder, as archivers make them."""
    path = root.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for inside in sorted(root.rglob("*")):
            archive.write(inside, Path("wrap") / inside.relative_to(root))
    return path


def as_tensor(*images: Image.Image) -> torch.Tensor:
    """Images one after the other along the channels."""
    planes = [np.atleast_3d(np.asarray(image)).transpose(2, 0, 1) for image in images]
    return torch.from_numpy(np.concatenate(planes))


def everything(data: Dataset) -> torch.Tensor:
    return data.images(torch.arange(len(data)))


def skipped(data: Dataset) -> dict[str, str]:
    return {one.name: one.reason for one in data.report.skipped}
