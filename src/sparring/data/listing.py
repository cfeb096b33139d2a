"""The files of a folder or an archive, seen from outside: names, sizes, times, and a way to read each one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sparring.data.material import FileStamp
from sparring.data.report import Skipped

__all__ = ["Listing", "in_order", "is_clutter"]

_CLUTTER = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Listing:
    """Regular files in the order of their names, `/` between folders, and what was left out while listing.

    `folders` are those at any depth, empty ones included. `read(stamp)` gives a file's bytes, or raises Refused with
    the reason. `wrapped` says that single folders at the top mean nothing, as archives have them.
    """

    root: Path
    files: tuple[FileStamp, ...]
    skipped: tuple[Skipped, ...]
    read: Callable[[FileStamp], bytes]
    folders: tuple[str, ...] = ()
    wrapped: bool = False


def in_order(files: list[FileStamp]) -> tuple[FileStamp, ...]:
    """By the bytes of the names, so that every machine sees the same order whatever its language."""
    return tuple(sorted(files, key=lambda file: os.fsencode(file.name)))


def is_clutter(name: str) -> bool:
    """Files and folders that systems leave behind and nobody means.

    >>> is_clutter(".DS_Store"), is_clutter("cat.png")
    (True, False)
    """
    return name.startswith(".") or name in _CLUTTER
