"""Sides: two sets of images that do not pair up, in the folders of CycleGAN (Zhu et al. 2017) or any two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from sparring.data.layout import Layout, TopFolders, top_folders
from sparring.data.listing import Listing
from sparring.data.reader import Item, Reader
from sparring.data.report import printable
from sparring.errors import DataError

__all__ = ["SIDES", "check_two_sides"]

_KNOWN = (("traina", "trainb"), ("a", "b"))
_TRAIN = "train"
_SHOWN = 6


def check_two_sides(name: str, classes: tuple[str, ...]) -> None:
    """Raises DataError unless there are two classes."""
    if len(classes) != 2:
        held = f"{len(classes)} classes" if classes else "no classes"
        raise DataError(f"{name} has {held}, not two sides; give images of two classes, or a folder for each side")


def _two_folders(listing: Listing) -> Layout:
    """The images of two top folders, each a class. Raises DataError when it is not clear which two."""
    tops = top_folders(listing)
    sides = _sides(tops)
    if sides is None:
        raise _not_two(listing, tops)
    others = [printable(name) for name in tops.filled if name not in sides]
    if tops.loose:
        others.append("the images beside the folders")
    notes = (f"Left out: {', '.join(others)}.",) if others else ()
    return replace(tops.as_classes(listing, sides), classes=_class_names(*sides), notes=notes)


def _sides(tops: TopFolders) -> tuple[str, str] | None:
    """Folders of known names, else the only two with images."""
    of_name: dict[str, str] = {}
    for name in sorted((*tops.filled, *tops.empty)):
        of_name.setdefault(name.lower(), name)
    for first, second in _KNOWN:
        if first in of_name and second in of_name:
            pair = of_name[first], of_name[second]
            return pair if set(pair) <= set(tops.filled) else None
    # One of trainA and trainB alone, say beside testA: the other one is missing, and testA is no substitute.
    if len(tops.filled) != 2 or set(of_name) & set(_KNOWN[0]):
        return None
    first, second = tops.filled
    return first, second


def _class_names(first: str, second: str) -> tuple[str, str]:
    """The names of the folders, without the "train" that both begin with.

    >>> _class_names("trainA", "trainB"), _class_names("training", "test")
    (('A', 'B'), ('training', 'test'))
    """
    short = [name[len(_TRAIN) :] for name in (first, second) if name.lower().startswith(_TRAIN)]
    if len(short) == 2 and all(short) and short[0] != short[1]:
        first, second = short
    return printable(first), printable(second)


def _not_two(listing: Listing, tops: TopFolders) -> DataError:
    found = sorted([*tops.filled, *(f"{name} (without images)" for name in tops.empty)])
    shown = ", ".join(printable(name) for name in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    folders = f"the folders {shown}{more}" if len(found) > 1 else f"only the folder {shown}" if found else "no folders"
    return DataError(
        f"no two sides in {printable(str(listing.root))}: it holds {folders}; "
        "put the images of one side into trainA and those of the other into trainB"
    )


def _counts(listing: Listing, layout: Layout, used: Sequence[Item]) -> tuple[str, ...]:
    """Raises DataError when a side has lost all its images."""
    count = Counter(item.label for item in used)
    for index, name in enumerate(layout.classes):
        if not count[index]:
            raise DataError(
                f"none of the images of side {name} in {printable(str(listing.root))} can be used; mend or replace them"
            )
    first, second = layout.classes
    return (f"Side {first} has {count[0]:,} images, side {second} has {count[1]:,}; they do not pair up.",)


SIDES = Reader(lay_out=_two_folders, notes=_counts)
