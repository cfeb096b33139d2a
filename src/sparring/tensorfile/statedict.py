"""From what a torch file holds to a flat table of named tensors."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from sparring.errors import FileUnusableError
from sparring.tensorfile.record import Record

__all__ = ["tensors_of"]

# In order of preference: the averaged generator is what people publish a file for.
_WRAPPERS = (
    *("g_ema", "G_ema", "ema", "params_ema", "generator_ema", "netG_ema", "model_ema", "state_dict_ema"),
    *("state_dict", "model_state_dict", "model", "net", "network", "params", "weights"),
    *("generator", "netG", "G", "g"),
)
_PERSISTENT = "torch_utils.persistence._reconstruct_persistent_obj"


def tensors_of(value: object, *, wrapper: str | None = None) -> dict[str, Tensor]:
    """The tensors in a value read by `read_torch_file`, flat, under dotted names as `state_dict()` would give them.

    Looks inside the usual wrappers (`g_ema`, `state_dict`, `model`, ... in that order), nested tables, whole saved
    modules, and NVIDIA's persistent objects; names inside the state dict are kept as they are.

    Args:
        value: what was read.
        wrapper: the entry to take where a file holds several networks, such as `"D"`.

    Raises:
        FileUnusableError: there are no tensors, no such entry, or two tensors of one name.

    >>> import torch
    >>> tensors_of({"epoch": 3, "g_ema": {"layer": {"weight": torch.ones(2)}}, "d": {"weight": torch.zeros(2)}})
    {'layer.weight': tensor([1., 1.])}
    """
    if wrapper is not None:
        table = _table(value)
        if wrapper not in table:
            raise FileUnusableError(f"the file has no entry {wrapper!r}; it has {_names(table)}")
        value = table[wrapper]
    while (inner := _wrapped(value)) is not None:
        value = inner
    tensors: dict[str, Tensor] = {}
    for name, tensor in _flatten(value, ""):
        if name in tensors:
            raise FileUnusableError(f"the file holds two tensors called {name!r}; save a plain state dict instead")
        tensors[name] = tensor
    if not tensors:
        raise FileUnusableError(
            f"the file holds no named tensors, only {_names(_table(value))}; save a state dict instead"
        )
    return tensors


def _wrapped(value: object) -> object:
    """The preferred network among the entries of a wrapper; None if `value` is no wrapper."""
    if isinstance(value, Record) and _module(value):
        return None  # its submodules may well be called "model"
    table = _table(value)
    weights = (entry for entry in table.values() if isinstance(entry, Tensor) and entry.is_floating_point())
    if any(weight.numel() > 1 for weight in weights):  # a generator's state, of bytes, may lie beside the wrapper
        return None
    return next((table[name] for name in _WRAPPERS if name in table and any(_flatten(table[name], ""))), None)


def _flatten(value: object, prefix: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield prefix, value
        return
    for name, entry in _table(value).items():
        called = _called(name)
        yield from _flatten(entry, f"{prefix}.{called}" if prefix else str(called))


def _table(value: object) -> dict[object, object]:
    """The named entries of a dict, of a dict's subclass, or of a module; nothing for anything else."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, Record):
        return {}
    return _module(value) or value.items


def _module(record: Record) -> dict[object, object]:
    """Parameters, persistent buffers and submodules, if this is the record of a torch module."""
    state: object = record.state
    if record.name == _PERSISTENT and record.arguments:
        state = _table(record.arguments[0]).get("state")
    state = _table(state)
    if not {"_parameters", "_buffers", "_modules"} <= set(state):
        return {}
    parameters, buffers, modules = (_table(state[name]) for name in ("_parameters", "_buffers", "_modules"))
    skipped = state.get("_non_persistent_buffers_set")
    skipped = skipped if isinstance(skipped, set) else set()
    return parameters | {name: buffer for name, buffer in buffers.items() if name not in skipped} | modules


def _called(key: object) -> object:
    """A key as it is shown: of a class, its name."""
    return key.name if isinstance(key, Record) else key


def _names(table: dict[object, object]) -> str:
    names = [ascii(_called(name))[:40] for name in list(table)[:12]]
    return ", ".join(names) + (", ..." if len(table) > 12 else "") if names else "other values"
