"""Safetensors files: checked before the library sees them, written so that the same content gives the same bytes.

The format (https://github.com/huggingface/safetensors#format): 8 bytes little-endian header length, a JSON header of
`name -> {dtype, shape, data_offsets}` plus string `__metadata__`, then the data, contiguous and without holes.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, NoReturn

import safetensors
import torch
from safetensors.torch import save as library_bytes
from torch import Tensor

from sparring.errors import FileUnusableError, UsageError
from sparring.tensorfile.limits import shown

__all__ = ["SafeTensors", "read_safetensors", "serialise"]

_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}
_HEADER_BYTES = 1 << 20
_TENSORS = 20_000
_JSON_DEPTH = 4  # the format itself needs three: header, entry, shape
_SIZE_LIMIT = 1 << 62  # below int64, so that strides and byte counts cannot overflow either


@dataclass(frozen=True)
class SafeTensors:
    """The content of one safetensors file: tensors on the CPU, and the strings of its metadata."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def read_safetensors(path: Path | str) -> SafeTensors:
    """Read a safetensors file whose header has been checked against the file to the byte.

    The tensors are copies: nothing that later happens to the file changes them.

    Raises:
        FileUnusableError: the file cannot be read, or its header is not exactly that of a safetensors file whose
            tensors cover the data without hole, overlap or remainder, in a dtype of the closed list.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/w.safetensors").write_bytes(serialise({"w": torch.arange(3)}, {"seen": "64"}))
    ...     read_safetensors(f"{folder}/w.safetensors")
    SafeTensors(tensors={'w': tensor([0, 1, 2])}, metadata={'seen': '64'})
    """
    path = Path(path)
    try:
        metadata = _checked_metadata(path)
        with safetensors.safe_open(path, framework="pt") as file:
            # A clone, because the library maps the file: a later write to it would change (or, cut short, kill) us.
            return SafeTensors({name: file.get_tensor(name).clone() for name in sorted(file.keys())}, metadata)
    except FileUnusableError as error:
        raise FileUnusableError(f"{path.name}: {error}; use an undamaged copy") from None
    except OSError as error:
        raise FileUnusableError(
            f"{path.name} cannot be read ({error.strerror or error}); check its name and its permissions"
        ) from error
    except (RuntimeError, ValueError, safetensors.SafetensorError) as error:
        raise FileUnusableError(f"{path.name} cannot be read as safetensors: {error}; use an undamaged copy") from error


