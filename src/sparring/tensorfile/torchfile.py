"""The three containers of published torch files: zip (torch 1.6 and later), legacy (before), and a plain stream.

A plain stream is what NVIDIA publishes: objects whose storages are whole legacy files, held as bytes inside it.
Layouts are those of torch/serialization.py; everything is read to the CPU and into memory of its own.
"""

from __future__ import annotations

import encodings.cp437  # noqa: F401 - zipfile decodes names with it; loaded now, so that no file causes an import
import io
import struct
import zipfile
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from sparring.errors import FileUnusableError
from sparring.tensorfile.builder import STORAGE_DTYPES, Builder
from sparring.tensorfile.limits import NESTED_FILES, Meter, check_tree, shown
from sparring.tensorfile.machine import Machine, Source
from sparring.tensorfile.record import Record

__all__ = ["read_torch_file"]

_ADVICE = "use an undamaged copy, or ask its author for safetensors or a plain state dict"

_MAGIC = 0x1950A86A20F9469CFC6C  # torch/serialization.py, MAGIC_NUMBER
_PROTOCOL = 1001
_DIRECTORY_BYTES = 8 << 20  # of a zip; 20,000 tensors need two
_CHUNK = 1 << 20


def read_torch_file(path: Path | str) -> object:
    """Read a published torch file without running anything in it.

    The value is made of dicts, lists, tuples, sets, numbers, strings, bytes, `torch.Size`, `torch.device`,
    `torch.dtype`, tensors on the CPU (sharing storages as they did), and a `Record` for everything else. A bare storage
    reads as a flat tensor.

    Raises:
        FileUnusableError: the file cannot be read, is damaged, is big-endian, is of another format, or asks for more
            memory, tensors or nesting than its size and the limits in `limits` justify.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "harmless.pt")
    ...     _ = path.write_bytes(bytes([0x80, 2]) + b"}X" + bytes([4, 0, 0, 0]) + b"seenK@s.")
    ...     read_torch_file(path)
    ...     _ = path.write_bytes(bytes([0x80, 2]) + b"cos" + bytes([10]) + b"system" + bytes([10]) + b"U" +
    ...         bytes([8]) + b"rm -rf /" + bytes([0x85]) + b"R.")
    ...     record = read_torch_file(path)
    ...     record.name, record.arguments
    {'seen': 64}
    ('os.system', ('rm -rf /',))
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            value = _read(file, size, Meter(size), depth=0)
        check_tree(value)
    except OSError as error:
        raise FileUnusableError(
            f"{path.name} cannot be read ({error.strerror or error}); check its name and its permissions"
        ) from error
    except FileUnusableError as error:
        raise FileUnusableError(f"{path.name}: {error}; {_ADVICE}") from None
    return value


def _read(file: BinaryIO, size: int, meter: Meter, depth: int) -> object:
    """Any of the three containers, told apart by its first bytes."""
    if depth > NESTED_FILES:
        raise FileUnusableError(f"it holds files inside files, more than {NESTED_FILES} deep")
    file.seek(0)
    start = file.read(264)
    file.seek(0)
    if start.startswith(b"PK"):
        return _read_zip(file, size, meter, depth)
    if start[:1] == b"\x80":
        return _Stream(file, size, meter, depth).read()
    known = {
        start[257:262] == b"ustar": "a tar archive, as torch wrote before version 0.1.10",
        start[8:9] == b"{": "probably safetensors, which read_safetensors reads",
        start[:4] == b"\x89HDF": "HDF5",
        start[:6] == b"\x93NUMPY": "a NumPy array",
    }
    raise FileUnusableError(f"it is {known.get(True, f'no torch file (it starts with {shown(start[:8])})')}")


def _storage_id(persistent_id: object, counts: tuple[int, ...]) -> tuple[str, torch.dtype, int]:
    """Key, dtype and number of elements in `("storage", type, key, location, elements[, view])`."""
    if not isinstance(persistent_id, tuple) or len(persistent_id) not in counts or persistent_id[0] != "storage":
        raise FileUnusableError(f"it refers to {shown(persistent_id)}, which is not a storage")
    if len(persistent_id) == 6 and persistent_id[5] is not None:
        raise FileUnusableError("it holds a view of a storage, as torch wrote before version 0.4")
    kind, key, _, elements = persistent_id[1:5]
    dtype = STORAGE_DTYPES.get(kind.name) if isinstance(kind, Record) and kind.arguments is None else None
    if dtype is None:
        raise FileUnusableError(f"it holds a storage of {shown(kind)}, which is not a kind we know")
    if not isinstance(key, str) or type(elements) is not int or not 0 <= elements < 1 << 62:
        raise FileUnusableError(f"it holds storage {shown(key)} of {shown(elements)} elements, which cannot be")
    return key, dtype, elements


class _Stream:
    """A legacy file, or a plain stream: told apart by whether the first value is torch's magic number."""

    def __init__(self, file: BinaryIO, size: int, meter: Meter, depth: int) -> None:
        self._source = Source(file, size)
        self._meter = meter
        self._depth = depth
        self._storages: dict[str, Tensor] = {}  # flat, allocated when first named, filled at the end
        self._legacy = False

    def read(self) -> object:
        value = self._run()
        if type(value) is int and value == _MAGIC:
            value = self._read_legacy()
        if self._source.left:
            raise FileUnusableError(f"{self._source.left} bytes follow its end")
        return value

    def _read_legacy(self) -> object:
        """After the magic number: protocol, system, the value, the storages' keys, the storages."""
        protocol, system = self._run(), self._run()
        if type(protocol) is not int or protocol != _PROTOCOL or not isinstance(system, dict):
            raise FileUnusableError(f"its version is {shown(protocol)}, not {_PROTOCOL}")
        if system.get("little_endian") is not True:
            raise FileUnusableError("it was written on a big-endian machine")
        self._legacy = True
        value, keys = self._run(), self._run()
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise FileUnusableError(f"its list of storages is {shown(keys)}, not a list of texts")
        if len(keys) != len(self._storages) or set(keys) != set(self._storages):
            raise FileUnusableError(
                f"its list of {len(keys)} storages does not match the {len(self._storages)} it uses"
            )
        for key in keys:
            self._fill(self._storages[key])
        return value

    def _run(self) -> object:
        return Machine(self._source, Builder(self._meter, self._persistent, self._nested)).run()

    def _persistent(self, persistent_id: object) -> object:
        if not self._legacy:
            raise FileUnusableError("it refers to storages outside the file")
        if isinstance(persistent_id, tuple) and len(persistent_id) == 4 and persistent_id[0] == "module":
            return persistent_id[1]  # a class, with its source code for comparison, which we have no use for
        key, dtype, elements = _storage_id(persistent_id, (5, 6))
        if key not in self._storages:
            if elements * dtype.itemsize > self._source.left:
                raise FileUnusableError(f"it is cut short: {elements} elements of {dtype} are announced")
            self._meter.spend(elements * dtype.itemsize, "a storage")
            self._storages[key] = torch.zeros(elements, dtype=dtype)
        storage = self._storages[key]
        if storage.dtype != dtype or len(storage) != elements:
            raise FileUnusableError(f"it describes storage {shown(key)} in two ways")
        return storage

    def _nested(self, data: bytes) -> object:
        return _read(io.BytesIO(data), len(data), self._meter, self._depth + 1)

    def _fill(self, storage: Tensor) -> None:
        """The number of elements, again, and the data."""
        (elements,) = struct.unpack("<q", self._source.take(8))
        if elements != len(storage):
            raise FileUnusableError(f"a storage has {elements} elements where {len(storage)} are announced")
        _copy(self._source, storage)


