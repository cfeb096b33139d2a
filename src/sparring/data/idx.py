"""IDX files, the format of MNIST and its relatives, gzipped or not."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from sparring.data.arrays import ArraySet, prepare_arrays
from sparring.data.material import FileStamp, Material
from sparring.data.options import Options
from sparring.data.report import printable
from sparring.errors import DataError

__all__ = ["FASHION_CLASSES", "IdxSource", "find_idx"]

FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

_UNSIGNED_BYTE = 0x08
_MOST_BYTES = 8 * 2**30


@dataclass(frozen=True)
class IdxSource:
    """A file of images and, beside it, one of labels."""

    name: str
    root: Path
    images: Path
    labels: Path | None

    @property
    def stamps(self) -> tuple[FileStamp, ...]:
        return tuple(FileStamp.of(path) for path in (self.images, self.labels) if path is not None)

    def prepare(self, options: Options) -> Material:
        """Raises DataError for damaged files and counts that disagree."""
        images = _read(self.images, dimensions=(3, 4))
        labels = None if self.labels is None else _read(self.labels, dimensions=(1,))
        fashion = labels is not None and "fashion" in self.name.lower() and int(labels.max(initial=0)) < 10
        names = FASHION_CLASSES if fashion else None
        return prepare_arrays(ArraySet(self.name, images, labels, names), options)


def find_idx(folder: Path) -> IdxSource | None:
    """The IDX files of a folder or of `raw` inside it: the training set, else the test set, else None."""
    for place in (folder, folder / "raw"):
        try:
            files = {path.name: path for path in sorted(place.iterdir()) if "-ubyte" in path.name and path.is_file()}
        except OSError:
            continue
        images = [name for name in files if "images" in name and "idx" in name]
        chosen = min(images, key=lambda name: ("train" not in name, name), default=None)
        if chosen is None:
            continue
        label_name = chosen.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
        plain = label_name.removesuffix(".gz")
        labels = files.get(label_name) or files.get(plain) or files.get(plain + ".gz")
        name = folder.name if folder.name.lower() != "raw" else folder.parent.name
        return IdxSource(printable(name), place, files[chosen], labels)
    return None


def _read(path: Path, *, dimensions: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The array of one file. Raises DataError."""
    name = printable(str(path))
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            shape = _header(file, name, dimensions)
            data = file.read(math.prod(shape) + 1)
    except (OSError, EOFError, zlib.error, MemoryError) as error:
        raise DataError(f"{name} cannot be read ({printable(str(error))}); fetch it again") from error
    if len(data) != math.prod(shape):
        raise DataError(f"{name} announces {math.prod(shape):,} values and holds {len(data):,}; fetch it again")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _header(file: IO[bytes] | gzip.GzipFile, name: str, dimensions: tuple[int, ...]) -> tuple[int, ...]:
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] != _UNSIGNED_BYTE or start[3] not in dimensions:
        raise DataError(f"{name} is no IDX file of bytes; fetch it again")
    sizes = file.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise DataError(f"{name} ends in its header; fetch it again")
    shape: tuple[int, ...] = struct.unpack(f">{start[3]}I", sizes)
    if math.prod(shape) > _MOST_BYTES:
        raise DataError(f"{name} announces {math.prod(shape) / 2**30:,.0f} GB; the limit is {_MOST_BYTES // 2**30} GB")
    return shape
