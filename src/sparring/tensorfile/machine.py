"""A stack machine for the opcodes that torch files use, and no others.

Protocols 2 to 5 of the format documented in Python's Lib/pickletools.py, without its text opcodes, extension registry,
out-of-band buffers, and the older ways of making instances. Names and calls go to the `Builder`, which resolves none.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import IO

from sparring.errors import FileUnusableError
from sparring.tensorfile.builder import Builder
from sparring.tensorfile.limits import CONTAINER_BYTES, ENTRY_BYTES, MARKS, OPCODES, STRING_BYTES, shown

__all__ = ["Machine", "Source"]

_STOP = 0x2E
_LINE = 1_000  # longest module or class name
_NUMBER = 255  # longest integer, in bytes


class Source:
    """Bytes from a stream of known length, never more than it holds."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self.left = size

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes.

        Raises:
            FileUnusableError: fewer are left; nothing is allocated then.
        """
        if size > self.left:
            raise FileUnusableError(f"it is cut short: {size} bytes are announced and {self.left} are left")
        data = self._stream.read(size)
        if len(data) < size:
            raise FileUnusableError("it became shorter while being read")
        self.left -= size
        return data

    def line(self) -> str:
        """ASCII text up to a newline."""
        data = self._stream.readline(min(self.left, _LINE))
        self.left -= len(data)
        if not data.endswith(b"\n"):
            raise FileUnusableError(f"it is cut short, or a name is longer than {_LINE} characters")
        return _text(data[:-1])


class Machine:
    """Runs one program of opcodes from a source: `Machine(source, builder).run()` is the value at STOP."""

    def __init__(self, source: Source, builder: Builder) -> None:
        self._source = source
        self._build = builder
        self._spend = builder.meter.spend
        self._stack: list[object] = []
        self._outer: list[list[object]] = []  # the stacks below each open mark
        self._memo: dict[int, object] = {}

    def run(self) -> object:
        """Interpret up to STOP and return the one value left.

        Raises:
            FileUnusableError: an opcode outside the list, too few values, an overdrawn limit, or an early end.
        """
        while (opcode := self._source.take(1)[0]) != _STOP:
            self._build.meter.step()
            act = _OPCODES.get(opcode)
            if act is None:
                raise FileUnusableError(f"it holds the instruction 0x{opcode:02x}, which weights do not need")
            act(self)
        if self._outer or len(self._stack) != 1:
            raise FileUnusableError("it ends with values left over")
        return self._stack.pop()

    # Reading ---------------------------------------------------------------------------------------------------------

    def number(self, layout: str) -> int:
        """One little-endian integer of a `struct` layout."""
        return int(struct.unpack(layout, self._source.take(struct.calcsize(layout)))[0])

    def push_bytes(self, layout: str) -> None:
        self._stack.append(self._counted(layout))

    def push_text(self, layout: str) -> None:
        self._stack.append(_text(self._counted(layout)))

    def push_long(self, layout: str) -> None:
        size = self.number(layout)
        if not 0 <= size <= _NUMBER:
            raise FileUnusableError(f"it holds an integer of {size} bytes, more than {_NUMBER}")
        self._stack.append(int.from_bytes(self._source.take(size), "little", signed=True))

    def push_float(self) -> None:
        self._stack.append(struct.unpack(">d", self._source.take(8))[0])

    def protocol(self) -> None:
        if not 2 <= (protocol := self.number("<B")) <= 5:
            raise FileUnusableError(f"it uses protocol {protocol}, not 2 to 5")

    def frame(self) -> None:
        """A frame only says how much to buffer; what lies in it speaks for itself."""
        if (size := self.number("<Q")) > self._source.left:
            raise FileUnusableError(f"it is cut short: a frame of {size} bytes, and {self._source.left} are left")

    def _counted(self, layout: str) -> bytes:
        size = self.number(layout)
        if size > self._source.left:
            raise FileUnusableError(f"it is cut short: {size} bytes are announced and {self._source.left} are left")
        self._spend(size + STRING_BYTES, "a string")
        return self._source.take(size)

    # The stack -------------------------------------------------------------------------------------------------------

    def push(self, value: object) -> None:
        self._stack.append(value)

    def push_container(self, value: object) -> None:
        self._spend(CONTAINER_BYTES, "a container")
        self._stack.append(value)

    def pop(self) -> object:
        if not self._stack:
            raise FileUnusableError("it takes a value from an empty stack")
        return self._stack.pop()

    def top(self) -> object:
        if not self._stack:
            raise FileUnusableError("it uses a value of an empty stack")
        return self._stack[-1]

    def mark(self) -> None:
        if len(self._outer) >= MARKS:
            raise FileUnusableError(f"it opens more than {MARKS} containers inside one another")
        self._outer.append(self._stack)
        self._stack = []

    def pop_mark(self) -> list[object]:
        """The values since the last mark."""
        if not self._outer:
            raise FileUnusableError("it closes a container that it never opened")
        values, self._stack = self._stack, self._outer.pop()
        return values

    def put(self, index: int) -> None:
        if not 0 <= index < OPCODES:
            raise FileUnusableError(f"it remembers a value under number {index}, more than {OPCODES}")
        self._spend(ENTRY_BYTES, "a memo")
        self._memo[index] = self.top()

    def memoize(self) -> None:
        self.put(len(self._memo))

    def get(self, index: int) -> None:
        if index not in self._memo:
            raise FileUnusableError(f"it recalls value number {index}, which it never remembered")
        self._stack.append(self._memo[index])

    # Containers ------------------------------------------------------------------------------------------------------

    def tuple_of(self, count: int) -> None:
        values = [self.pop() for _ in range(count)]
        self.push_container(tuple(reversed(values)))

    def append(self) -> None:
        value = self.pop()
        self._build.append(self.top(), [value])

    def appends(self) -> None:
        values = self.pop_mark()
        self._build.append(self.top(), values)

    def set_item(self) -> None:
        value, key = self.pop(), self.pop()
        self._build.set_items(self.top(), [key, value])

    def set_items(self) -> None:
        pairs = self.pop_mark()
        self._build.set_items(self.top(), pairs)

    def add_items(self) -> None:
        values = self.pop_mark()
        self._build.add(self.top(), values)

    # Names and calls -------------------------------------------------------------------------------------------------

    def name_from_lines(self) -> None:
        module = self._source.line()
        self._stack.append(self._build.name(module, self._source.line()))

    def name_from_stack(self) -> None:
        qualified_name, module = self.pop(), self.pop()
        self._stack.append(self._build.name(module, qualified_name))

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        self._stack.append(self._build.call(function, arguments))

    def set_state(self) -> None:
        state = self.pop()
        self._build.set_state(self.top(), state)

    def persistent(self) -> None:
        self._stack.append(self._build.persistent(self.pop()))


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise FileUnusableError(f"it holds the text {shown(data)}, which is not UTF-8") from None


_OPCODES: dict[int, Callable[[Machine], object]] = {
    0x80: Machine.protocol,
    0x95: Machine.frame,
    ord("("): Machine.mark,
    ord("0"): Machine.pop,
    ord("1"): Machine.pop_mark,
    ord("2"): lambda m: m.push(m.top()),
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("J"): lambda m: m.push(m.number("<i")),
    ord("K"): lambda m: m.push(m.number("<B")),
    ord("M"): lambda m: m.push(m.number("<H")),
    0x8A: lambda m: m.push_long("<B"),
    0x8B: lambda m: m.push_long("<i"),
    ord("G"): Machine.push_float,
    ord("X"): lambda m: m.push_text("<I"),
    0x8C: lambda m: m.push_text("<B"),
    0x8D: lambda m: m.push_text("<Q"),
    ord("T"): lambda m: m.push_text("<I"),  # Python 2's str
    ord("U"): lambda m: m.push_text("<B"),
    ord("B"): lambda m: m.push_bytes("<I"),
    ord("C"): lambda m: m.push_bytes("<B"),
    0x8E: lambda m: m.push_bytes("<Q"),
    ord("}"): lambda m: m.push_container({}),
    ord("]"): lambda m: m.push_container([]),
    ord(")"): lambda m: m.push(()),
    0x8F: lambda m: m.push_container(set()),
    0x91: lambda m: m.push(frozenset(m._build.set(m.pop_mark()))),
    ord("t"): lambda m: m.push_container(tuple(m.pop_mark())),
    0x85: lambda m: m.tuple_of(1),
    0x86: lambda m: m.tuple_of(2),
    0x87: lambda m: m.tuple_of(3),
    ord("a"): Machine.append,
    ord("e"): Machine.appends,
    ord("s"): Machine.set_item,
    ord("u"): Machine.set_items,
    0x90: Machine.add_items,
    ord("q"): lambda m: m.put(m.number("<B")),
    ord("r"): lambda m: m.put(m.number("<I")),
    0x94: Machine.memoize,
    ord("h"): lambda m: m.get(m.number("<B")),
    ord("j"): lambda m: m.get(m.number("<I")),
    ord("c"): Machine.name_from_lines,
    0x93: Machine.name_from_stack,
    ord("R"): Machine.call,
    0x81: Machine.call,  # cls.__new__(cls, *arguments): for values and records the same as a call
    ord("b"): Machine.set_state,
    ord("Q"): Machine.persistent,
}
