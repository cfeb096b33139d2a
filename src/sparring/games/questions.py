"""What a translator is asked: how reals become a given image and the answer that is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor
from torch.nn.functional import interpolate

from sparring.errors import UsageError
from sparring.fitting import Shape
from sparring.networks.layers import require_multiple
from sparring.pictures import scaled, to_uint8

__all__ = ["Halves", "Question", "Shrunken", "shrunken"]


class Question(Protocol):
    """Reals `[n, ...]` in [-1, 1] as what is given and what is wanted."""

    def shapes(self, shape: Shape) -> tuple[Shape, Shape]:
        """The shapes of both; raises UsageError or ShapeError for data that cannot be asked so."""

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Both, `[n, c, h, w]` and `[n, c', h', w']`."""


@dataclass(frozen=True)
class Halves:
    """Pairs, stacked along the channels: one half is given, the other wanted."""

    direction: Literal["AtoB", "BtoA"] = "AtoB"

    def __post_init__(self) -> None:
        if self.direction not in ("AtoB", "BtoA"):
            raise UsageError(f"direction {self.direction!r} cannot be; give AtoB or BtoA")

    def shapes(self, shape: Shape) -> tuple[Shape, Shape]:
        channels, height, width = shape
        if channels % 2 or (height, width) == (1, 1):
            raise UsageError("this recipe needs pairs of images; give images side by side, or two folders, A and B")
        half = (channels // 2, height, width)
        return half, half

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        first, second = images.chunk(2, dim=1)
        return (first, second) if self.direction == "AtoB" else (second, first)


@dataclass(frozen=True)
class Shrunken:
    """Images, and the same ones `scale` times smaller, as a file of that size would hold them."""

    scale: int = 4

    def __post_init__(self) -> None:
        if self.scale not in (2, 4):
            raise UsageError(f"images cannot be made {self.scale} times larger; give 2 or 4")

    def shapes(self, shape: Shape) -> tuple[Shape, Shape]:
        channels, height, width = shape
        if (height, width) == (1, 1):
            raise UsageError("this recipe enlarges images, and points have no size; give images")
        require_multiple(height, width, self.scale)
        return (channels, height // self.scale, width // self.scale), shape

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return shrunken(images, self.scale), images


def shrunken(images: Tensor, scale: int) -> Tensor:
    """Images `[n, c, h, w]` in [-1, 1], `scale` times smaller: bicubic, antialiased, clamped, rounded to 256 values."""
    small = interpolate(images, scale_factor=1 / scale, mode="bicubic", antialias=True).clamp(-1, 1)
    return scaled(to_uint8(small))
