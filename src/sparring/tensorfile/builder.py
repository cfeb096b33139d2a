"""What the opcodes of a torch file may build: a closed table of constructors, and records for every other name.

Names in a file are compared with the strings below and never resolved. The constructors re-state what torch's own
`torch._utils._rebuild_*` do, with every size checked before anything is allocated or viewed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.errors import FileUnusableError
from sparring.tensorfile.limits import CONTAINER_BYTES, ENTRY_BYTES, RECORD_BYTES, Meter, shown
from sparring.tensorfile.record import Record

__all__ = ["STORAGE_DTYPES", "Builder"]

Arguments = tuple[object, ...]

_DTYPES = (
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn, torch.float8_e5m2),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128),
)
_DTYPE_NAMES = {str(dtype): dtype for dtype in _DTYPES}

STORAGE_DTYPES = {
    "torch.BoolStorage": torch.bool,
    "torch.ByteStorage": torch.uint8,
    "torch.CharStorage": torch.int8,
    "torch.ShortStorage": torch.int16,
    "torch.IntStorage": torch.int32,
    "torch.LongStorage": torch.int64,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.FloatStorage": torch.float32,
    "torch.DoubleStorage": torch.float64,
    "torch.ComplexFloatStorage": torch.complex64,
    "torch.ComplexDoubleStorage": torch.complex128,
    "torch.storage.UntypedStorage": torch.uint8,
}
# How the file says "on a GPU" or gives an older spelling; everything is read to the CPU.
STORAGE_DTYPES |= {name.replace("torch.", "torch.cuda.", 1): dtype for name, dtype in STORAGE_DTYPES.items()}
STORAGE_DTYPES |= {"torch.UntypedStorage": torch.uint8}

_SIZE_LIMIT = 1 << 62
_KEY_BITS = 64


@dataclass(frozen=True)
class Builder:
    """Builds values for one stream of opcodes.

    `persistent` turns a persistent id into what it stands for (a storage: a flat tensor over all of it); `nested` reads
    a torch file held in bytes inside this one.
    """

    meter: Meter
    persistent: Callable[[object], object]
    nested: Callable[[bytes], object]

    def name(self, module: object, qualified_name: object) -> object:
        """A dtype for the names of dtypes, otherwise a record that stands for the name."""
        if not isinstance(module, str) or not isinstance(qualified_name, str):
            raise FileUnusableError("it names something by what is not text")
        full = f"{module}.{qualified_name}"
        self.meter.spend(RECORD_BYTES + len(full), "a name")
        return _DTYPE_NAMES.get(full) or Record(full)

    def call(self, function: object, arguments: object) -> object:
        """The value of a constructor in the closed table; for any other name, a record of the call."""
        if not isinstance(function, Record) or function.arguments is not None or not isinstance(arguments, tuple):
            raise FileUnusableError(f"it calls {shown(function)}, which is not a name")
        constructor = _CONSTRUCTORS.get(function.name)
        if constructor is not None:
            self.meter.spend(CONTAINER_BYTES, "a value")
            return constructor(self, arguments)
        if function.name.startswith("torch._utils._rebuild"):
            raise FileUnusableError(f"it holds a tensor made by {shown(function.name)}, not a dense plain one")
        self.meter.spend(RECORD_BYTES, "a record")
        return Record(function.name, arguments)

    def set_state(self, target: object, state: object) -> None:
        """What `__setstate__` would have received, kept; for an OrderedDict only torch's `_metadata`."""
        if isinstance(target, OrderedDict):
            metadata = state.get("_metadata") if isinstance(state, dict) else None
            if isinstance(metadata, dict) and all(isinstance(value, dict) for value in metadata.values()):
                vars(target)["_metadata"] = metadata
            return
        if not isinstance(target, Record) or target.arguments is None or target.state is not None:
            raise FileUnusableError(f"it sets the state of {shown(target)}, which has none to set")
        # Frozen for its readers; here it is still being read, and others may already refer to it.
        object.__setattr__(target, "state", state)

    def set_items(self, target: object, pairs: list[object]) -> None:
        """Set alternating keys and values on a dict, or on the record of a dict's subclass."""
        table = target.items if isinstance(target, Record) and target.arguments is not None else target
        if not isinstance(table, dict) or len(pairs) % 2:
            raise FileUnusableError(f"it sets {len(pairs)} keys and values on {shown(target)}, which is not a dict")
        self.meter.spend(len(pairs) // 2 * ENTRY_BYTES, "a dict")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            table[checked_key(key)] = value

    def append(self, target: object, values: list[object]) -> None:
        """Append to a list, or to the record of a list's subclass."""
        elements = target.elements if isinstance(target, Record) and target.arguments is not None else target
        if not isinstance(elements, list):
            raise FileUnusableError(f"it appends to {shown(target)}, which is not a list")
        elements.extend(values)

    def add(self, target: object, values: list[object]) -> None:
        """Add to a set."""
        if not isinstance(target, set):
            raise FileUnusableError(f"it adds to {shown(target)}, which is not a set")
        target |= self.set(values)

    def set(self, values: list[object]) -> set[object]:
        """A set of values that are safe to hash."""
        self.meter.spend(CONTAINER_BYTES + len(values) * ENTRY_BYTES, "a set")
        return {checked_key(value) for value in values}


def checked_key(key: object) -> object:
    """A key whose hash costs nothing and cannot be steered: text, bytes, 64-bit numbers, names of classes, short flat
    tuples of them.

    Python hashes tuples recursively in C, so a deep one would end the process.
    """
    parts = key if isinstance(key, tuple) and len(key) <= 16 else (key,)
    for part in parts:
        if isinstance(part, int) and part.bit_length() > _KEY_BITS:
            raise FileUnusableError(f"a key is a number of {part.bit_length()} bits, more than {_KEY_BITS}")
        named = isinstance(part, Record) and part.arguments is None  # as Lightning 1.0 has its callbacks
        if not named and not isinstance(part, str | bytes | int | float | None):
            raise FileUnusableError(f"a key is {shown(part)}, not text or a number")
    return key


def _tensor(build: Builder, arguments: Arguments) -> Tensor:
    """`torch._utils._rebuild_tensor`: (storage, offset, size, stride)."""
    storage, offset, size, stride = _exactly(arguments, 4)
    if not isinstance(storage, Tensor) or storage.dim() != 1:
        raise FileUnusableError(f"a tensor lies on {shown(storage)}, which is not a storage")
    return _strided(build, storage, storage.dtype, (offset, size, stride))


def _tensor_v2(build: Builder, arguments: Arguments) -> Tensor:
    """`_rebuild_tensor_v2`: the above, requires_grad, hooks (ignored) and, rarely, metadata (conjugate, negative)."""
    _plain_metadata(arguments[6:])
    arguments = _exactly(arguments[:6], 6)
    tensor = _tensor(build, arguments[:4])
    return tensor.requires_grad_(_checked_grad(tensor, arguments[4]))


def _tensor_v3(build: Builder, arguments: Arguments) -> Tensor:
    """`_rebuild_tensor_v3`: as v2, on an untyped storage, with the dtype after the hooks."""
    _plain_metadata(arguments[7:])
    storage, offset, size, stride, requires_grad, _, dtype = _exactly(arguments[:7], 7)
    if not isinstance(storage, Tensor) or storage.dim() != 1 or not isinstance(dtype, torch.dtype):
        raise FileUnusableError(f"a tensor of {shown(dtype)} lies on {shown(storage)}; it needs a dtype and a storage")
    tensor = _strided(build, storage, dtype, (offset, size, stride))
    return tensor.requires_grad_(_checked_grad(tensor, requires_grad))


def _strided(build: Builder, storage: Tensor, dtype: torch.dtype, geometry: Arguments) -> Tensor:
    """A view of a storage, once it is known to stay inside: offset + sum (size_i - 1) * stride_i < elements."""
    offset, size, stride = geometry[0], _whole_numbers(geometry[1]), _whole_numbers(geometry[2])
    elements = storage.untyped_storage().nbytes() // dtype.itemsize
    if type(offset) is not int or not 0 <= offset <= elements or len(size) != len(stride):
        raise FileUnusableError(f"a tensor at offset {shown(offset)} of its storage of {elements} elements cannot be")
    numel = positive = 1
    last = offset
    for side, step in zip(size, stride, strict=True):
        numel, positive = numel * side, positive * max(side, 1)
        last += (side - 1) * step
    if positive > _SIZE_LIMIT or (numel and last >= elements):
        raise FileUnusableError(
            f"a tensor of shape {shown([*size])} reaches outside its storage of {elements} elements"
        )
    build.meter.claim(numel * dtype.itemsize)
    # Not as_strided: the result then is no view of `storage` in the eyes of autograd. Sizes are proven above, because
    # set_ would grow the storage rather than complain.
    return torch.empty(0, dtype=dtype).set_(storage.untyped_storage(), offset, size, stride)


def _parameter(build: Builder, arguments: Arguments) -> Tensor:
    """`_rebuild_parameter`: (tensor, requires_grad, hooks); with state, the state (Python attributes) is dropped."""
    data, requires_grad = _exactly(arguments[:2], 2)
    if not isinstance(data, Tensor):
        raise FileUnusableError(f"a parameter is made of {shown(data)}, not of a tensor")
    return torch.nn.Parameter(data.detach(), requires_grad=_checked_grad(data, requires_grad))


def _subclassed(build: Builder, arguments: Arguments) -> object:
    """`torch._tensor._rebuild_from_type_v2`: (function, class, arguments, attributes); the plain tensor in it."""
    function, _, inner, _ = _exactly(arguments, 4)
    # Only these, and by name: calls inside calls inside calls would end in our own stack overflow.
    if not isinstance(function, Record) or function.name not in _SUBCLASSED:
        raise FileUnusableError(f"a tensor's subclass is made by {shown(function)}, not from a plain tensor")
    return build.call(function, inner)


def _size(build: Builder, arguments: Arguments) -> torch.Size:
    return torch.Size(_whole_numbers(_exactly(arguments, 1)[0]))


def _device(build: Builder, arguments: Arguments) -> torch.device:
    kind, index = (*arguments, 0)[:2] if 1 <= len(arguments) <= 2 else (None, None)
    if kind not in ("cpu", "cuda", "mps", "xpu", "meta") or type(index) is not int or not 0 <= index < 128:
        raise FileUnusableError(f"a device is {shown([*map(shown, arguments)])}, which is not one we know")
    return torch.device(str(kind), index) if len(arguments) == 2 else torch.device(str(kind))


def _ordered_dict(build: Builder, arguments: Arguments) -> OrderedDict[object, object]:
    """`OrderedDict()`, or as Python 2 wrote it `OrderedDict([[key, value], ...])`."""
    table: OrderedDict[object, object] = OrderedDict()
    pairs = arguments[0] if len(arguments) == 1 else []
    if len(arguments) > 1 or not isinstance(pairs, list):
        raise FileUnusableError("an OrderedDict is made of something other than a list of pairs")
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise FileUnusableError(f"an OrderedDict is made of {shown(pair)}, which is not a pair")
        build.set_items(table, [*pair])
    return table


def _set(build: Builder, arguments: Arguments) -> set[object]:
    (values,) = _exactly(arguments, 1)
    if not isinstance(values, list):
        raise FileUnusableError(f"a set is made of {shown(values)}, not of a list")
    return build.set(values)


def _frozenset(build: Builder, arguments: Arguments) -> frozenset[object]:
    return frozenset(_set(build, arguments))


def _complex(build: Builder, arguments: Arguments) -> complex:
    real, imaginary = _exactly(arguments, 2)
    if not isinstance(real, float) or not isinstance(imaginary, float):
        raise FileUnusableError(f"a complex number is made of {shown(real)} and {shown(imaginary)}")
    return complex(real, imaginary)


def _encoded(build: Builder, arguments: Arguments) -> bytes:
    """`_codecs.encode(text, "latin1")`: how protocol 2 spells bytes."""
    text, codec = _exactly(arguments, 2)
    if not isinstance(text, str) or codec not in ("latin1", "latin-1"):
        raise FileUnusableError(f"bytes are spelt as {shown(text)} in {shown(codec)}, not as Latin-1 text")
    build.meter.spend(len(text), "a byte string")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise FileUnusableError(f"bytes are spelt as {shown(text)}, which is not Latin-1 text") from None


def _no_bytes(build: Builder, arguments: Arguments) -> bytes:
    """`bytes()`: how protocol 2 spells the empty byte string."""
    _exactly(arguments, 0)
    return b""


def _bytes_of_a_file(build: Builder, arguments: Arguments) -> object:
    """`torch.storage._load_from_bytes`: a whole torch file inside this one, read by the same rules."""
    (data,) = _exactly(arguments, 1)
    if not isinstance(data, bytes):
        raise FileUnusableError(f"a nested file is {shown(data)}, not bytes")
    return build.nested(data)


def _exactly(arguments: Arguments, count: int) -> Arguments:
    if len(arguments) != count:
        raise FileUnusableError(f"a constructor has {len(arguments)} arguments where it needs {count}")
    return arguments


def _whole_numbers(values: object) -> tuple[int, ...]:
    """Sizes or strides: up to 64 whole numbers in [0, 2^62]."""
    if not isinstance(values, tuple | list) or len(values) > 64:
        raise FileUnusableError(f"a shape is {shown(values)}, not up to 64 numbers")
    numbers = tuple(value for value in values if type(value) is int and 0 <= value <= _SIZE_LIMIT)
    if len(numbers) < len(values):
        raise FileUnusableError("a shape or stride holds something that is not a number from 0 to 2^62")
    return numbers


def _plain_metadata(metadata: Arguments) -> None:
    absent = not metadata or metadata[0] is None or (isinstance(metadata[0], dict) and not metadata[0])
    if not absent or len(metadata) > 1:
        raise FileUnusableError("a tensor is stored as lazily conjugated or negated, which we do not read")


def _checked_grad(tensor: Tensor, requires_grad: object) -> bool:
    if type(requires_grad) is not bool or (requires_grad and not (tensor.is_floating_point() or tensor.is_complex())):
        raise FileUnusableError(f"a {tensor.dtype} tensor has requires_grad {shown(requires_grad)}, which cannot be")
    return requires_grad


_SUBCLASSED = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3")

_CONSTRUCTORS: dict[str, Callable[[Builder, Arguments], object]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor_v2,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _subclassed,
    "torch.storage._load_from_bytes": _bytes_of_a_file,
    "torch.Size": _size,
    "torch.device": _device,
    "collections.OrderedDict": _ordered_dict,
    "builtins.set": _set,
    "__builtin__.set": _set,
    "builtins.frozenset": _frozenset,
    "__builtin__.frozenset": _frozenset,
    "builtins.complex": _complex,
    "__builtin__.complex": _complex,
    "builtins.bytes": _no_bytes,
    "__builtin__.bytes": _no_bytes,
    "_codecs.encode": _encoded,
}
