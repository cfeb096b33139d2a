"""What a game shows of its reals in training: a piece of each, in some position, drawn anew for every turn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from sparring.chance import Draw
from sparring.errors import ShapeError, UsageError
from sparring.fitting import Shape

__all__ = ["WHOLE", "Pieces"]

_MOST = 4.0


@dataclass(frozen=True)
class Pieces:
    """A random square of each image, `side` pixels long, or all of it where that is 0.

    With `stretch` above 1 images are made so many times larger before (bicubic), and a piece that would be all of them
    is as large as they were: the jitter of Isola et al. 2017, section 6.2, who cut 256 pixels out of 286. With `turned`
    a piece is turned upside down and, where it is square, on its side, each by half of the time: with the mirroring of
    reals beside it that makes all eight positions (Wang et al. 2018, section 4.1).
    """

    side: int = 0
    turned: bool = False
    stretch: float = 1.0

    def __post_init__(self) -> None:
        if self.side < 0:
            raise UsageError(f"a piece of {self.side} pixels cannot be; give a positive number, or 0 for whole images")
        if not 1 <= self.stretch <= _MOST:
            raise UsageError(
                f"images stretched {self.stretch:g} times cannot be; give a number from 1 (as they are) to {_MOST:g}, "
                "such as 1.117 for 286 pixels out of 256"
            )

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
        shown = self.shape((images.shape[1], images.shape[2], images.shape[3]))[1:]
        if self.stretch > 1:
            larger = [round(self.stretch * side) for side in images.shape[2:]]
            images = interpolate(images, size=larger, mode="bicubic", antialias=True).clamp(-1, 1)
        if images.shape[2:] != shown:
            images = _cut(images, shown, draw)
        if not self.turned:
            return images
        over, on_side = (draw(len(images), 2, "uniform") > 0).t()[:, :, None, None, None]
        images = torch.where(over, images.flip(2), images)
        square = images.shape[2] == images.shape[3]
        return torch.where(on_side, images.transpose(2, 3), images) if square else images


WHOLE = Pieces()
"""All of every image, as it is."""


def _cut(images: Tensor, shape: tuple[int, int], draw: Draw) -> Tensor:
    """A piece of each image, height by width, from a random place."""
    n, channels, *sides = images.shape
    corners = (draw(n, 2, "uniform") + 1) / 2  # up to 1 and, by rounding, 1 itself
    room = torch.tensor([side - cut for side, cut in zip(sides, shape, strict=True)], device=images.device)
    first = torch.minimum((corners * (room + 1)).long(), room)
    rows, columns = (first[:, i : i + 1] + torch.arange(cut, device=images.device) for i, cut in enumerate(shape))
    each = torch.arange(n, device=images.device)
    all_channels = torch.arange(channels, device=images.device)
    return images[
        each[:, None, None, None], all_channels[:, None, None], rows[:, None, :, None], columns[:, None, None]
    ]
