"""Checkpoints that cannot lie: one safetensors file, named by its `seen` and its own hash.

Temporary file in the same folder, fsync, rename, fsync of the folder; older files are pruned afterwards. There is no
"latest" pointer: the newest file whose bytes match the hash in its name wins.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from sparring.errors import DiskError, FileUnusableError
from sparring.tensorfile import read_safetensors, serialise

__all__ = ["Checkpoint", "checkpoints", "newest", "read", "save", "sweep", "under", "write_durably", "writing"]

FORMAT = 1
KEEP = 3

_NAME = re.compile(r"ckpt-(\d{12})-([0-9a-f]{16})\.safetensors")
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint file: its path, the images seen, and the first 16 digits of its SHA-256."""

    path: Path
    seen: int
    digest: str

    def verify(self) -> bool:
        """Whether the file's bytes are those that were saved."""
        try:
            return hashlib.sha256(self.path.read_bytes()).hexdigest().startswith(self.digest)
        except OSError:
            return False


def save(folder: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> Checkpoint:
    """Save tensors and a JSON record durably, then prune; returns only when the file would survive a power cut.

    Raises DiskError with the older checkpoints intact.
    """
    metadata = {"sparring": json.dumps({"format": FORMAT, **record}, sort_keys=True)}
    data = serialise({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, metadata)
    digest = hashlib.sha256(data).hexdigest()[:16]
    path = folder / f"ckpt-{record['seen']:012d}-{digest}.safetensors"
    write_durably(path, data)
    _prune(folder, path)
    return Checkpoint(path, record["seen"], digest)


def checkpoints(folder: Path) -> list[Checkpoint]:
    """The checkpoint files of a folder by name, newest first; none is opened."""
    found = []
    for path in folder.glob("ckpt-*.safetensors"):
        if match := _NAME.fullmatch(path.name):
            found.append(Checkpoint(path, int(match[1]), match[2]))
    return sorted(found, key=lambda c: (c.seen, c.digest), reverse=True)


def newest(folder: Path, *, mend: bool = False) -> Checkpoint | None:
    """The newest checkpoint that verifies, None where there is no file at all.

    With `mend` (for the trainer, which holds the lock) damaged ones are renamed `.bad`, never deleted. Raises
    FileUnusableError if files exist but none verifies.
    """
    listed = checkpoints(folder)
    for place, checkpoint in enumerate(listed):
        if checkpoint.verify():
            for damaged in listed[:place] if mend else ():
                damaged.path.rename(damaged.path.with_suffix(".bad"))
            return checkpoint
    if any(checkpoint.path.exists() for checkpoint in listed):
        raise FileUnusableError(
            f"{listed[0].path} is truncated or altered, and no other checkpoint is intact; restore one from a copy, "
            "or train again into another folder"
        )
    return None


def read(checkpoint: Checkpoint) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and record of a checkpoint; raises FileUnusableError if it is damaged or of a newer version."""
    if not checkpoint.verify():
        raise FileUnusableError(f"{checkpoint.path} is truncated or altered; remove it to use the one before")
    content = read_safetensors(checkpoint.path)
    try:
        record = json.loads(content.metadata["sparring"])
    except (KeyError, ValueError, RecursionError) as error:
        raise FileUnusableError(f"{checkpoint.path} is not a checkpoint of sparring; use one that it wrote") from error
    if not isinstance(record, dict) or not isinstance(record.get("format"), int):
        raise FileUnusableError(f"{checkpoint.path} is not a checkpoint of sparring; use one that it wrote")
    if record["format"] > FORMAT:
        raise FileUnusableError(
            f"{checkpoint.path} has format {record['format']}, this version reads up to {FORMAT}; update sparring"
        )
    return content.tensors, record


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin so, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def write_durably(path: Path, data: bytes) -> None:
    """Put `data` at `path` whole or not at all, synchronised to the disk; raises DiskError, leaving no part of it.

    Missing folders are made.
    """
    temporary = path.parent / f".tmp-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
            descriptor = os.open(temporary, flags, 0o644)
            try:
                _write_all(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(temporary, path)
            _sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def sweep(folder: Path) -> None:
    """Remove what killed writers left; only for the holder of the run's lock."""
    for leftover in folder.glob(".tmp-*"):
        with contextlib.suppress(OSError):
            leftover.unlink()


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view[:_BLOCK]) :]


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prune(folder: Path, saved: Path) -> None:
    """Keep the newest few; only after a newer one is durable, and never the one just saved."""
    others = [c for c in checkpoints(folder) if c.path != saved]
    for old in others[KEEP - 1 :]:
        with contextlib.suppress(OSError):
            old.path.unlink()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusals to write a file into one sentence: raises DiskError."""
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"{path} could not be written ({error.strerror}); free some space or choose another place to write to"
        ) from error