def _read_zip(file: BinaryIO, size: int, meter: Meter, depth: int) -> object:
    """A zip archive of `<name>/data.pkl` (the opcodes), `<name>/data/<key>` (one storage each) and small notes."""
    _check_directory(file, size)
    try:
        with zipfile.ZipFile(file) as archive:
            entries = _checked_entries(archive, size)
            programs = [name for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
            if len(programs) != 1:
                raise FileUnusableError(f"it is a zip archive with {len(programs)} parts called data.pkl, not 1")
            return _Archive(archive, entries, programs[0].removesuffix("data.pkl"), meter, depth).read()
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, struct.error) as error:
        raise FileUnusableError(f"it is a damaged zip archive ({shown(str(error))})") from None


def _check_directory(file: BinaryIO, size: int) -> None:
    """Bound the directory before the library reads it whole; it looks for the end record in this place first."""
    file.seek(max(0, size - 98))
    tail = file.read(98).rjust(98, b"\0")
    if tail[76:80] != b"PK\5\6" or tail[96:] != b"\0\0":
        raise FileUnusableError("it is a zip archive that is cut short or ends with a comment")
    (length,) = struct.unpack("<I", tail[88:92])
    if tail[56:60] == b"PK\6\7":  # zip64: the real length is in the record before
        (length,) = struct.unpack("<Q", tail[40:48])
    if length > min(_DIRECTORY_BYTES, size):
        raise FileUnusableError(f"it is a zip archive with a directory of {length} bytes, over {_DIRECTORY_BYTES}")


