"""One size for all: which one, and how each image is brought to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from PIL import Image, ImageOps

from sparring.data.options import Options

__all__ = ["Sizing", "choose_sizing", "enlargement", "fit"]

_SIDES = (16, 32, 64, 128, 256)
_KEPT_AS_IT_IS = 256
_STRONGLY_NON_SQUARE = 2.0


@dataclass(frozen=True)
class Sizing:
    """The common size in pixels, whether the whole image is kept and padded, and the rule as a sentence."""

    height: int
    width: int
    pad: bool
    rule: str


def choose_sizing(sizes: Sequence[tuple[int, int]], options: Options) -> Sizing:
    """Decides once for all images, from their (height, width).

    >>> choose_sizing([(100, 150), (90, 80), (120, 120)], Options()).rule
    'Scaled so that the short side fits, then cropped at the centre to 64x64.'
    """
    if options.size is not None:
        height, width = options.size
        if set(sizes) == {options.size}:
            return _kept(height, width)
        return Sizing(height, width, pad=False, rule=_crop_rule(height, width))
    height, width = sizes[0]
    if len(set(sizes)) == 1 and max(height, width) <= _KEPT_AS_IT_IS:
        return _kept(height, width)
    short = median(min(size) for size in sizes)
    side = max((side for side in _SIDES if side <= min(short, options.max_side)), default=_SIDES[0])
    if median(max(size) / min(size) for size in sizes) > _STRONGLY_NON_SQUARE:
        rule = f"Scaled so that the long side fits, then padded to {side}x{side}, because a crop would lose most of it."
        return Sizing(side, side, pad=True, rule=rule)
    return Sizing(side, side, pad=False, rule=_crop_rule(side, side))


def fit(image: Image.Image, sizing: Sizing, background: tuple[int, int, int]) -> Image.Image:
    """The image at the common size, antialiased; an image that has the size already keeps every pixel.

    `image` has mode L, RGB or RGBA; so has the result.
    """
    size = (sizing.width, sizing.height)
    if image.size == size:
        return image
    smaller = enlargement((image.height, image.width), sizing) < 1
    method = Image.Resampling.LANCZOS if smaller else Image.Resampling.BICUBIC
    if not sizing.pad:
        return ImageOps.fit(image, size, method)
    if image.mode == "L":
        image = image.convert("RGB")
    # So thin a line that its width would be rounded to nothing is made just wide enough to stay.
    least = (image.height // (2 * sizing.height) + 1, image.width // (2 * sizing.width) + 1)
    if image.width < least[0] or image.height < least[1]:
        image = image.resize((max(image.width, least[0]), max(image.height, least[1])))
    colour = (*background, 0) if _lets_light_through(image) else (*background, 255)[: len(image.getbands())]
    return ImageOps.pad(image, size, method, color=colour)


def enlargement(size: tuple[int, int], sizing: Sizing) -> float:
    """How many times longer the sides become.

    >>> enlargement((32, 32), Sizing(64, 64, pad=False, rule=""))
    2.0
    """
    ratios = (sizing.height / size[0], sizing.width / size[1])
    return min(ratios) if sizing.pad else max(ratios)


def _kept(height: int, width: int) -> Sizing:
    return Sizing(height, width, pad=False, rule=f"Kept at {height}x{width}.")


def _crop_rule(height: int, width: int) -> str:
    return f"Scaled so that the short side fits, then cropped at the centre to {height}x{width}."


def _lets_light_through(image: Image.Image) -> bool:
    return image.mode == "RGBA" and image.getchannel("A").getextrema()[0] != 255
