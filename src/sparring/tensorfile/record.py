"""What becomes of a class we do not know: its name and what the file said about it, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Record"]


@dataclass(frozen=True, eq=False)
class Record:
    """A named thing in a torch file, kept inert: never imported, never called, compared by identity.

    `name` is `module.qualified_name`. `arguments` is None where the file only names the thing, and a tuple where it
    asks to call or construct it. `state` is what would have become its `__dict__`; `items` and `elements` are what a
    dict or list subclass would have held.

    >>> Record("dnnlib.util.EasyDict", arguments=(), items={"z_dim": 512}).items["z_dim"]
    512
    """

    name: str
    arguments: tuple[object, ...] | None = None
    state: object = None
    items: dict[object, object] = field(default_factory=dict)
    elements: list[object] = field(default_factory=list)
