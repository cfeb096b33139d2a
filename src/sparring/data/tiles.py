"""Tiles: the pieces of one size that photographs hold, for games that look at small pieces of large images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PIL import Image

from sparring.data.layout import Layout
from sparring.data.listing import Listing
from sparring.data.options import Options
from sparring.data.reader import Chosen, Item, Reader, Sizes
from sparring.data.report import Skipped, printable
from sparring.data.sizing import Sizing
from sparring.errors import DataError

__all__ = ["TILES"]

_SIZE = (96, 96)


def _all_files(listing: Listing) -> Layout:
    return Layout(listing.files, None, ())


def _large_enough(listing: Listing, layout: Layout, sizes: Sizes, options: Options) -> Chosen:
    """The images with room for a tile. Raises DataError when there is none."""
    height, width = options.size or _SIZE
    items: list[Item] = []
    refused: list[Skipped] = []
    for file, (rows, columns) in sizes.items():
        tiles = (rows // height) * (columns // width)
        if tiles:
            items.append(Item((file,), (rows, columns), pictures=tiles))
            continue
        reason = f"{rows} high and {columns} wide, too small for a tile of {height}x{width}"
        refused.append(Skipped(printable(file.name), reason))
    if not items:
        where = printable(str(listing.root))
        raise DataError(
            f"no tiles in {where}: all {len(refused):,} images are smaller than {height}x{width}; "
            "give larger images, or a smaller size"
        )
    return Chosen(tuple(items), tuple(refused))


def _unscaled(sizes: Sequence[tuple[int, int]], options: Options) -> Sizing:
    height, width = options.size or _SIZE
    return Sizing(height, width, pad=False, rule=f"Cut to {height}x{width} without scaling.")


def _grid(image: Image.Image, item: Item, sizing: Sizing) -> Iterable[Image.Image]:
    """Tiles row by row; what is left over is split evenly between the two margins."""
    height, width = sizing.height, sizing.width
    top, left = (image.height % height) // 2, (image.width % width) // 2
    for y in range(top, image.height - height + 1, height):
        for x in range(left, image.width - width + 1, width):
            yield image.crop((x, y, x + width, y + height))


def _counts(listing: Listing, layout: Layout, used: Sequence[Item]) -> tuple[str, ...]:
    return (f"{len(used):,} images became {sum(item.pictures for item in used):,} tiles.",)


TILES = Reader(
    noun="tiles",
    exact=True,
    lay_out=_all_files,
    choose=_large_enough,
    choose_sizing=_unscaled,
    cut=_grid,
    notes=_counts,
)
