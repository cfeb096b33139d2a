"""Pairs: two pictures of one scene, side by side in one file or of one name in two folders (Isola et al. 2017)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from PIL import Image

from sparring.data.layout import Layout, is_picture_name, top_folders
from sparring.data.listing import Listing
from sparring.data.material import FileStamp
from sparring.data.options import Options
from sparring.data.reader import Chosen, Item, Reader, Sizes
from sparring.data.report import Skipped, printable
from sparring.data.sizing import Sizing
from sparring.errors import DataError

__all__ = ["PAIRS"]

_HALVES = "The left half of each image is the first of its pair, the right half the second."


def _two_folders_or_halves(listing: Listing) -> Layout:
    """Two classes when the images lie in two top folders, which pair up by name; else none: every file is a pair.

    Raises DataError when one of two folders has no images.
    """
    tops = top_folders(listing)
    if len(tops.filled) == len(tops.empty) == 1 and not tops.loose:
        full, empty = printable(tops.filled[0]), printable(tops.empty[0])
        raise DataError(
            f"no pairs in {printable(str(listing.root))}: the folder {empty} has no images; put the partners of the "
            f"images in {full} there, under the same names, or remove it if each image holds two pictures side by side"
        )
    if len(tops.filled) == 2 and not tops.loose:
        layout = tops.as_classes(listing, tops.filled)
        first, second = layout.classes
        note = f"The images in {first} are the first of their pairs, those of the same name in {second} the second."
        return replace(layout, notes=(note,))
    if len(tops.filled) < 2:
        return Layout(listing.files, None, (), (_HALVES,))
    found = f"{len(tops.filled):,} folders with images" + (", and images beside them" if tops.loose else "")
    note = f"There are {found}; only two folders with nothing beside them pair up by name."
    return Layout(listing.files, None, (), (_HALVES, note))


def _pairs(listing: Listing, layout: Layout, sizes: Sizes, options: Options) -> Chosen:
    """Raises DataError when no pair is left."""
    chosen = _halves(sizes) if layout.labels is None else _by_name(listing, layout, layout.labels, sizes)
    if chosen.items:
        return chosen
    where = printable(str(listing.root))
    if layout.labels is None:
        raise DataError(
            f"no pairs in {where}: none of the {len(chosen.refused):,} images has an even width, so none is two "
            "pictures side by side; give such images, or two folders with images of the same names"
        )
    first, second = layout.classes
    reason = f" ({chosen.refused[0].name}: {chosen.refused[0].reason})" if chosen.refused else ""
    raise DataError(
        f"no pairs in {where}: no image in {first} has the name and the size of one in {second}{reason}; "
        "give the two images of a pair the same name and size"
    )


def _halves(sizes: Sizes) -> Chosen:
    items: list[Item] = []
    refused: list[Skipped] = []
    for file, (height, width) in sizes.items():
        if width % 2 == 0:
            items.append(Item((file,), (height, width // 2), pictures=2))
        else:
            refused.append(Skipped(printable(file.name), f"{width} pixels wide, which does not split into halves"))
    return Chosen(tuple(items), tuple(refused))


def _by_name(listing: Listing, layout: Layout, labels: Sequence[int], sizes: Sizes) -> Chosen:
    """Files of one path below their folders, suffixes apart."""
    tops = top_folders(listing)
    sides: tuple[dict[str, FileStamp], dict[str, FileStamp]] = ({}, {})
    lost: tuple[set[str], set[str]] = (set(), set())
    refused: list[Skipped] = []
    for file, label in zip(layout.files, labels, strict=True):
        name = str(PurePosixPath(tops.split(file)[1]).with_suffix(""))
        if file in sizes and name not in sides[label]:
            sides[label][name] = file
        elif file in sizes:
            refused.append(_refusal(file, f"{printable(sides[label][name].name)} has the same name"))
        elif is_picture_name(file.name):
            lost[label].add(name)
    items: list[Item] = []
    for label, (mine, theirs) in enumerate((sides, sides[::-1])):
        for name, file in mine.items():
            if name in theirs and label == 0:
                pair = file, theirs[name]
                if sizes[pair[0]] == sizes[pair[1]]:
                    items.append(Item(pair, sizes[file], pictures=2))
                else:
                    refused.append(_refusal(file, _unequal(pair[1], sizes[file], sizes[pair[1]])))
            # The partner of a file that cannot be read is not told of: one pair, one reason.
            elif name not in theirs and name not in lost[1 - label]:
                refused.append(_refusal(file, f"no image of this name in {layout.classes[1 - label]}"))
    return Chosen(tuple(items), tuple(refused))


def _refusal(file: FileStamp, reason: str) -> Skipped:
    return Skipped(printable(file.name), reason)


def _unequal(partner: FileStamp, size: tuple[int, int], other: tuple[int, int]) -> str:
    return (
        f"{size[0]} high and {size[1]} wide, but its partner {printable(partner.name)} is "
        f"{other[0]} high and {other[1]} wide"
    )


def _cut(image: Image.Image, item: Item, sizing: Sizing) -> Iterable[Image.Image]:
    if len(item.files) == 2:
        return (image,)
    half = image.width // 2
    return image.crop((0, 0, half, image.height)), image.crop((half, 0, 2 * half, image.height))


def _slim_halves(listing: Listing, layout: Layout, used: Sequence[Item]) -> tuple[str, ...]:
    """A doubt where all halves are upright: square images are halved without an error, and are hardly ever pairs."""
    if layout.labels is not None or not all(item.size[0] > item.size[1] for item in used):
        return ()
    height, width = used[0].size
    return (f"Halves are {height} high and {width} wide: if an image shows one picture, not two, these are no pairs.",)


# Exact: a file decoded at a fraction of its size would be cropped a little differently from its partner.
PAIRS = Reader(
    noun="pairs",
    depth=2,
    exact=True,
    lay_out=_two_folders_or_halves,
    choose=_pairs,
    cut=_cut,
    notes=_slim_halves,
)
