""".npz and .npy files, and folders of them. Arrays of objects are never read: they could run code."""

from __future__ import annotations

import lzma
import re
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.data.arrays import ArraySet, prepare_arrays
from sparring.data.material import FileStamp, Material
from sparring.data.options import Options
from sparring.data.report import printable
from sparring.errors import DataError

__all__ = ["NumpySource", "find_arrays"]

_IMAGE_KEYS = ("images", "x", "X", "data", "arr_0")
_LABEL_KEYS = ("labels", "label", "y", "Y", "targets")
_NAME_KEYS = ("label_names", "class_names", "classes")
_MOST_GUESSED_CLASSES = 1000
_MOST_BYTES = 16 * 2**30
_RATIO = 2000
_MAGIC = b"\x93NUMPY"

# Headers are Python literals, which numpy reads with Python's own tokenizer and parser: they raise what those raise.
_DAMAGE = (OSError, ValueError, TypeError, ArithmeticError, EOFError, MemoryError, SyntaxError, tokenize.TokenError)

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class NumpySource:
    """One .npz or .npy file, or several of one shape."""

    name: str
    root: Path
    paths: tuple[Path, ...]

    @property
    def stamps(self) -> tuple[FileStamp, ...]:
        return tuple(FileStamp.of(path) for path in self.paths)

    def prepare(self, options: Options) -> Material:
        """Raises DataError for damaged files, files without images, and files that do not belong together."""
        return prepare_arrays(self.load(), options)

    def load(self) -> ArraySet:
        """The images and labels of all files. Raises DataError."""
        loose = {path.stem: _load_npy(path) for path in self.paths if path.suffix.lower() == ".npy"}
        sets = [_array_set(_load_npz(path), path.name) for path in self.paths if path.suffix.lower() == ".npz"]
        if loose:
            sets += _loose_sets(loose, self.name)
        return sets[0] if len(sets) == 1 else _joined(sets, self.name)


def find_arrays(folder: Path) -> NumpySource | None:
    """The .npz and .npy files right inside a folder; None when there are none."""
    try:
        paths = tuple(sorted(p for p in folder.iterdir() if p.suffix.lower() in (".npz", ".npy") and p.is_file()))
    except OSError:
        return None
    return NumpySource(printable(folder.name), folder, paths) if paths else None


def _load_npy(path: Path) -> NDArray[Any]:
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise DataError(f"{printable(str(path))} is no .npy file; save it again with numpy")
        array = np.load(path, mmap_mode="r")
    except _DAMAGE as error:
        raise DataError(_unreadable(path, error)) from error
    return np.asarray(array)


