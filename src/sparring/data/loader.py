"""Reals in an order that is a function of (seed, cursor): whole batches by index, only a number to save."""

from __future__ import annotations

from typing import Protocol, final

import torch
from torch import Tensor

from sparring.chance import generator, permutation

__all__ = ["Images", "Loader"]


class Images(Protocol):
    """Anything that gives images by index: `[n, c, h, w]`, uint8, or float32 where they are used as they are."""

    def images(self, indices: Tensor) -> Tensor:
        """The images at some places."""

    @property
    def labels(self) -> Tensor | None:
        """All labels, int64 `[N]`, or None."""


@final
class Loader:
    """Draws batches of the images at `indices`, epoch after epoch, each in an order of its own.

    A batch larger than what is left of an epoch wraps into the next one.
    """

    def __init__(self, data: Images, indices: Tensor, *, seed: int, mirror: bool = False) -> None:
        self._data, self._indices, self._seed, self._mirror = data, indices, seed, mirror
        self._orders: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self._indices)

    def draw(self, cursor: int, n: int, part: slice) -> tuple[Tensor, Tensor | None]:
        """Images and labels number `cursor`..`cursor + n` of the stream, as stored; only `part` of them is fetched."""
        places = torch.arange(cursor, cursor + n)[part]
        chosen = torch.cat(
            [
                self._order(int(epoch))[places[places // len(self) == epoch] % len(self)]
                for epoch in torch.unique(places // len(self))
            ]
        )
        images = self._data.images(chosen)
        if self._mirror:
            flips = torch.rand(n, generator=generator(self._seed, "mirror", cursor))[part] < 0.5
            images = torch.where(flips[:, None, None, None], images.flip(3), images)
        labels = self._data.labels
        return images, None if labels is None else labels[chosen]

    def _order(self, epoch: int) -> Tensor:
        """The order of an epoch; the last two are remembered."""
        if epoch not in self._orders:
            self._orders = {k: v for k, v in self._orders.items() if k == epoch - 1}
            self._orders[epoch] = self._indices[permutation(len(self), self._seed, "order", epoch)]
        return self._orders[epoch]
