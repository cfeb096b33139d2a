"""A trained translator: an image of any size goes in, another comes out, whole or in tiles that leave no seams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from sparring.chance import seed_of
from sparring.engine.devices import out_of_memory
from sparring.errors import ShapeError, TooLargeError, UsageError
from sparring.game import ImageGame
from sparring.networks.layers import Translator
from sparring.pictures import scaled, to_uint8

__all__ = ["TrainedTranslator", "exhibited", "interleaved"]

_TILE = 256
"""Side of a tile without its margins, in given pixels, rounded up to what the network takes."""


@final
class TrainedTranslator:
    """A network of images in evaluation mode; dropout stays on where it is the network's noise."""

    def __init__(self, network: nn.Module, *, source: str = "") -> None:
        if not isinstance(network, Translator):
            raise UsageError(f"{source or 'this run'} is no network that makes images from images; use sample")
        self.network, self.source = _ready(network), source

    def __repr__(self) -> str:
        return f"TrainedTranslator({self.source!r})"

    @property
    def channels(self) -> int:
        """Channels of what it is given."""
        return self.network.given

    def translate(self, images: Tensor, *, seed: int = 0, tile: int = _TILE) -> Tensor:
        """What it makes of uint8 images `[n, c, h, w]` of any size: uint8 `[n, c', scale h, scale w]`, on the CPU.

        Sides are filled up by reflection to what the network takes, and cut off again. Image i draws its noise, where
        there is any, from `seed` + i and from nothing else. Images larger than `tile` pixels are cut into tiles that
        overlap by the network's reach, which changes nothing, where its reach is known; otherwise they go in whole.

        Raises ShapeError for other channels or no images, TooLargeError where memory does not suffice.
        """
        if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != self.channels:
            raise ShapeError(
                f"this translator takes uint8 images [n, {self.channels}, h, w], not {images.dtype} "
                f"{list(images.shape)}; convert them first"
            )
        if not len(images):
            raise ShapeError("there are no images to translate; give one or more")
        return torch.cat([self._one(image[None], seed + place, tile) for place, image in enumerate(images)])

    def _one(self, image: Tensor, seed: int, tile: int) -> Tensor:
        device = next(self.network.parameters()).device
        height, width = image.shape[2:]
        x = _filled(scaled(image.to(device)), self.network.multiple, self.network.least)
        made: Tensor | None = None
        try:
            with torch.inference_mode(), torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed_of(seed, "translate"))
                made = to_uint8(self._made(x, tile)).cpu()
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
        if made is None:  # outside the handler, whose traceback would keep the memory
            raise TooLargeError(f"an image of {width}x{height} pixels does not fit into memory{self._remedy()}")
        scale = self.network.scale
        return made[:, :, : scale * height, : scale * width].clone()

    def _remedy(self) -> str:
        """What can be done about an image that is too large, and why no more."""
        if self.network.reach is not None:
            return "; give a smaller tile, or a smaller image"
        return (
            ", and what this network makes of one place depends on the whole image, so that tiles would not fit "
            "together; make it smaller"
        )

    def _made(self, x: Tensor, tile: int) -> Tensor:
        """The network's answer, in tiles where that is exact and worth it."""
        reach, multiple, scale = self.network.reach, self.network.multiple, self.network.scale
        height, width = x.shape[2:]
        side = -(-max(tile, 1) // multiple) * multiple
        if reach is None or max(height, width) <= side:
            return self.network(x)  # type: ignore[no-any-return]
        margin = -(-reach // multiple) * multiple
        whole: Tensor | None = None
        for rows in _pieces(height, side, margin):
            for columns in _pieces(width, side, margin):
                part = self.network(x[:, :, rows.outer, columns.outer])
                if whole is None:
                    whole = part.new_empty(1, part.shape[1], scale * height, scale * width)
                kept = part[:, :, rows.within(scale), columns.within(scale)]
                whole[:, :, rows.to(scale), columns.to(scale)] = kept
        assert whole is not None
        return whole


def exhibited(
    game: ImageGame, players: Mapping[str, nn.Module], images: Tensor, labels: Tensor | None
) -> dict[str, Tensor]:
    """What a game's players, in evaluation mode, make of some reals in [-1, 1]: uint8 columns by their titles."""
    for network in players.values():
        if isinstance(network, Translator):
            _ready(network)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(0, "exhibit"))
        columns = game.exhibit(players, images, labels)
    return {title: to_uint8(column).cpu() for title, column in columns.items()}


def _ready(network: Translator) -> Translator:
    """The network itself in evaluation mode, but for dropout that is its noise."""
    network.eval()
    for module in network.modules() if network.noisy else ():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.train()
    return network


def interleaved(columns: Sequence[Tensor]) -> Tensor:
    """Columns of images `[n, ...]` of several sizes and channels, row by row: uint8 `[n k, c, h, w]` of the largest.

    Smaller ones are enlarged as they are, grey ones repeated; what has no alpha is opaque beside what has.
    """
    channels = max(column.shape[1] for column in columns)
    size = max(column.shape[2] for column in columns), max(column.shape[3] for column in columns)
    alike = []
    for column in columns:
        enlarged = column if column.shape[2:] == size else interpolate(column, size=size, mode="nearest")
        if enlarged.shape[1] == 1:
            enlarged = enlarged.expand(-1, min(channels, 3), -1, -1)  # grey is a colour, and no alpha
        opaque = enlarged.new_full((len(column), channels - enlarged.shape[1], *size), 255)
        alike.append(torch.cat([enlarged, opaque], 1))
    return torch.stack(alike, 1).flatten(0, 1)


@dataclass(frozen=True)
class _Piece:
    """A stretch of pixels `begin`..`end`, and what a network has to see of it, `first`..`last`."""

    begin: int
    end: int
    first: int
    last: int

    @property
    def outer(self) -> slice:
        return slice(self.first, self.last)

    def to(self, scale: int) -> slice:
        """Where it lies in what is made."""
        return slice(scale * self.begin, scale * self.end)

    def within(self, scale: int) -> slice:
        """Where it lies in what is made of `outer`."""
        return slice(scale * (self.begin - self.first), scale * (self.end - self.first))


def _pieces(length: int, side: int, margin: int) -> Iterator[_Piece]:
    """Stretches of `side` pixels with margins, as far as there are pixels."""
    for begin in range(0, length, side):
        end = min(begin + side, length)
        yield _Piece(begin, end, max(begin - margin, 0), min(end + margin, length))


def _filled(x: Tensor, multiple: int, least: int) -> Tensor:
    """Sides filled up to `least` multiples or more, by reflection as far as there is something to reflect."""
    while True:
        height, width = x.shape[2:]
        low, right = (max(-side % multiple, least * multiple - side) for side in (height, width))
        if not low and not right:
            return x
        mode = "reflect" if min(height, width) > 1 else "replicate"
        most = (min(right, width - 1), min(low, height - 1)) if mode == "reflect" else (right, low)
        x = pad(x, (0, most[0], 0, most[1]), mode=mode)
