"""Grey, colour and alpha: how many channels the images have, and how they get them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sparring.data.material import Pixels
from sparring.errors import DataError

__all__ = ["has_alpha", "is_grey", "to_channels"]


def to_channels(images: Pixels, channels: int, background: tuple[int, int, int]) -> Pixels:
    """Images `[n, h, w, c]` with another number of channels: 1 grey, 3 colour, 4 colour and alpha.

    Transparent pixels are composited on `background` where alpha goes. Raises DataError for numbers of channels that
    have no colour meaning.

    >>> to_channels(np.array([[[[10, 20, 30, 0]]]], dtype=np.uint8), 3, (255, 255, 255)).tolist()
    [[[[255, 255, 255]]]]
    """
    given = images.shape[-1]
    if given == channels:
        return images
    if given == 1 and channels == 3:
        return np.repeat(images, 3, axis=-1)
    if given in (1, 3) and channels == 4:
        return _with_opaque_alpha(to_channels(images, 3, background))
    if given == 4 and channels in (1, 3):
        return to_channels(_composited(images, background), channels, background)
    if given == 3 and channels == 1:
        return _luma(images)
    raise DataError(
        f"images with {given} channels cannot become {channels}; leave channels on auto, or give 1, 3 or 4 channels"
    )


def has_alpha(images: Pixels) -> NDArray[np.bool_]:
    """For each of `[n, h, w, 4]`, whether any pixel lets the background through."""
    return np.asarray((images[..., 3] < 255).any(axis=(1, 2)))


def is_grey(images: Pixels) -> NDArray[np.bool_]:
    """For each of `[n, h, w, 3 or 4]`, whether red, green and blue agree in every pixel that can be seen."""
    red, green, blue = images[..., 0], images[..., 1], images[..., 2]
    same = (red == green) & (green == blue)
    if images.shape[-1] == 4:
        same |= images[..., 3] == 0
    return np.asarray(same.all(axis=(1, 2)))


def _composited(images: Pixels, background: tuple[int, int, int]) -> Pixels:
    if not has_alpha(images).any():
        return images[..., :3]
    alpha = images[..., 3:].astype(np.uint32)
    behind = np.array(background, dtype=np.uint32)
    mixed = images[..., :3] * alpha + behind * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)


def _luma(images: Pixels) -> Pixels:
    """ITU-R 601-2 luma in the fixed-point form Pillow uses, so both routes give the same grey."""
    weights = np.array([19595, 38470, 7471], dtype=np.uint32)
    return ((images.astype(np.uint32) @ weights + 0x8000) >> 16).astype(np.uint8)[..., None]


def _with_opaque_alpha(images: Pixels) -> Pixels:
    return np.concatenate([images, np.full_like(images[..., :1], 255)], axis=-1)
