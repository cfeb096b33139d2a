"""A folder of files that may hold anything: links, pipes, loops, names of any bytes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sparring.data.decoding import MOST_BYTES
from sparring.data.listing import Listing, in_order, is_clutter
from sparring.data.material import FileStamp
from sparring.data.report import Refused, Skipped, printable
from sparring.errors import DataError

__all__ = ["list_folder", "read_file"]


def list_folder(root: Path) -> Listing:
    """All regular files below `root`; links to folders are not followed, so there are no loops.

    Raises DataError when the folder itself cannot be read.
    """
    root = Path(os.path.realpath(root))
    files: list[FileStamp] = []
    skipped: list[Skipped] = []
    folders: list[str] = []
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(root / below) as entries:
                found = list(entries)
        except OSError as error:
            if not below:
                raise DataError(
                    f"cannot read the folder {printable(str(root))} ({error.strerror}); check its permissions"
                ) from error
            skipped.append(Skipped(printable(below) + "/", f"cannot be read ({error.strerror})"))
            continue
        for entry in found:
            if is_clutter(entry.name):
                continue
            name = f"{below}/{entry.name}" if below else entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append(name)
                folders.append(name)
                continue
            try:
                files.append(_stamp(root, name, entry))
            except Refused as refusal:
                skipped.append(Skipped(printable(name), str(refusal)))
    skipped.sort(key=lambda one: one.name)
    return Listing(root, in_order(files), tuple(skipped), lambda file: _read(root / file.name), tuple(folders))


def _stamp(root: Path, name: str, entry: os.DirEntry[str]) -> FileStamp:
    """Raises Refused for everything that is not a regular file inside the folder."""
    try:
        if entry.is_symlink() and not _leads_inside(root, entry.path):
            raise Refused("link that leads out of the folder")
        facts = entry.stat()
    except OSError as error:
        raise Refused(f"cannot be read ({error.strerror})") from error
    if entry.is_symlink() and stat.S_ISDIR(facts.st_mode):
        raise Refused("link to a folder")
    if not stat.S_ISREG(facts.st_mode):
        raise Refused("not a regular file")
    return FileStamp(name, facts.st_size, facts.st_mtime_ns)


def _leads_inside(root: Path, path: str) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(root)


def read_file(path: Path) -> bytes:
    """The whole of a file no larger than images are, asked for its nature and size after opening.

    Raises Refused for anything else, OSError for what cannot be read.
    """
    # O_NONBLOCK: opening a pipe nobody writes to must not wait for ever.
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(number, "rb") as file:
        facts = os.fstat(number)
        if not stat.S_ISREG(facts.st_mode):
            raise Refused("not a regular file")
        if facts.st_size > MOST_BYTES:
            raise Refused(f"{facts.st_size / 2**20:.0f} MB; the limit is {MOST_BYTES // 2**20} MB")
        return file.read(MOST_BYTES + 1)


def _read(path: Path) -> bytes:
    """A listed file, which may have changed its nature since."""
    try:
        return read_file(path)
    except OSError as error:
        raise Refused(f"cannot be read ({error.strerror})") from error
