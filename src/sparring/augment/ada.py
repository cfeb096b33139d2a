"""ADA's pipe: eighteen transforms, by default twelve, of places and colours (Karras et al. 2020a, appendix B).

Pixel blits and geometry become one warp, colours one matrix, four bands one filter; noise and a hole come last. The
settings are the paper's; a multiplier of 0 leaves a transform out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.augment import matrices
from sparring.augment.filtering import bands
from sparring.augment.warping import warp
from sparring.chance import Draw

__all__ = ["ada"]


def ada(
    images: Tensor,
    strength: Tensor,
    draw: Draw,
    *,
    blit: float = 1.0,
    geometry: float = 1.0,
    colour: float = 1.0,
    filtering: float = 0.0,
    noise: float = 0.0,
    cutout: float = 0.0,
    mirror: bool = True,
) -> Tensor:
    """Images `[n, c, h, w]` in [-1, 1] through the pipe; `strength` times a group's multiplier is the probability.

    `blit`: x-flip (unless `mirror` is off, for data where left and right differ), quarter turns, whole-pixel shifts.
    `geometry`: scale, rotation, anisotropy, shift. `colour`: brightness, contrast, luma flip, hue, saturation.
    `filtering`: four frequency bands. `noise`: additive. `cutout`: one square. The paper's `bgc` is the default, its
    `bgcfnc` has all six at 1. With 1 channel colours act on the luma; with 4 the last is left alone; with other
    numbers all channels move together.
    """
    dice = _Dice(len(images), images.device, strength, draw)
    if blit or geometry:
        images = warp(images, _placement(dice, images.shape[-2], images.shape[-1], blit, geometry, mirror))
    if colour:
        images = _coloured(images, _colours(dice, colour, images.shape[1] in (3, 4)))
    if filtering:
        gains = [dice.either(filtering, torch.exp2(dice.normal()), 1.0) for _ in range(4)]
        images = bands(images, gains)
    if noise:
        sigma = dice.either(noise, dice.normal().abs() * 0.1, 0.0).view(-1, 1, 1, 1)
        images = images + sigma * draw(len(images), math.prod(images.shape[1:]), "normal").view_as(images)
    return _with_hole(images, dice, cutout) if cutout else images


@dataclass(frozen=True)
class _Dice:
    """Draws for each of n images."""

    n: int
    device: torch.device
    strength: Tensor
    draw: Draw

    def uniform(self) -> Tensor:
        """U(0, 1), `[n]`."""
        return (self.draw(self.n, 1, "uniform")[:, 0] + 1) / 2

    def normal(self) -> Tensor:
        """N(0, 1), `[n]`."""
        return self.draw(self.n, 1, "normal")[:, 0]

    def met(self, multiplier: float) -> Tensor:
        """Which images meet a transform, `[n]`."""
        return self.uniform() < multiplier * self.strength

    def either(self, multiplier: float, value: Tensor, otherwise: float) -> Tensor:
        """`value` where an image meets the transform, `otherwise` else."""
        return torch.where(self.met(multiplier), value, otherwise)


def _placement(dice: _Dice, height: int, width: int, blit: float, geometry: float, mirror: bool) -> Tensor:
    """Where each pixel of the result comes from: `[n, 3, 3]` from output to input, in pixels around the centre."""
    steps = [torch.eye(3, device=dice.device).expand(dice.n, 3, 3)]
    if blit:
        if mirror:
            flip = dice.either(blit, torch.floor(dice.uniform() * 2), 0.0)
            steps.append(matrices.scaled(1 / (1 - 2 * flip), torch.ones_like(flip)))
        quarter = dice.either(blit, torch.floor(dice.uniform() * 4), 0.0)
        steps.append(matrices.turned(math.pi / 2 * quarter))
        moved = dice.met(blit)
        right, down = (moved * (dice.uniform() * 2 - 1) * 0.125 for _ in range(2))
        steps.append(matrices.shifted(-torch.round(right * width), -torch.round(down * height)))
    if geometry:
        size = torch.exp2(dice.either(geometry, dice.normal() * 0.2, 0.0))
        steps.append(matrices.scaled(1 / size, 1 / size))
        rotation = _rotation_share(geometry, dice.strength)
        angle = torch.where(dice.uniform() < rotation, (dice.uniform() * 2 - 1) * math.pi, 0.0)
        steps.append(matrices.turned(angle))
        stretch = torch.exp2(dice.either(geometry, dice.normal() * 0.2, 0.0))
        steps.append(matrices.scaled(1 / stretch, stretch))
        angle = torch.where(dice.uniform() < rotation, (dice.uniform() * 2 - 1) * math.pi, 0.0)
        steps.append(matrices.turned(angle))
        moved = dice.met(geometry)
        right, down = (moved * dice.normal() * 0.125 for _ in range(2))
        steps.append(matrices.shifted(-right * width, -down * height))
    placed = steps[0]
    for step in steps[1:]:
        placed = placed @ step
    return placed


def _rotation_share(multiplier: float, strength: Tensor) -> Tensor:
    """Two rotations, before and after the stretch, that together happen with the probability of one transform."""
    return 1 - (1 - multiplier * strength).clamp(0, 1).sqrt()


def _colours(dice: _Dice, colour: float, hues: bool) -> Tensor:
    """The change of colours `[n, 4, 4]`, on (r, g, b, 1); without hues only what acts on the luma."""
    light = dice.either(colour, dice.normal() * 0.2, 0.0)
    found = matrices.lit(light)
    contrast = torch.exp2(dice.either(colour, dice.normal() * 0.5, 0.0))
    found = matrices.spread(contrast) @ found
    flip = dice.either(colour, torch.floor(dice.uniform() * 2), 0.0)
    found = matrices.luma_flipped(flip) @ found
    if not hues:
        return found
    hue = dice.either(colour, (dice.uniform() * 2 - 1) * math.pi, 0.0)
    found = matrices.hue_turned(hue) @ found
    saturation = torch.exp2(dice.either(colour, dice.normal(), 0.0))
    return matrices.saturated(saturation) @ found


def _coloured(images: Tensor, change: Tensor) -> Tensor:
    """Colours of images `[n, c, h, w]` under `[n, 4, 4]`."""
    channels = images.shape[1]
    if channels not in (3, 4):
        row = change[:, :3].mean(1)
        return images * row[:, :3].sum(1).view(-1, 1, 1, 1) + row[:, 3].view(-1, 1, 1, 1)
    changed = torch.einsum("nij,njhw->nihw", change[:, :3, :3], images[:, :3]) + change[:, :3, 3, None, None]
    return changed if channels == 3 else torch.cat([changed, images[:, 3:]], 1)


def _with_hole(images: Tensor, dice: _Dice, cutout: float) -> Tensor:
    """A square of half the size set to zero around a random place."""
    side = dice.either(cutout, torch.full((dice.n,), 0.5, device=images.device), 0.0)
    clear = []
    for size in (images.shape[-1], images.shape[-2]):
        places = (torch.arange(size, device=images.device) + 0.5) / size
        clear.append((places - dice.uniform()[:, None]).abs() >= side[:, None] / 2)
    return images * (clear[0][:, None, None, :] | clear[1][:, None, :, None])
