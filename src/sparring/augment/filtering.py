"""Filters from orthogonal wavelets: resampling without aliases, and gains of frequency bands."""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv2d, pad

__all__ = ["SYM6", "bands", "filtered", "halved", "octaves"]

SYM2 = (-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025)
SYM6 = (
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466,
    0.787641141030194, 0.3379294217276218, -0.07263752278646252, -0.021060292512300564, 0.04472490177066578,
    0.0017677118642428036, -0.007800708325034148,
)  # fmt: skip
"""Low-pass filters of Daubechies' least asymmetric wavelets of 2 and 6 vanishing moments; their sum is sqrt 2."""

_POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)
"""The share of each octave in the power of natural images, lowest first (Karras et al. 2020a, appendix B)."""


def bands(images: Tensor, gains: list[Tensor]) -> Tensor:
    """Four octaves of images `[n, c, h, w]` times their gains, four of `[n]`, lowest first.

    After each gain all four are scaled so that the expected power stays 1.
    """
    power = torch.tensor(_POWER, device=images.device)
    total = torch.ones(len(images), 4, device=images.device)
    for band, gain in enumerate(gains):
        one = torch.ones_like(total)
        one[:, band] = gain
        total = total * one / (power * one.square()).sum(1, keepdim=True).sqrt()
    kernels = total @ octaves().to(images)
    reach = kernels.shape[1] // 2
    height, width = images.shape[-2:]
    images = _reflected(_reflected(images, reach, 3), reach, 2)
    n, channels = images.shape[:2]
    taps = kernels.repeat_interleave(channels, 0)
    flat = images.reshape(1, n * channels, *images.shape[-2:])
    flat = conv2d(flat, taps[:, None, None, :], groups=n * channels)
    return conv2d(flat, taps[:, None, :, None], groups=n * channels).view(n, channels, height, width)


@functools.cache
def octaves() -> Tensor:
    """Filters `[4, taps]` of four octaves, lowest first, that add up to the identity (sym2, three levels)."""
    low = np.asarray(SYM2)
    high = low * (-1.0) ** np.arange(len(low))
    low, high = np.convolve(low, low[::-1]) / 2, np.convolve(high, high[::-1]) / 2
    found: NDArray[np.float64] = np.eye(4, 1)
    for band in range(1, 4):
        stuffed = np.zeros((4, 2 * found.shape[1] - 1))
        stuffed[:, ::2] = found
        found = np.stack([np.convolve(row, low) for row in stuffed])
        first = (found.shape[1] - len(high)) // 2
        found[band, first : first + len(high)] += high
    return torch.from_numpy(found)


def filtered(images: Tensor, taps: tuple[float, ...], before: int, after: int, *, stride: int = 1) -> Tensor:
    """Correlation with `taps` along both axes, after zeros (or, if negative, cuts) `before` and `after`."""
    n, channels, *_ = images.shape
    kernel = torch.tensor(taps, device=images.device, dtype=images.dtype)
    flat = pad(images, (before, after, before, after)).flatten(0, 1)[:, None]
    flat = conv2d(flat, kernel.view(1, 1, 1, -1), stride=(1, stride))
    flat = conv2d(flat, kernel.view(1, 1, -1, 1), stride=(stride, 1))
    return flat.view(n, channels, *flat.shape[-2:])


def halved(images: Tensor, cut: int) -> Tensor:
    """Low-passed (sym6) and every second pixel kept, `cut` pixels of the input left out at each border."""
    gain = 1 / math.sqrt(2)
    before, after = (len(SYM6) - 1) // 2, (len(SYM6) - 2) // 2
    return filtered(images, tuple(tap * gain for tap in SYM6), before - cut, after - cut, stride=2)


def _reflected(images: Tensor, reach: int, axis: int) -> Tensor:
    """`reach` more pixels at both ends of an axis, mirrored at the border pixel, again and again if need be."""
    size = images.shape[axis]
    places = torch.arange(-reach, size + reach, device=images.device)
    if size == 1:
        return images.index_select(axis, torch.zeros_like(places))
    places = places.abs() % (2 * size - 2)
    return images.index_select(axis, torch.where(places >= size, 2 * size - 2 - places, places))
