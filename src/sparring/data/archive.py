"""A zip of images, read in place: nothing is ever extracted to a name, and sizes are bounded before unpacking."""

from __future__ import annotations

import lzma
import stat
import struct
import threading
import zipfile
import zlib
from pathlib import Path

from sparring.data.decoding import MOST_BYTES
from sparring.data.listing import Listing, in_order, is_clutter
from sparring.data.material import FileStamp
from sparring.data.report import Refused, Skipped, printable
from sparring.errors import DataError

__all__ = ["list_archive"]

MOST_FILES = 500_000
MOST_DIRECTORY_BYTES = 64 * 2**20
MOST_RATIO = 200
_SMALL = 2**20
_END_RECORD = struct.Struct("<4s4H2LH")
_ENCRYPTED = 0x1


def list_archive(path: Path) -> Listing:
    """The files of a zip. Raises DataError for one that is damaged or built to exhaust the machine."""
    try:
        _check_directory(path)
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DataError(
            f"{printable(str(path))} is not a readable zip ({printable(str(error))}); pack it again"
        ) from error
    members: dict[FileStamp, zipfile.ZipInfo] = {}
    skipped: list[Skipped] = []
    folders: list[str] = []
    for index, info in enumerate(archive.infolist()):
        name = info.filename.replace("\\", "/")
        if any(is_clutter(part) for part in name.split("/") if part not in ("", ".", "..")):
            continue
        if info.is_dir():
            folders.append(name.rstrip("/"))
            continue
        try:
            _check_member(name, info)
        except Refused as refusal:
            skipped.append(Skipped(printable(name), str(refusal)))
            continue
        # Index and checksum in place of a time: two members may have one name, and a zip may be packed anew.
        members[FileStamp(name, info.file_size, index << 32 | info.CRC)] = info
    total, size = sum(file.size for file in members), path.stat().st_size
    if total > MOST_RATIO * size + MOST_BYTES:
        raise DataError(
            f"{printable(str(path))} would unpack from {size / 2**20:.1f} MB to {total / 2**20:,.0f} MB, "
            "more than images do; unpack it yourself if you trust it, and give the folder"
        )
    # One reader at a time: members share one file, and decoding is what takes the time.
    lock = threading.Lock()
    return Listing(
        path,
        in_order(list(members)),
        tuple(skipped),
        lambda file: _read(archive, members[file], lock),
        tuple(folders),
        wrapped=True,
    )


def _check_directory(path: Path) -> None:
    """Looks at the list of files before zipfile builds an object for every entry of it."""
    with path.open("rb") as file:
        length = file.seek(0, 2)
        before = max(0, length - _END_RECORD.size - 2**16 - 76)  # 76: what a large zip has before the end record
        file.seek(before)
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) - at < _END_RECORD.size:
            raise zipfile.BadZipFile("no end record")
        _, _, _, _, count, directory_bytes, _, _ = _END_RECORD.unpack_from(tail, at)
        # With a locator before the end record, zipfile believes the large record, whatever the end record says.
        large = tail.rfind(b"PK\x06\x06", 0, at) if tail[max(0, at - 20) : at].startswith(b"PK\x06\x07") else -1
        if large >= 0 and len(tail) - large >= 56:
            at, (count, directory_bytes) = large, struct.unpack_from("<2Q", tail, large + 32)
        if directory_bytes > MOST_DIRECTORY_BYTES:
            raise DataError(
                f"{printable(str(path))} has a list of files of {directory_bytes / 2**20:,.0f} MB; the limit is "
                f"{MOST_DIRECTORY_BYTES // 2**20} MB: unpack it and give the folder"
            )
        file.seek(max(0, before + at - directory_bytes))
        listed = file.read(directory_bytes).count(b"PK\x01\x02")  # what is told may be another number
    if max(count, listed) > MOST_FILES:
        raise DataError(
            f"{printable(str(path))} lists {max(count, listed):,} files; the limit for a zip is {MOST_FILES:,}: "
            "unpack it and give the folder"
        )


def _check_member(name: str, info: zipfile.ZipInfo) -> None:
    """Raises Refused for entries that are links, escapes, locked or bombs."""
    if stat.S_ISLNK(info.external_attr >> 16):
        raise Refused("link inside an archive")
    if name.startswith("/") or ".." in name.split("/") or name[1:2] == ":":
        raise Refused("name that leads out of the archive")
    if info.flag_bits & _ENCRYPTED:
        raise Refused("encrypted")
    if info.file_size > MOST_BYTES:
        raise Refused(f"{info.file_size / 2**20:,.0f} MB unpacked; the limit is {MOST_BYTES // 2**20} MB")
    if info.file_size > _SMALL and info.file_size > MOST_RATIO * info.compress_size:
        raise Refused(f"packed more than {MOST_RATIO} times; images are not")


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, lock: threading.Lock) -> bytes:
    try:
        with lock, archive.open(info) as member:
            return member.read(MOST_BYTES + 1)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, ValueError) as error:
        # RuntimeError includes NotImplementedError: a compression this Python does not know.
        raise Refused(f"damaged in the archive ({printable(str(error))[:80]})") from error
