"""An affine warp without aliases: reflect, double the resolution, sample, halve it again (Karras et al. 2020a)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

from sparring.augment.filtering import SYM6, filtered, halved
from sparring.augment.matrices import scaled, shifted

__all__ = ["warp"]

_RIM = len(SYM6) // 4
"""Pixels around the result that the last filter looks at."""


def warp(images: Tensor, placement: Tensor) -> Tensor:
    """Images `[n, c, h, w]`, each pixel of the result taken from where `placement` `[n, 3, 3]` sends it.

    Placements are in pixels, x before y, around the centre. Outside an image lies its mirror image, up to one size.
    """
    n, channels, height, width = images.shape
    left, top, right, bottom = _margins(placement, height, width)
    images = pad(images, (left, right, top, bottom), mode="reflect")
    placement = _shift(placement, (left - right) / 2, (top - bottom) / 2) @ placement
    images = _doubled(images)
    # From output to input among doubled pixels, whose filter lies half a pixel to the side.
    placement = _scale(placement, 2, 2) @ placement @ _scale(placement, 1 / 2, 1 / 2)
    placement = _shift(placement, -0.5, -0.5) @ placement @ _shift(placement, 0.5, 0.5)
    rows, columns = (height + 2 * _RIM) * 2, (width + 2 * _RIM) * 2
    placement = _scale(placement, 2 / images.shape[3], 2 / images.shape[2]) @ placement
    placement = placement @ _scale(placement, columns / 2, rows / 2)
    grid = affine_grid(placement[:, :2], [n, channels, rows, columns], align_corners=False)
    images = grid_sample(images, grid.to(images.dtype), mode="bilinear", padding_mode="zeros", align_corners=False)
    return halved(images, 2 * _RIM)


def _doubled(images: Tensor) -> Tensor:
    """Twice the resolution: zeros between the pixels, then a low-pass filter with gain 2 along each axis."""
    n, channels, height, width = images.shape
    stuffed = images.new_zeros(n, channels, height, 2, width, 2)
    stuffed[:, :, :, 0, :, 0] = images
    taps = tuple(tap * math.sqrt(2) for tap in reversed(SYM6))
    before, after = (len(SYM6) + 1) // 2, (len(SYM6) - 2) // 2
    return filtered(stuffed.view(n, channels, 2 * height, 2 * width), taps, before, after)


def _margins(placement: Tensor, height: int, width: int) -> tuple[int, int, int, int]:
    """Pixels to add (left, top, right, bottom) so that every place a batch looks at exists; at most a size less one.

    The one number that a GPU has to hand back: the shape of what follows.
    """
    x, y = (width - 1) / 2, (height - 1) / 2
    corners = placement.new_tensor([[-x, x, x, -x], [-y, -y, y, y], [1, 1, 1, 1]])
    places = (placement @ corners)[:, :2]
    reach = torch.stack([-places.amin((0, 2)), places.amax((0, 2))])
    reach = reach + placement.new_tensor([2 * _RIM - x, 2 * _RIM - y])
    reach = torch.minimum(reach.clamp(min=0), placement.new_tensor([width - 1, height - 1]))
    (left, top), (right, bottom) = reach.ceil().int().tolist()
    return left, top, right, bottom


def _scale(like: Tensor, x: float, y: float) -> Tensor:
    return scaled(like.new_tensor([x]), like.new_tensor([y]))


def _shift(like: Tensor, x: float, y: float) -> Tensor:
    return shifted(like.new_tensor([x]), like.new_tensor([y]))
