"""Which images belong to which class, told by folders or by a `dataset.json` beside them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from sparring.data.decoding import FORMATS, signature
from sparring.data.listing import Listing
from sparring.data.material import FileStamp
from sparring.data.report import Refused, printable

__all__ = ["Layout", "TopFolders", "is_picture_name", "lay_out", "top_folders"]

_PICTURE_SUFFIXES = frozenset((
    ".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".heic", ".heif", ".avif", ".svg",
    ".ico", ".psd", ".jp2", ".jxl", ".tga",
))  # fmt: skip
_LABEL_FILE = "dataset.json"


@dataclass(frozen=True)
class Layout:
    """The files that may be images, the class of each (None: unlabelled), the class names, and what to tell."""

    files: tuple[FileStamp, ...]
    labels: tuple[int, ...] | None
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()


def lay_out(listing: Listing) -> Layout:
    """One class per top folder, everything below it included.

    Images beside the folders mean that the folders are no classes; a label file in NVIDIA's form (`dataset.json`) wins
    over folders.
    """
    files = tuple(file for file in listing.files if PurePosixPath(file.name).name != _LABEL_FILE)
    depth = _wrapping_depth(files) if listing.wrapped else 0
    shared = _parts(files[0])[:depth] if files else []
    names = ["/".join((*shared[:level], _LABEL_FILE)) for level in range(depth + 1)]
    stamp = next((file for name in names for file in listing.files if file.name == name), None)
    return _from_folders(listing, files, depth) if stamp is None else _from_label_file(listing, stamp, files, depth)


def _from_folders(listing: Listing, files: tuple[FileStamp, ...], depth: int) -> Layout:
    """The folders below the first `depth` ones are classes, or there are none."""
    tops = [_parts(file)[depth] if len(_parts(file)) > depth + 1 else None for file in files]
    folders = sorted({top for top in tops if top is not None})
    if not folders:
        return Layout(files, None, ())
    loose = (file for file, top in zip(files, tops, strict=True) if top is None)
    if any(_is_picture(listing, file) for file in loose):
        note = f"Images lie beside {len(folders)} sub-folders, so folders are not taken as classes."
        return Layout(files, None, (), (note,))
    if len(folders) == 1:
        note = f"Only one sub-folder ({printable(folders[0])}), so the images are taken as unlabelled."
        return Layout(files, None, (), (note,))
    inside = tuple(file for file, top in zip(files, tops, strict=True) if top is not None)
    number = {name: index for index, name in enumerate(folders)}
    labels = tuple(number[top] for top in tops if top is not None)
    return Layout(inside, labels, tuple(printable(name) for name in folders))


@dataclass(frozen=True)
class TopFolders:
    """The folders at the top, those with images and those without; `depth` of them wrap everything and mean nothing.

    `loose` says that images lie beside the folders.
    """

    filled: tuple[str, ...]
    empty: tuple[str, ...]
    loose: bool
    depth: int

    def split(self, file: FileStamp) -> tuple[str, str]:
        """The top folder of a file, "" for one beside the folders, and its path from there."""
        parts = _parts(file)[self.depth :]
        return (parts[0], "/".join(parts[1:])) if len(parts) > 1 else ("", parts[0])

    def as_classes(self, listing: Listing, folders: tuple[str, ...]) -> Layout:
        """Some of the folders, in the order given, each a class; all other files are left out."""
        number = {name: index for index, name in enumerate(folders)}
        labelled = [(file, number[top]) for file in listing.files if (top := self.split(file)[0]) in number]
        files, labels = tuple(file for file, _ in labelled), tuple(label for _, label in labelled)
        return Layout(files, labels, tuple(printable(name) for name in folders))


def top_folders(listing: Listing) -> TopFolders:
    """Looks for images under every top folder; empty folders are known too, because a person may have meant them."""
    depth = _wrapping_depth(listing.files) if listing.wrapped else 0
    tops = TopFolders((), (), loose=False, depth=depth)
    filled: set[str] = set()
    names = {path.split("/")[depth] for path in listing.folders if path.count("/") >= depth}
    for file in listing.files:
        top, _ = tops.split(file)
        names.add(top)
        if top not in filled and _is_picture(listing, file):
            filled.add(top)
    names.discard("")
    loose = "" in filled
    filled.discard("")
    return replace(tops, filled=tuple(sorted(filled)), empty=tuple(sorted(names - filled)), loose=loose)


def is_picture_name(name: str) -> bool:
    """Whether the name claims to be an image, of an accepted format or not.

    >>> is_picture_name("a/b.PNG"), is_picture_name("readme.txt")
    (True, False)
    """
    return PurePosixPath(name).suffix.lower() in _PICTURE_SUFFIXES


def _parts(file: FileStamp) -> list[str]:
    return file.name.split("/")


def _wrapping_depth(files: tuple[FileStamp, ...]) -> int:
    """How many folders all files share, as long as one more folder level lies below."""
    if not files:
        return 0
    depth = 0
    while len({tuple(_parts(file)[: depth + 1]) for file in files}) == 1 and all(
        len(_parts(file)) > depth + 1 for file in files
    ):
        if not any(len(_parts(file)) > depth + 2 for file in files):
            return depth
        depth += 1
    return depth


def _is_picture(listing: Listing, file: FileStamp) -> bool:
    if is_picture_name(file.name):
        return True
    try:
        return signature(listing.read(file)) in FORMATS
    except Refused:
        return False


def _from_label_file(listing: Listing, stamp: FileStamp, files: tuple[FileStamp, ...], depth: int) -> Layout:
    """The layout of StyleGAN's data sets, whose numbered folders are no classes."""
    place = stamp.name.removesuffix(_LABEL_FILE)
    try:
        content = json.loads(listing.read(stamp))
        pairs = content["labels"]
        told = None if pairs is None else {f"{place}{name}": label for name, label in pairs}
    except (Refused, ValueError, KeyError, TypeError, RecursionError):
        note = f"{_LABEL_FILE} is damaged or lists no labels, so it is passed over."
        folders = _from_folders(listing, files, depth)
        return replace(folders, notes=(note, *folders.notes))
    try:
        table = None if told is None else {name: int(label) for name, label in told.items()}
    except (ValueError, TypeError, OverflowError):
        note = f"{_LABEL_FILE} does not give one number for each image, so the images are taken as unlabelled."
        return Layout(files, None, (), (note,))
    if not table:
        return Layout(files, None, (), (f"Unlabelled, as {_LABEL_FILE} says.",))
    if not any(file.name in table for file in files):
        first = printable(next(iter(table)))
        note = f"{_LABEL_FILE} names none of the images (its first is {first}), so they are taken as unlabelled."
        return Layout(files, None, (), (note,))
    known = tuple(file for file in files if file.name in table)
    values = sorted({table[file.name] for file in known})
    number = {value: index for index, value in enumerate(values)}
    labels = tuple(number[table[file.name]] for file in known)
    others = sum(is_picture_name(file.name) for file in files) - sum(is_picture_name(file.name) for file in known)
    note = f"Labels from {_LABEL_FILE}" + (f"; {others:,} images without one are left out." if others else ".")
    return Layout(known, labels, tuple(map(str, values)), (note,))
