"""Networks that grow while they are trained: small images first, then twice the size, faded in (Karras et al. 2018).

A level is a number: at 2 an image has been doubled twice, at 2.25 a third doubling is faded in by a quarter.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

__all__ = ["Growing", "blended", "enlarged", "grow", "halved", "painted", "seen_at"]

_UNITS = 2**20


class Growing(nn.Module):
    """A network of all its `levels`, of which the first `level` are in use.

    The level belongs to the weights, because they are worth nothing at another: it is saved, loaded and copied with
    them. A generator makes images of its level's size while it trains and of the full size in evaluation; a
    discriminator takes either.
    """

    levels: int
    grown: Tensor

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels, self.level = levels, float(levels)
        self.register_buffer("grown", torch.tensor(levels * _UNITS))  # an integer: averages of weights copy it

    def grow(self, level: float) -> None:
        """Use the network up to a level, at most all of it."""
        units = round(min(max(level, 0.0), self.levels) * _UNITS)
        if units / _UNITS != self.level:
            self.grown.fill_(units)
            self.level = units / _UNITS

    def train(self, mode: bool = True) -> Any:
        """Training or evaluation mode, as ever, at the level of the weights."""
        self._look()
        return super().train(mode)

    def _load_from_state_dict(self, *args: Any, **keywords: Any) -> None:
        super()._load_from_state_dict(*args, **keywords)
        self._look()

    def _look(self) -> None:
        """The level as a number that asks no device."""
        if not self.grown.is_meta:
            self.level = self.grown.item() / _UNITS

    @property
    def top(self) -> int:
        """The highest level in use, wholly or in part."""
        return math.ceil(self.level)

    @property
    def fade(self) -> float | None:
        """How far the highest level is faded in, or None where it is in use wholly."""
        part = self.level - math.floor(self.level)
        return part or None


def grow(network: nn.Module, level: float) -> None:
    """Bring whatever grows in a network to a level."""
    for module in network.modules():
        if isinstance(module, Growing):
            module.grow(level)


def halved(images: Tensor, times: int) -> Tensor:
    """`[n, c, h, w]` averaged over blocks of 2^times x 2^times pixels."""
    return avg_pool2d(images, 2**times) if times > 0 else images


def enlarged(images: Tensor, times: int) -> Tensor:
    """`[n, c, h, w]` with every pixel repeated 2^times x 2^times times."""
    return interpolate(images, scale_factor=2**times, mode="nearest") if times > 0 else images


def blended(coarse: Tensor, fine: Tensor, fade: float | None) -> Tensor:
    """What is faded in: `coarse` at 0, `fine` at 1 and for None."""
    return fine if fade is None else coarse.lerp(fine, fade)


def painted(network: Growing, paints: nn.ModuleList, before: Tensor, last: Tensor) -> Tensor:
    """The image of a generator's `last` layer, `before` being that of the level below; in evaluation of full size."""
    image: Tensor = paints[network.top](last)
    if network.fade is not None:
        image = blended(enlarged(paints[network.top - 1](before), 1), image, network.fade)
    return image if network.training else enlarged(image, network.levels - network.top)


def seen_at(images: Tensor, level: float, levels: int) -> Tensor:
    """Reals `[n, c, h, w]` of `levels` doublings as a network at a level has to make them.

    Averaged down to its size and, where a level is faded in, mixed with what they were at the level before.
    """
    level = round(min(max(level, 0.0), levels) * _UNITS) / _UNITS
    top = math.ceil(level)
    fine = halved(images, levels - top)
    return fine if top == level else blended(enlarged(halved(fine, 1), 1), fine, level - top + 1)
