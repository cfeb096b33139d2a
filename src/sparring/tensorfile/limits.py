"""How much a torch file may cost: one meter for memory, time and claims, shared by everything nested in the file.

A file of n bytes may make the reader use at most 64 MiB + 2n of memory and may claim tensors of at most
64 MiB + 8n (views that share a storage, such as tied weights, are claimed once each).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from torch import Tensor

from sparring.errors import FileUnusableError
from sparring.tensorfile.record import Record

__all__ = ["Meter", "check_tree", "shown"]

# What CPython 3.11 takes, rounded up: the meter bounds memory, it does not measure it.
CONTAINER_BYTES = 256
ENTRY_BYTES = 100
RECORD_BYTES = 512
STRING_BYTES = 64

OPCODES = 2_000_000  # the largest published StyleGAN holds about 100,000
MARKS = 1_000
NESTED_FILES = 4
DEPTH = 200
UNFOLDED = 5_000_000
_SLACK = 64 << 20


class Meter:
    """Counts down what is left to spend; refuses the first thing that would overdraw.

    >>> Meter(file_bytes=1000).spend(1 << 40, "a storage")
    Traceback (most recent call last):
    sparring.errors.FileUnusableError: a storage of 1099511627776 bytes is more than a file of 1000 bytes may ask for
    """

    def __init__(self, file_bytes: int) -> None:
        self.file_bytes = file_bytes
        self._memory = _SLACK + 2 * file_bytes
        self._claims = _SLACK + 8 * file_bytes
        self._opcodes = OPCODES

    def step(self) -> None:
        """Count one opcode."""
        self._opcodes -= 1
        if self._opcodes < 0:
            raise FileUnusableError(f"it holds more than {OPCODES} instructions, far more than weights need")

    def spend(self, size: int, what: str) -> None:
        """Count `size` bytes about to be allocated."""
        if size > self._memory:
            raise FileUnusableError(
                f"{what} of {size} bytes is more than a file of {self.file_bytes} bytes may ask for"
            )
        self._memory -= size

    def claim(self, size: int) -> None:
        """Count the `size` bytes a tensor would take if someone copied it out of its storage."""
        if size > self._claims:
            raise FileUnusableError(f"a tensor unfolds to {size} bytes, too much for a file of {self.file_bytes} bytes")
        self._claims -= size


def check_tree(root: object) -> None:
    """Refuse results that would trap whoever walks them: cycles, great depth, small graphs that unfold into huge trees.

    Walks with its own stack, so that depth costs memory here and never the interpreter's stack.

    Raises:
        FileUnusableError: a container holds itself, nests deeper than 200, or unfolds to over 5,000,000 entries.
    """
    measured: dict[int, tuple[int, int]] = {}  # id -> (depth, entries when unfolded)
    walking: dict[int, tuple[object, Iterator[object]]] = {id(root): (root, _children(root))}
    while walking:
        node, children = next(reversed(walking.values()))
        for child in children:
            if id(child) in measured or not isinstance(child, dict | list | tuple | set | frozenset | Record):
                continue
            if id(child) in walking:
                raise FileUnusableError("one of its containers holds itself")
            walking[id(child)] = (child, _children(child))
            break
        else:
            below = [measured.get(id(child), (0, 1)) for child in _children(node)]
            depth = 1 + max((depth for depth, _ in below), default=0)
            entries = 1 + sum(entries for _, entries in below)
            if depth > DEPTH or entries > UNFOLDED:
                raise FileUnusableError(f"it nests {depth} deep and unfolds to {entries} entries, too much for weights")
            measured[id(node)] = (depth, entries)
            del walking[id(node)]


def _children(node: object) -> Iterator[object]:
    if isinstance(node, dict):
        yield from node.values()
    if isinstance(node, OrderedDict):
        yield from vars(node).values()
    if isinstance(node, list | tuple | set | frozenset):
        yield from node
    if isinstance(node, Record):
        yield from (node.arguments, node.state, node.items, node.elements)


def shown(value: object) -> str:
    """A value from a file for a message: escaped, and cut where it stops helping.

    >>> shown("a" * 100)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'"
    """
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, Record):
        return f"the record {shown(value.name)}"
    plain = all(isinstance(part, str | int) for part in value) if isinstance(value, list) else True
    if not plain or not isinstance(value, str | bytes | int | float | None | list):
        return f"a {type(value).__name__}"  # whose own text might be without end
    text = ascii(value[:200] if isinstance(value, str | bytes | list) else value)
    return text if len(text) <= 80 else f"{text[:38]}...{text[-38:]}"