def _checked_entries(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The entries by name: stored as they are, named once and plainly, together no larger than the file."""
    entries: dict[str, zipfile.ZipInfo] = {}
    total = 0
    for entry in archive.infolist():
        name = entry.filename
        if name in entries or "\\" in name or any(part in ("", ".", "..") for part in name.split("/")):
            raise FileUnusableError(f"it is a zip archive with the odd entry {shown(name)}")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise FileUnusableError(f"its entry {shown(name)} is compressed, which torch never does")
        if entry.flag_bits & 1:
            raise FileUnusableError(f"its entry {shown(name)} is encrypted")
        entries[name] = entry
        total += entry.file_size
    if total > size:
        raise FileUnusableError(f"its entries claim {total} bytes, but the file has {size}")
    return entries


class _Archive:
    """An open zip archive whose directory has been checked; `folder` is the common prefix of its entries."""

    def __init__(
        self, archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], folder: str, meter: Meter, depth: int
    ) -> None:
        self._zip = archive
        self._entries = entries
        self._folder = folder
        self._meter = meter
        self._depth = depth
        self._storages: dict[str, Tensor] = {}

    def read(self) -> object:
        if self._folder + "constants.pkl" in self._entries:
            raise FileUnusableError("it is TorchScript, a program rather than weights")
        order = self._entries.get(self._folder + "byteorder")
        if order and (order.file_size > 16 or self._zip.read(order) != b"little"):
            raise FileUnusableError("it was written on a big-endian machine")
        program = self._entries[self._folder + "data.pkl"]
        self._meter.spend(program.file_size, "its program")
        source = Source(io.BytesIO(self._zip.read(program)), program.file_size)
        value = Machine(source, Builder(self._meter, self._persistent, self._nested)).run()
        if source.left:
            raise FileUnusableError(f"{source.left} bytes follow the end of its program")
        return value

    def _persistent(self, persistent_id: object) -> object:
        key, dtype, elements = _storage_id(persistent_id, (5,))
        if key not in self._storages:
            entry = self._entries.get(f"{self._folder}data/{key}")
            if entry is None or entry.file_size != elements * dtype.itemsize:
                held = entry.file_size if entry else "no"
                raise FileUnusableError(
                    f"storage {shown(key)} needs {elements * dtype.itemsize} bytes; the file holds {held}"
                )
            self._meter.spend(entry.file_size, "a storage")
            storage = torch.zeros(elements, dtype=dtype)
            with self._zip.open(entry) as file:
                _copy(Source(file, entry.file_size), storage)
            self._storages[key] = storage
        storage = self._storages[key]
        if storage.dtype != dtype or len(storage) != elements:
            raise FileUnusableError(f"it describes storage {shown(key)} in two ways")
        return storage

    def _nested(self, data: bytes) -> object:
        return _read(io.BytesIO(data), len(data), self._meter, self._depth + 1)


def _copy(source: Source, storage: Tensor) -> None:
    """Fill a flat tensor from a source, a chunk at a time, so that no second copy of it is ever held."""
    data: memoryview = storage.view(torch.uint8).numpy().data
    for start in range(0, len(data), _CHUNK):
        part = data[start : start + _CHUNK]
        part[:] = source.take(len(part))
