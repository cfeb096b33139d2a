"""One image file, at the shape a network wants or at its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sparring.data.channels import to_channels
from sparring.data.decoding import decode, strict_decoding
from sparring.data.folder import read_file
from sparring.data.options import Options
from sparring.data.report import Refused, printable
from sparring.data.sizing import choose_sizing, fit
from sparring.errors import DataError
from sparring.paths import expanded

__all__ = ["read_image", "read_picture"]


def read_image(path: str | Path, shape: tuple[int, int, int]) -> Tensor:
    """A file as uint8 `[c, h, w]`: scaled so that the short side fits, and cropped at the centre.

    Raises DataError for what is no readable image, and for numbers of channels that no image file has.
    """
    channels, height, width = shape
    image = _decoded(expanded(path), near=(height, width))
    options = Options(size=(height, width))
    return _as_tensor(fit(image, choose_sizing([(image.height, image.width)], options), options.background), channels)


def read_picture(path: str | Path, channels: int) -> Tensor:
    """A file at its own size, as uint8 `[c, h, w]` with 1, 3 or 4 channels.

    Raises DataError for what is no readable image, and for numbers of channels that no image file has.
    """
    return _as_tensor(_decoded(expanded(path)), channels)


def _decoded(path: Path, *, near: tuple[int, int] | None = None) -> Image.Image:
    try:
        with strict_decoding():
            return decode(read_file(path), near=near).image
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{printable(str(path))} cannot be read ({reason}); give an image file") from error
    except Refused as refusal:
        raise DataError(f"{printable(str(path))} cannot be used: {refusal}; give another image file") from refusal


def _as_tensor(image: Image.Image, channels: int) -> Tensor:
    if channels not in (1, 3, 4):
        raise DataError(f"image files have 1, 3 or 4 channels, and this network's images {channels}; none fits it")
    pixels = to_channels(np.asarray(image.convert("RGBA"))[None], channels, Options().background)
    return torch.from_numpy(np.ascontiguousarray(pixels[0].transpose(2, 0, 1)))
