"""What a reading decides between the passes over image files: which files, what they become, what is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from sparring.data.layout import Layout, lay_out
from sparring.data.listing import Listing
from sparring.data.material import FileStamp
from sparring.data.options import Options
from sparring.data.report import Skipped
from sparring.data.sizing import Sizing, choose_sizing

__all__ = ["IMAGES", "Chosen", "Item", "Reader", "Sizes", "whole_images"]

Sizes = Mapping[FileStamp, tuple[int, int]]


@dataclass(frozen=True)
class Item:
    """Files that are used together or not at all, the (height, width) of a picture cut from them, and how many."""

    files: tuple[FileStamp, ...]
    size: tuple[int, int]
    pictures: int = 1
    label: int | None = None


@dataclass(frozen=True)
class Chosen:
    """What goes on to be decoded, and the good images that do not fit the reading."""

    items: tuple[Item, ...]
    refused: tuple[Skipped, ...] = ()


def whole_images(listing: Listing, layout: Layout, sizes: Sizes, options: Options) -> Chosen:
    """Every file for itself, in its class."""
    labels = layout.labels if layout.labels is not None else (None,) * len(layout.files)
    labelled = zip(layout.files, labels, strict=True)
    return Chosen(tuple(Item((file,), sizes[file], label=label) for file, label in labelled if file in sizes))


def _uncut(image: Image.Image, item: Item, sizing: Sizing) -> Iterable[Image.Image]:
    return (image,)


def _without_empty_classes(listing: Listing, layout: Layout, used: Sequence[Item]) -> tuple[str, ...]:
    present = {layout.classes[item.label] for item in used if item.label is not None}
    dropped = sorted(set(layout.classes) - present)
    return tuple(f"Class {name} has no usable image and is left out." for name in dropped)


@dataclass(frozen=True)
class Reader:
    """One reading, as the decisions it makes; what is left out is done as for plain images.

    `noun` names what one element of the data set is, `depth` how many pictures are stacked along its channels. With
    `exact`, pictures are cut from pixels at the file's own size. `lay_out` names the files to look at; `choose` gets
    their sizes and makes items of them; `choose_sizing` settles the common size of pictures from the items'; `cut`
    makes an item's pictures of each of its files; `notes` tells, in the end, how it went.

    `lay_out`, `choose` and `notes` raise DataError where the reading finds nothing it could use.
    """

    noun: str = "images"
    depth: int = 1
    exact: bool = False
    lay_out: Callable[[Listing], Layout] = lay_out
    choose: Callable[[Listing, Layout, Sizes, Options], Chosen] = whole_images
    choose_sizing: Callable[[Sequence[tuple[int, int]], Options], Sizing] = choose_sizing
    cut: Callable[[Image.Image, Item, Sizing], Iterable[Image.Image]] = _uncut
    notes: Callable[[Listing, Layout, Sequence[Item]], tuple[str, ...]] = _without_empty_classes


IMAGES = Reader()
