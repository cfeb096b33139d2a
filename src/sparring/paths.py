"""What a path means that a person gave: `~` is their home, whether or not a shell was there to say so."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["expanded"]


def expanded(path: str | Path) -> Path:
    """The path with a leading `~` or `~user` replaced by that home; as it is where there is no such user.

    A shell does so for `--out ~/x`, but neither for `--out=~/x` nor for Python.

    >>> expanded("~/runs") == Path.home() / "runs", expanded("runs/~")
    (True, PosixPath('runs/~'))
    """
    return Path(os.path.expanduser(path))