def _load_npz(path: Path) -> Arrays:
    """All arrays of numbers and texts. Raises DataError."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > min(_MOST_BYTES, _RATIO * path.stat().st_size + 2**20):
                raise DataError(
                    f"{printable(str(path))} would unpack to {unpacked / 2**30:,.1f} GB; "
                    "give one .npy file, which is read in place"
                )
        with np.load(path) as stored:
            members = ((key, stored[key]) for key in stored.files)  # of what is no array, numpy gives the bytes
            return {key: array for key, array in members if isinstance(array, np.ndarray)}
    except (*_DAMAGE, zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, KeyError) as error:
        raise DataError(_unreadable(path, error)) from error


def _unreadable(path: Path, error: Exception) -> str:
    if re.search("object arrays|python objects", str(error).lower()):  # in an .npz, and in an .npy
        return f"{printable(str(path))} holds Python objects, which are never loaded; save arrays of numbers"
    return f"{printable(str(path))} cannot be read ({printable(str(error))[:120]}); save it again with numpy"


def _array_set(arrays: Arrays, name: str) -> ArraySet:
    """Finds the images, the labels and the class names among named arrays."""
    name = printable(name)
    key = next((key for key in _IMAGE_KEYS if key in arrays and arrays[key].ndim >= 2), None)
    key = key or _guessed_images(arrays)
    if key is None:
        held = ", ".join(f"{printable(k)} {tuple(a.shape)}" for k, a in list(arrays.items())[:5])
        raise DataError(f"{name} holds no images ({held or 'nothing'}); save them as an array named images")
    images = arrays[key]
    notes: tuple[str, ...] = () if key in _IMAGE_KEYS else (f"Images are taken from {printable(key)}.",)
    flat = {k: a[:, 0] if a.ndim == 2 and a.shape[1] == 1 else a for k, a in arrays.items()}
    likely = (*_LABEL_KEYS, key.replace("images", "labels"), re.sub(r"^x(?=_|$)", "y", key))
    label_key = next((k for k in likely if k in flat and k != key), None) or _guessed_labels(flat, len(images))
    if label_key is None:
        return ArraySet(name, images, notes=notes)
    labels = flat[label_key]
    if labels.ndim != 1 or labels.dtype.kind not in "biu":
        raise DataError(
            f"{printable(label_key)} in {name} holds {labels.dtype} values of shape {tuple(labels.shape)}; "
            "give one integer for each image"
        )
    notes += () if label_key in _LABEL_KEYS else (f"Labels are taken from {printable(label_key)}.",)
    return ArraySet(name, images, labels.astype(np.int64), _label_names(arrays, label_key), notes)


def _guessed_images(arrays: Arrays) -> str | None:
    """The first array that could be images; of several, the first whose name says that they are for training."""
    keys = [key for key, array in arrays.items() if array.ndim >= 3]
    return min(keys, key=lambda key: "train" not in key.lower(), default=None)


def _guessed_labels(arrays: Arrays, count: int) -> str | None:
    """The first array of integers, one for each image, with fewer values than a list of identities would have."""
    for key, array in arrays.items():
        fits = array.ndim == 1 and len(array) == count and array.dtype.kind in "biu"
        if fits and len(np.unique(array)) <= min(_MOST_GUESSED_CLASSES, max(2, count // 2)):
            return key
    return None


def _label_names(arrays: Arrays, label_key: str) -> tuple[str, ...] | None:
    for key in (*_NAME_KEYS, "names_" + re.sub(r"^[a-z]+_", "", label_key)):
        if key in arrays and arrays[key].ndim == 1 and arrays[key].dtype.kind in "US":
            names = arrays[key] if arrays[key].dtype.kind == "U" else np.char.decode(arrays[key], "utf-8", "replace")
            return tuple(str(name) for name in names)
    return None


def _loose_sets(loose: Arrays, name: str) -> list[ArraySet]:
    """.npy files: named like the arrays of one .npz, or each a set of its own."""
    if len(loose) == 1 or any(key in loose for key in _IMAGE_KEYS):
        only = next(iter(loose.values()))
        return [_array_set(loose if len(loose) > 1 else {"images": only}, name)]
    return [_array_set({"images": array}, key) for key, array in loose.items()]


def _joined(sets: list[ArraySet], name: str) -> ArraySet:
    """Several files as one. Raises DataError when shapes, types or class names differ."""
    first = sets[0]
    for other in sets[1:]:
        if other.images.shape[1:] != first.images.shape[1:] or other.images.dtype != first.images.dtype:
            raise DataError(
                f"{first.name} holds {first.images.dtype} {tuple(first.images.shape[1:])} and {other.name} "
                f"{other.images.dtype} {tuple(other.images.shape[1:])}; files of one folder must agree"
            )
        if (other.labels is None) != (first.labels is None) or other.label_names != first.label_names:
            raise DataError(f"{first.name} and {other.name} do not have the same classes; keep them in two folders")
    labels = [one.labels for one in sets if one.labels is not None]
    try:
        images = np.concatenate([one.images for one in sets])
    except MemoryError as error:
        raise DataError(
            f"the files of {name} do not fit into memory together; give one .npy file, which is read in place"
        ) from error
    return ArraySet(
        name,
        images,
        np.concatenate(labels) if labels else None,
        first.label_names,
        (f"{len(sets)} files joined.", *first.notes),
    )
