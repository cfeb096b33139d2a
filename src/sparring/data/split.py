"""Held-out reals: images never trained on, chosen by what they show and not by where they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sparring.data.dataset import Dataset
from sparring.errors import UsageError

__all__ = ["Split", "split_held_out"]


@dataclass(frozen=True)
class Split:
    """Positions in the data set, int64, ascending; together they are everything, and they share no image."""

    train: Tensor
    held_out: Tensor


def split_held_out(dataset: Dataset, share: float = 0.1, most: int = 1000, none_below: int = 200) -> Split:
    """Holds out `share` of the images, at most `most`, none when there are fewer than `none_below`.

    The images with the smallest content hashes are held out, copies always together, so the choice does not depend on
    the order or the names of files. Raises UsageError for a share that is none.

    >>> import sparring.data
    >>> split = split_held_out(sparring.data.open_data("grid25", count=500))
    >>> len(split.train), len(split.held_out)
    (450, 50)
    """
    if not 0 <= share < 1:
        raise UsageError(f"share {share} cannot be held out; give 0 or more, and less than 1")
    count = len(dataset)
    wanted = 0 if count < none_below else min(most, round(share * count))
    digests = np.ascontiguousarray(dataset.digests)
    rows = digests.view(f"V{digests.shape[1]}").ravel()
    _, group, copies = np.unique(rows, return_inverse=True, return_counts=True)
    # np.unique sorts by hash. A group of copies larger than all that is wanted would be chosen whole or not at all.
    small = np.flatnonzero(copies <= wanted)
    chosen = small[np.cumsum(copies[small]) <= wanted]
    held_out = np.isin(group, chosen)
    return Split(torch.from_numpy(np.flatnonzero(~held_out)), torch.from_numpy(np.flatnonzero(held_out)))
