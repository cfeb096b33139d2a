"""DiffAugment: colour, translation and cutout, the same kind for reals and fakes (Zhao et al. 2020a)."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from sparring.chance import Draw

__all__ = ["diffaugment"]

Kind: TypeAlias = Literal["color", "translation", "cutout"]


def diffaugment(
    images: Tensor,
    strength: Tensor,
    draw: Draw,
    *,
    policy: tuple[Kind, ...] = ("color", "translation", "cutout"),
    shift: float = 0.125,
    hole: float = 0.5,
) -> Tensor:
    """Images `[n, c, h, w]` through the transforms of `policy`, each image with its own draws.

    `color`: brightness by up to 0.5 of a unit of [-1, 1], saturation by a factor of 0 to 2, contrast by a factor of
    0.5 to 1.5. `translation`: by up to `shift` of the size, filled with zero. `cutout`: a square of `hole` of the size
    set to zero. `strength` is the probability of each transform for each image; the paper's is 1.
    """
    steps = {"color": _color, "translation": _translation, "cutout": _cutout}
    for kind in policy:
        chosen = _chosen(len(images), strength, draw)
        changed = steps[kind](images, draw, {"translation": shift, "cutout": hole}.get(kind, 0.0))
        images = torch.where(chosen, changed, images)
    return images


def _chosen(n: int, strength: Tensor, draw: Draw) -> Tensor:
    """Which images a transform meets, `[n, 1, 1, 1]`."""
    return ((draw(n, 1, "uniform") + 1) / 2 < strength).view(n, 1, 1, 1)


def _color(images: Tensor, draw: Draw, _: float) -> Tensor:
    """Brightness, saturation, contrast, in that order."""
    light, colour, contrast = ((draw(len(images), 3, "uniform") + 1) / 2).view(-1, 3, 1, 1, 1).unbind(1)
    images = images + (light - 0.5)
    grey = images.mean(1, keepdim=True)
    images = (images - grey) * (2 * colour) + grey
    middle = images.mean((1, 2, 3), keepdim=True)
    return (images - middle) * (contrast + 0.5) + middle


def _translation(images: Tensor, draw: Draw, ratio: float) -> Tensor:
    """Moved by whole pixels, zeros where nothing was."""
    n, _, height, width = images.shape
    share = (draw(n, 2, "uniform") + 1) / 2
    down, right = (_whole(share[:, k], int(size * ratio + 0.5)) for k, size in enumerate((height, width)))
    rows = torch.arange(height, device=images.device) + down
    columns = torch.arange(width, device=images.device) + right
    inside = _inside(rows, height)[:, None, :, None] * _inside(columns, width)[:, None, None, :]
    moved = images.gather(2, rows.clamp(0, height - 1).view(n, 1, height, 1).expand_as(images))
    return moved.gather(3, columns.clamp(0, width - 1).view(n, 1, 1, width).expand_as(images)) * inside


def _cutout(images: Tensor, draw: Draw, ratio: float) -> Tensor:
    """A hole around a random pixel, cut off at the border."""
    n, _, height, width = images.shape
    share = (draw(n, 2, "uniform") + 1) / 2
    masks = []
    for k, size in enumerate((height, width)):
        side = int(size * ratio + 0.5)
        first = _whole_from(share[:, k], size + (1 - side % 2)) - side // 2
        places = torch.arange(size, device=images.device)
        masks.append((places >= first) & (places < first + side))
    return images * ~(masks[0][:, None, :, None] & masks[1][:, None, None, :])


def _whole(share: Tensor, most: int) -> Tensor:
    """-most..most, equally likely, `[n, 1]`."""
    return _whole_from(share, 2 * most + 1) - most


def _whole_from(share: Tensor, count: int) -> Tensor:
    """0..count-1, equally likely, from shares in [0, 1), `[n, 1]`."""
    return (share * count).long().clamp(max=count - 1)[:, None]


def _inside(places: Tensor, size: int) -> Tensor:
    return ((places >= 0) & (places < size)).float()
