"""Reals in an order that is a function of (seed, cursor): whole batches by index, only a number to save."""

from __future__ import annotations

from typing import Protocol, final

import torch
from torch import Tensor

from sparring.chance import generator, permutation
from sparring.errors import UsageError

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

    A batch larger than what is left of an epoch wraps into the next one. `balanced` draws every class equally often:
    of so many images in a row as there are classes, each class has one, and each class goes through epochs of its own.
    """

    def __init__(
        self, data: Images, indices: Tensor, *, seed: int, mirror: bool = False, balanced: bool = False
    ) -> None:
        self._data, self._indices, self._seed, self._mirror = data, indices, seed, mirror
        self._orders: dict[tuple[int, int], Tensor] = {}
        self._labels = None if data.labels is None else data.labels[indices]
        self._groups = _by_class(self._labels, indices) if balanced else []

    def __len__(self) -> int:
        return len(self._indices)

    def draw(self, cursor: int, n: int, part: slice) -> tuple[Tensor, Tensor | None]:
        """Images and labels number `cursor`..`cursor + n` of the stream, as stored; only `part` of them is fetched."""
        chosen = self._places(torch.arange(cursor, cursor + n)[part])
        images = self._data.images(chosen)
        if self._mirror:
            flips = torch.rand(n, generator=generator(self._seed, "mirror", cursor))[part] < 0.5
            images = torch.where(flips[:, None, None, None], images.flip(3), images)
        labels = self._data.labels
        return images, None if labels is None else labels[chosen]

    def labels(self, source: torch.Generator, n: int) -> Tensor:
        """Labels as frequent as those of the stream, int64 `[n]`; raises UsageError where the data have none."""
        if self._labels is None:
            raise UsageError("these data have no labels; give one folder a class, or play a recipe without classes")
        if self._groups:
            present = torch.tensor([label for label, _ in self._groups])
            return present[torch.randint(len(present), (n,), generator=source)]
        return self._labels[torch.randint(len(self._labels), (n,), generator=source)]

    def _places(self, numbers: Tensor) -> Tensor:
        """The indices of the images with some numbers in the stream."""
        if not self._groups:
            return self._in_epochs(numbers, self._indices, 0)
        blocks, within = numbers // len(self._groups), numbers % len(self._groups)
        each, place = blocks.unique(return_inverse=True)
        orders = torch.stack([permutation(len(self._groups), self._seed, "classes", int(b)) for b in each])
        which = orders[place, within]
        chosen = torch.empty_like(numbers)
        for group in which.unique():
            label, indices = self._groups[int(group)]
            chosen[which == group] = self._in_epochs(blocks[which == group], indices, label + 1)
        return chosen

    def _in_epochs(self, numbers: Tensor, indices: Tensor, stream: int) -> Tensor:
        """Indices in shuffled epochs, one after the other; stream 0 is that of all images."""
        epochs, places = numbers // len(indices), numbers % len(indices)
        return torch.cat([self._order(int(e), indices, stream)[places[epochs == e]] for e in torch.unique(epochs)])

    def _order(self, epoch: int, indices: Tensor, stream: int) -> Tensor:
        """The order of an epoch; the last two of each stream are remembered."""
        if (stream, epoch) not in self._orders:
            self._orders.pop((stream, epoch - 2), None)
            parts = ("order", epoch) if stream == 0 else ("order", epoch, "class", stream - 1)
            self._orders[stream, epoch] = indices[permutation(len(indices), self._seed, *parts)]
        return self._orders[stream, epoch]


def _by_class(labels: Tensor | None, indices: Tensor) -> list[tuple[int, Tensor]]:
    """The classes that have images, each with their indices. Raises UsageError where there are not two at least."""
    if labels is None:
        raise UsageError("classes cannot be balanced, because these data have no labels; leave balancing out")
    groups = [(int(label), indices[labels == label]) for label in labels.unique()]
    if len(groups) < 2:
        raise UsageError(
            "classes cannot be balanced, because all images to train on are of one; give more of others, or leave "
            "balancing out"
        )
    return groups
