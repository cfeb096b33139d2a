"""Prepared images on disk, so that the second start is immediate.

An entry is a folder named by what it was made from; it appears by one rename, complete, and is never changed after.
Two processes that prepare the same data make the same entry, and one of them wins. The cache folder may be deleted at
any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from sparring.data.dataset import DIGEST_BYTES, Dataset, count_copies, digest_rows, fingerprint_of
from sparring.data.material import Material, Source
from sparring.data.options import Options
from sparring.data.report import IntakeReport
from sparring.errors import DiskError
from sparring.paths import expanded

__all__ = ["Cache", "cache_folder", "cache_key"]

_FORMAT = 3
_NEW = ".new-"
_OLD = ".old-"
_ABANDONED_SECONDS = 24 * 3600
# Up to here every byte is verified on opening (0.2 s at worst); above, a sample of images is.
_VERIFIED_WHOLE_BYTES = 256 * 2**20
_SAMPLE = 1024


def cache_folder(chosen: Path | None = None) -> Path:
    """The folder given, else $SPARRING_CACHE, else `sparring` in the user's cache folder (XDG).

    Raises DiskError where none is named and the user has no home.
    """
    named = chosen or os.environ.get("SPARRING_CACHE")
    if named:
        return expanded(named)
    user = expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    if str(user).startswith("~"):
        raise DiskError("there is no home folder to keep prepared images in; set SPARRING_CACHE to a folder")
    return user / "sparring"


def cache_key(source: Source, options: Options) -> str:
    """What an entry depends on: every file's name, size and time, the options, and the format of entries."""
    facts = {
        "format": _FORMAT,
        "root": str(source.root),
        "files": [(stamp.name, stamp.size, stamp.modified) for stamp in source.stamps],
        "options": asdict(options),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@final
@dataclass(frozen=True)
class Cache:
    """The entries below one folder."""

    folder: Path

    def find(self, key: str, name: str) -> Dataset | None:
        """The data set prepared under that key, or None when there is none or it is damaged."""
        try:
            return _opened(self.folder / key[:32], key, name)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def store(self, key: str, name: str, material: Material) -> Dataset | None:
        """Writes an entry and opens it; None when it vanished again at once.

        Raises OSError when it cannot be written; then nothing is left behind.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        new = Path(tempfile.mkdtemp(prefix=_NEW, dir=self.folder))
        try:
            _write(new, key, material)
            self._publish(new, self.folder / key[:32])
        finally:
            shutil.rmtree(new, ignore_errors=True)
        return self.find(key, name)

    def _publish(self, new: Path, entry: Path) -> None:
        """Puts a complete entry in place of none or of a damaged one, which is moved away first."""
        try:
            new.rename(entry)
        except OSError:
            if not entry.exists():
                raise
            old = Path(tempfile.mkdtemp(prefix=_OLD, dir=self.folder))
            # Another process may do the same: whoever comes second finds nothing to move, or a good entry in place.
            with contextlib.suppress(OSError):
                entry.rename(old / "entry")
            with contextlib.suppress(OSError):
                new.rename(entry)
            shutil.rmtree(old, ignore_errors=True)

    def _sweep(self) -> None:
        """Removes what a killed process left, a day later."""
        for path in self.folder.glob(".*-*"):
            with contextlib.suppress(OSError):
                if path.name.startswith((_NEW, _OLD)) and time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                    shutil.rmtree(path)


def _write(new: Path, key: str, material: Material) -> None:
    """The pixels, the hash of each image, the labels, and `about.json`, each on the disk when this returns."""
    digests: list[NDArray[np.uint8]] = []
    whole = hashlib.sha256()
    shape = (material.count, *material.shape)
    with _durable(new / "pixels.npy") as file:
        file.write(_npy_header("|u1", shape))
        for chunk in material.chunks():
            file.write(chunk.data)
            whole.update(chunk.data)
            digests.append(digest_rows(chunk))
    all_digests = np.concatenate(digests)
    if len(all_digests) != material.count:
        raise ValueError(f"{material.count} images announced, {len(all_digests)} delivered")
    with _durable(new / "digests.npy") as file:
        file.write(_npy_header("|u1", all_digests.shape) + all_digests.tobytes())
    if material.labels is not None:
        with _durable(new / "labels.npy") as file:
            file.write(_npy_header("<i8", material.labels.shape) + material.labels.astype("<i8").tobytes())
    about = {
        "key": key,
        "shape": shape,
        "pixels": whole.hexdigest(),
        "classes": material.classes,
        "labelled": material.labels is not None,
        "fingerprint": fingerprint_of(all_digests, material.shape, material.labels),
        "report": replace(material.report, duplicates=count_copies(all_digests)).as_json(),
    }
    text = json.dumps(about, sort_keys=True)
    check = hashlib.sha256(text.encode()).hexdigest()
    with _durable(new / "about.json") as file:
        file.write(json.dumps({"about": text, "check": check}).encode())


def _opened(entry: Path, key: str, name: str) -> Dataset:
    """Raises OSError, ValueError, KeyError or TypeError for anything that is not a complete, undamaged entry."""
    sealed = json.loads((entry / "about.json").read_bytes())
    if hashlib.sha256(sealed["about"].encode()).hexdigest() != sealed["check"]:
        raise ValueError("about.json is damaged")
    about = json.loads(sealed["about"])
    if about["key"] != key:
        raise ValueError("another entry")
    count, channels, height, width = about["shape"]
    pixels = _mapped(entry / "pixels.npy", "|u1", (count, channels, height, width))
    digests = _mapped(entry / "digests.npy", "|u1", (count, DIGEST_BYTES))
    labels = _mapped(entry / "labels.npy", "<i8", (count,)) if about["labelled"] else None
    if fingerprint_of(digests, (channels, height, width), labels) != about["fingerprint"]:
        raise ValueError("hashes or labels are damaged")
    if not _undamaged(pixels, digests, about["pixels"]):
        raise ValueError("pixels are damaged")
    report = IntakeReport.from_json(about["report"])
    return Dataset(pixels, name=name, report=report, labels=labels, classes=tuple(about["classes"]), digests=digests)


def _undamaged(pixels: NDArray[np.uint8], digests: NDArray[np.uint8], whole: str) -> bool:
    if pixels.nbytes <= _VERIFIED_WHOLE_BYTES:
        return hashlib.sha256(pixels.data).hexdigest() == whole
    sample = slice(None, None, -(-len(pixels) // _SAMPLE))
    return np.array_equal(digest_rows(pixels[sample]), digests[sample])


def _mapped(path: Path, kind: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """The array in a file that must have exactly the header and the length it was written with. Raises ValueError."""
    header = _npy_header(kind, shape)
    with path.open("rb") as file:
        if file.read(len(header)) != header or file.seek(0, 2) != len(header) + math.prod(shape) * int(kind[-1]):
            raise ValueError(f"{path.name} has another shape")
    return np.asarray(np.memmap(path, dtype=kind, mode="r", offset=len(header), shape=shape))


def _npy_header(kind: str, shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": kind, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


@contextlib.contextmanager
def _durable(path: Path) -> Iterator[Any]:
    """A new file that is on the disk when the block ends."""
    with path.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
