"""What a game shows of its reals in training: a piece of each, in some position, drawn anew for every turn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.chance import Draw
from sparring.errors import ShapeError, UsageError
from sparring.fitting import Shape

__all__ = ["Pieces"]


@dataclass(frozen=True)
class Pieces:
    """A random square of each image, `side` pixels long, or all of it where that is 0.

    With `turned` it is turned upside down and, where it is square, on its side, each by half of the time: with the
    mirroring of reals beside it that makes all eight positions (Wang et al. 2018, section 4.1).
    """

    side: int = 0
    turned: bool = False

    def __post_init__(self) -> None:
        if self.side < 0:
            raise UsageError(f"a piece of {self.side} pixels cannot be; give a positive number, or 0 for whole images")

    def shape(self, shape: Shape) -> Shape:
        """The shape of what is shown of reals; raises ShapeError for reals that are smaller than a piece."""
        if not self.side:
            return shape
        if min(shape[1:]) < self.side:
            raise ShapeError(
                f"images of {shape[1]}x{shape[2]} hold no piece of {self.side}x{self.side}; give larger images or a "
                "smaller piece"
            )
        return (shape[0], self.side, self.side)

    def __call__(self, images: Tensor, draw: Draw) -> Tensor:
        """Pieces of images `[n, c, h, w]`; `draw(n, dim, "uniform")` is from -1 to 1."""
        if self.side:
            images = self._cut(images, draw)
        if not self.turned:
            return images
        over, on_side = (draw(len(images), 2, "uniform") > 0).t()[:, :, None, None, None]
        images = torch.where(over, images.flip(2), images)
        square = images.shape[2] == images.shape[3]
        return torch.where(on_side, images.transpose(2, 3), images) if square else images

    def _cut(self, images: Tensor, draw: Draw) -> Tensor:
        n, channels, *sides = images.shape
        corners = (draw(n, 2, "uniform") + 1) / 2  # up to 1 and, by rounding, 1 itself
        room = torch.tensor([side - self.side for side in sides], device=images.device)
        first = torch.minimum((corners * (room + 1)).long(), room)
        reach = torch.arange(self.side, device=images.device)
        rows, columns = first[:, :1] + reach, first[:, 1:] + reach
        each = torch.arange(n, device=images.device)
        all_channels = torch.arange(channels, device=images.device)
        return images[
            each[:, None, None, None], all_channels[:, None, None], rows[:, None, :, None], columns[:, None, None]
        ]
