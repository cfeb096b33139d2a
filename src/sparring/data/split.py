"""Held-out reals: images never trained on, chosen by what they show and not by where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sparring.data.dataset import Dataset
from sparring.data.options import Reading
from sparring.errors import UsageError

__all__ = ["Split", "recorded_split", "split_held_out"]


@dataclass(frozen=True)
class Split:
    """Positions in the data set, int64, ascending; together they are everything, and they share no image.

    `sides` are the labels of all images of two sides that do not pair up, each of which is split by itself.
    """

    train: Tensor
    held_out: Tensor
    sides: Tensor | None = None

    def shown(self, least: int = 2) -> tuple[Tensor, str]:
        """Positions of the images to show and to score against, ascending, and what to say of them.

        They are those held out, or those trained on where fewer than `least` were held out; of two sides, each side has
        its own.
        """
        parts = [self] if self.sides is None else [self._side(kind) for kind in self.sides.unique().tolist()]
        enough = [len(part.held_out) >= least for part in parts]
        chosen = [part.held_out if held else part.train for part, held in zip(parts, enough, strict=True)]
        return torch.cat(chosen).sort().values, _said(enough)

    def _side(self, kind: int) -> Split:
        assert self.sides is not None
        return Split(*(places[self.sides[places] == kind] for places in (self.train, self.held_out)))


def split_held_out(
    dataset: Dataset, share: float = 0.1, most: int = 1000, none_below: int = 200, *, reading: Reading = "images"
) -> Split:
    """Holds out `share` of the images, at most `most`, none when there are fewer than `none_below`.

    The images with the smallest content hashes are held out, copies always together, so the choice does not depend on
    the order or the names of files. Of two sides (`reading`) each is split by itself by that rule, and what both sides
    show is trained on. Raises UsageError for a share that is none.

    >>> import sparring.data
    >>> split = split_held_out(sparring.data.open_data("grid25", count=500))
    >>> len(split.train), len(split.held_out)
    (450, 50)
    """
    if not 0 <= share < 1:
        raise UsageError(f"share {share} cannot be held out; give 0 or more, and less than 1")
    digests = np.ascontiguousarray(dataset.digests)
    rows = digests.view(f"V{digests.shape[1]}").ravel()
    _, group, copies = np.unique(rows, return_inverse=True, return_counts=True)
    sides = _sides(dataset, reading)
    kinds = np.zeros(len(dataset), np.int64) if sides is None else sides.numpy()
    held_out = np.zeros(len(dataset), bool)
    for kind in np.unique(kinds):
        mine = kinds == kind
        count = int(mine.sum())
        wanted = 0 if count < none_below else min(most, round(share * count))
        here = np.bincount(group[mine], minlength=len(copies))
        # np.unique sorts by hash. A group of copies larger than all that is wanted would be chosen whole or not at all.
        small = np.flatnonzero((here == copies) & (here <= wanted))
        held_out |= np.isin(group, small[np.cumsum(here[small]) <= wanted])
    return Split(torch.from_numpy(np.flatnonzero(~held_out)), torch.from_numpy(np.flatnonzero(held_out)), sides)


def recorded_split(dataset: Dataset, held_out: Sequence[int], reading: Reading) -> Split:
    """The split a run was begun with: what was held out then stays unseen for ever."""
    places = torch.tensor(held_out, dtype=torch.int64)
    kept = torch.ones(len(dataset), dtype=torch.bool)
    kept[places] = False
    return Split(kept.nonzero().flatten(), places, _sides(dataset, reading))


def _said(enough: Sequence[bool]) -> str:
    """Which images are shown, where enough were held out of each part or not."""
    if all(enough):
        return "held out from training"
    none = "the training images (none were held out)"
    return f"held out from training on one side, of the other {none}" if any(enough) else none


def _sides(dataset: Dataset, reading: Reading) -> Tensor | None:
    """The side of every image, where images are read as two sides."""
    return dataset.labels if reading == "sides" else None
