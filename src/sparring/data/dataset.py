"""A data set ready for training: whole batches of bytes, labels, and who it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparring.data.report import IntakeReport

__all__ = ["DIGEST_BYTES", "Dataset", "count_copies", "digest_rows", "fingerprint_of"]

DIGEST_BYTES = 32
Digests = NDArray[np.uint8]


@final
class Dataset:
    """Images `[n, c, h, w]` as uint8, or points `[n, 2, 1, 1]` as float32, perhaps on disk and mapped into memory.

    >>> import sparring.data
    >>> points = sparring.data.open_data("ring8", count=1000)
    >>> len(points), points.shape, points.images(np.array([5, 3])).dtype
    (1000, (2, 1, 1), torch.float32)
    """

    def __init__(
        self,
        pixels: NDArray[Any],
        *,
        name: str,
        report: IntakeReport,
        labels: NDArray[np.int64] | None = None,
        classes: tuple[str, ...] = (),
        digests: Digests | None = None,
    ) -> None:
        self._pixels = pixels
        self._digests = digests
        self.name = name
        self.report = report
        self.classes = classes
        self.labels: Tensor | None = None if labels is None else torch.from_numpy(np.array(labels, dtype=np.int64))

    def __len__(self) -> int:
        return len(self._pixels)

    def __repr__(self) -> str:
        kind = "points" if self.points else self.report.noun
        classes = f", {len(self.classes)} classes" if self.classes else ""
        return f"<Dataset {self.name}: {len(self):,} {kind}, {'x'.join(map(str, self.shape))}{classes}>"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        _, channels, height, width = self._pixels.shape
        return channels, height, width

    @property
    def points(self) -> bool:
        """Whether these are points of the plane, not images."""
        return self._pixels.dtype == np.float32

    def images(self, indices: Tensor | NDArray[np.integer[Any]]) -> Tensor:
        """A batch by position: uint8 `[len(indices), c, h, w]` (float32 for points), a copy. Raises IndexError.

        Of a mask `[n]`, the images where it is true.
        """
        at = indices.numpy(force=True) if isinstance(indices, Tensor) else np.asarray(indices)
        if at.dtype == bool:
            at = np.flatnonzero(at)
        return torch.from_numpy(np.take(self._pixels, at.astype(np.intp, copy=False), axis=0))

    def labels_at(self, indices: Tensor) -> Tensor | None:
        """The labels of a batch by position, int64 `[len(indices)]`, or None where the data have none."""
        return None if self.labels is None else self.labels[indices]

    @cached_property
    def digests(self) -> Digests:
        """The SHA-256 of every image's bytes, uint8 `[n, 32]`: equal images have equal digests anywhere."""
        return digest_rows(self._pixels) if self._digests is None else np.asarray(self._digests)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 in hex over shape, images in order, and labels: the same wherever the same data are prepared."""
        labels = None if self.labels is None else self.labels.numpy()
        return fingerprint_of(self.digests, self.shape, labels)


def digest_rows(rows: NDArray[Any]) -> Digests:
    """SHA-256 of the bytes of each row, uint8 `[n, 32]`."""
    return np.frombuffer(b"".join(_digests(rows)), dtype=np.uint8).reshape(-1, DIGEST_BYTES)


def count_copies(digests: Digests) -> int:
    """How many images show exactly what another one shows already."""
    rows = np.ascontiguousarray(digests).view(f"V{DIGEST_BYTES}").ravel()
    return len(rows) - len(np.unique(rows))


def fingerprint_of(digests: Digests, shape: tuple[int, int, int], labels: NDArray[np.int64] | None) -> str:
    """One hash over the hashes of all images, so that it costs nothing once those are known."""
    total = hashlib.sha256(f"{len(digests)} {'x'.join(map(str, shape))} ".encode())
    total.update(digests.tobytes())
    if labels is not None:
        total.update(labels.astype("<i8").tobytes())
    return total.hexdigest()


def _digests(rows: NDArray[Any]) -> Iterator[bytes]:
    little_endian = rows.dtype.newbyteorder("<")
    for row in rows:
        yield hashlib.sha256(np.ascontiguousarray(row, dtype=little_endian).data).digest()
