"""One image file, as a network of a known shape wants it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sparring.data.channels import to_channels
from sparring.data.decoding import decode, strict_decoding
from sparring.data.options import Options
from sparring.data.report import Refused
from sparring.data.sizing import choose_sizing, fit
from sparring.errors import DataError

__all__ = ["read_image"]


def read_image(path: str | Path, shape: tuple[int, int, int]) -> Tensor:
    """A file as uint8 `[c, h, w]`: scaled so that the short side fits, and cropped at the centre.

    Raises DataError for what is no readable image.
    """
    path = Path(path)
    channels, height, width = shape
    try:
        with strict_decoding():
            image = decode(path.read_bytes(), near=(height, width)).image
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); give an image file") from error
    except Refused as refusal:
        raise DataError(f"{path} cannot be used: {refusal}; give another image file") from refusal
    options = Options(size=(height, width))
    fitted = fit(image, choose_sizing([(image.height, image.width)], options), options.background)
    pixels = to_channels(np.asarray(fitted.convert("RGBA"))[None], channels, options.background)
    return torch.from_numpy(np.ascontiguousarray(pixels[0].transpose(2, 0, 1)))