def serialise(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a safetensors file; the same content gives the same bytes, whatever the order of the mappings.

    The library writes metadata in the random order of a hash map, so the header is rewritten here with sorted keys.
    Views and shared storages are written out as independent tensors.

    Raises:
        UsageError: a dtype outside the closed list, a reserved name, or more than a reader would accept.

    >>> one, two = torch.ones(2), torch.zeros(1)
    >>> serialise({"a": one, "b": two}, {"x": "1", "y": "2"}) == serialise({"b": two, "a": one}, {"y": "2", "x": "1"})
    True
    """
    for name, tensor in tensors.items():
        if tensor.dtype not in _DTYPES.values() or tensor.layout != torch.strided:
            raise UsageError(f"tensor {shown(name)} is {tensor.dtype}, {tensor.layout}; convert it to a common dtype")
    if "__metadata__" in tensors:
        raise UsageError("a tensor is named '__metadata__', which safetensors reserves; use another name")
    if not all(type(text) is str for pair in metadata.items() for text in pair):
        raise UsageError("safetensors metadata holds strings only; write other values as JSON")
    if len(tensors) > _TENSORS:
        raise UsageError(f"{len(tensors)} tensors are more than the {_TENSORS} a file may hold; use several files")
    data = library_bytes(_plain(tensors))
    (length,) = struct.unpack("<Q", data[:8])
    entries: dict[str, Any] = json.loads(data[8 : 8 + length])
    header = ({"__metadata__": dict(sorted(metadata.items()))} if metadata else {}) | entries
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the data starts on a multiple of 8, as the library writes it
    if len(text) > _HEADER_BYTES:
        raise UsageError(f"a header of {len(text)} bytes is longer than {_HEADER_BYTES}; shorten names or metadata")
    return b"".join((struct.pack("<Q", len(text)), text, memoryview(data)[8 + length :]))


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same values on the CPU, contiguous, each in a storage of its own, as the library demands."""
    plain: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        storage = tensor.untyped_storage()
        if storage.nbytes() != tensor.numel() * tensor.element_size() or storage.data_ptr() in storages:
            tensor = tensor.clone()
        storages.add(tensor.untyped_storage().data_ptr())
        plain[name] = tensor
    return plain


def _checked_metadata(path: Path) -> dict[str, str]:
    """Check the whole header against the file; return its metadata."""
    file_bytes = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        if len(prefix) < 8:
            raise FileUnusableError(f"{file_bytes} bytes are too few for a safetensors file")
        (length,) = struct.unpack("<Q", prefix)
        if not 2 <= length <= min(_HEADER_BYTES, file_bytes - 8):
            raise FileUnusableError(
                f"a header of {length} bytes does not fit (limit {_HEADER_BYTES}, file {file_bytes} bytes)"
            )
        header = _parse(file.read(length))
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(type(value) is str for value in metadata.values()):
        raise FileUnusableError("its metadata is not a table of strings")
    if len(header) > _TENSORS:
        raise FileUnusableError(f"{len(header)} tensors are more than the limit of {_TENSORS}")
    end = 0
    for begin, stop, name in sorted((*_span(name, entry), name) for name, entry in header.items()):
        if begin != end:
            raise FileUnusableError(f"tensor {shown(name)} starts at byte {begin}, but the one before ends at {end}")
        end = stop
    if end != file_bytes - 8 - length:
        raise FileUnusableError(f"its tensors need {end} bytes, but the file holds {file_bytes - 8 - length}")
    return metadata


def _span(name: str, entry: object) -> tuple[int, int]:
    """First and last+1 data byte of one header entry, once its dtype, shape and offsets agree."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise FileUnusableError(f"tensor {shown(name)} needs exactly dtype, shape and data_offsets")
    dtype = _DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise FileUnusableError(f"tensor {shown(name)} has dtype {shown(entry['dtype'])}, not one of {list(_DTYPES)}")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _naturals(shape) or math.prod(max(side, 1) for side in shape) * dtype.itemsize > _SIZE_LIMIT:
        raise FileUnusableError(f"tensor {shown(name)} has the impossible shape {shown(shape)}")
    if not _naturals(offsets) or len(offsets) != 2 or offsets[1] - offsets[0] != math.prod(shape) * dtype.itemsize:
        raise FileUnusableError(f"tensor {shown(name)} has data_offsets {shown(offsets)}, which do not fit its shape")
    return offsets[0], offsets[1]


def _naturals(values: object) -> bool:
    """Whether this is a short list of whole numbers >= 0 (`True` is not a number here)."""
    return isinstance(values, list) and len(values) <= 64 and all(type(v) is int and v >= 0 for v in values)


def _parse(header: bytes) -> dict[str, Any]:
    """The JSON object of a header: strict UTF-8, bounded depth, every key once, no NaN."""
    brackets = re.findall(rb"[][{}]", re.sub(rb'"(?:[^"\\]|\\.)*+"', b"", header, flags=re.DOTALL))
    if max(accumulate((1 if b in b"{[" else -1 for b in brackets), initial=0)) > _JSON_DEPTH:
        raise FileUnusableError(f"its header nests deeper than {_JSON_DEPTH} levels")
    try:
        parsed = json.loads(header.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise FileUnusableError(f"its header is not JSON ({shown(str(error))})") from None
    if not header.startswith(b"{") or not isinstance(parsed, dict):
        raise FileUnusableError("its header is not a JSON object")
    return parsed


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name, later in zip(sorted(names), sorted(names)[1:], strict=False) if name == later)
        raise FileUnusableError(f"its header names {shown(twice)} twice")
    return table


def _no_constant(text: str) -> NoReturn:
    raise FileUnusableError(f"its header holds {text}, which is not JSON")
