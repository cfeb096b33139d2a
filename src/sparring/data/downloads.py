"""Sets that have a name and an address: fetched once through torchvision, kept in the cache folder.

Only published files with known checksums and plain formats are fetched: IDX for the MNIST family, the binary version
of CIFAR (torchvision's own CIFAR reader loads Python objects, so it is not used).
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparring.data.arrays import ArraySet, prepare_arrays
from sparring.data.idx import find_idx
from sparring.data.material import FileStamp, Material, Source
from sparring.data.options import Options
from sparring.errors import DataError

__all__ = ["SET_NAMES", "fetch"]

_CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class CifarSource:
    """The training set in the binary version of CIFAR-10 or -100, read inside its tar."""

    name: str
    root: Path
    label_bytes: int
    members: tuple[str, ...]
    names_member: str | None

    @property
    def stamps(self) -> tuple[FileStamp, ...]:
        return (FileStamp.of(self.root),)

    def prepare(self, options: Options) -> Material:
        """Raises DataError for a damaged file."""
        record = self.label_bytes + 3 * 32 * 32
        try:
            with tarfile.open(self.root) as archive:
                data = b"".join(_member(archive, name) for name in self.members)
                names: tuple[str, ...] = _CIFAR10_CLASSES
                if self.names_member is not None:
                    names = tuple(_member(archive, self.names_member).decode("ascii").split())
            rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, record)
        except (OSError, EOFError, KeyError, ValueError, tarfile.TarError) as error:
            raise DataError(f"{self.root} is damaged ({error}); delete it and try again") from error
        # In CIFAR-100 the coarse label comes first; the last label byte is the fine one.
        labels = rows[:, self.label_bytes - 1].astype(np.int64)
        images = rows[:, self.label_bytes :].reshape(-1, 3, 32, 32)
        return prepare_arrays(ArraySet(self.name, images, labels, names), options)


@dataclass(frozen=True)
class _Cifar:
    file: str
    md5: str
    label_bytes: int
    members: tuple[str, ...]
    names_member: str | None


_CIFARS = {
    "cifar10": _Cifar(
        "cifar-10-binary.tar.gz",
        "c32a1d4ab5d03f1284b67883e8d87530",
        1,
        tuple(f"cifar-10-batches-bin/data_batch_{part}.bin" for part in range(1, 6)),
        None,
    ),
    "cifar100": _Cifar(
        "cifar-100-binary.tar.gz",
        "03b5dce01913d631647c71ecec9e9cb8",
        2,
        ("cifar-100-binary/train.bin",),
        "cifar-100-binary/fine_label_names.txt",
    ),
}
_MNISTS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "kmnist": "KMNIST"}
SET_NAMES = (*_MNISTS, *_CIFARS)


def fetch(name: str, folder: Path) -> Source:
    """The training set of that name, downloaded into `folder` unless it is there already. Raises DataError."""
    try:
        source = _fetch_cifar(name, folder) if name in _CIFARS else _fetch_mnist(name, folder)
    except (OSError, RuntimeError) as error:  # torchvision reports failed downloads as either
        raise DataError(
            f"{name} could not be downloaded; connect to a network once, give a folder of images, "
            "or give no data to use the set that comes along"
        ) from error
    if source is None:
        raise DataError(f"{name} is incomplete in {folder}; delete that folder and try again")
    return source


def _fetch_mnist(name: str, folder: Path) -> Source | None:
    from torchvision import datasets  # imported here: it takes a second that other data need not pay

    family = {"mnist": datasets.MNIST, "fashion-mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}
    family[name](str(folder), download=True)
    return find_idx(folder / _MNISTS[name])


def _fetch_cifar(name: str, folder: Path) -> Source:
    from torchvision.datasets.utils import download_url

    facts = _CIFARS[name]
    download_url(f"https://www.cs.toronto.edu/~kriz/{facts.file}", str(folder), facts.file, facts.md5)
    return CifarSource(name, folder / facts.file, facts.label_bytes, facts.members, facts.names_member)


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file.read()
