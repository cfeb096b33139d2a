"""`open_data`: whatever a person points at, as a data set."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from sparring.data.archive import list_archive
from sparring.data.cache import Cache, cache_folder, cache_key
from sparring.data.dataset import Dataset, count_copies, digest_rows
from sparring.data.decoding import signature
from sparring.data.downloads import SET_NAMES, fetch
from sparring.data.folder import list_folder
from sparring.data.idx import IdxSource, find_idx
from sparring.data.layout import is_picture_name
from sparring.data.material import Material, Source
from sparring.data.numpy_files import NumpySource, find_arrays
from sparring.data.options import Channels, Options, Reading, sides_of
from sparring.data.pictures import PictureSource
from sparring.data.points import POINT_SETS, open_points
from sparring.data.report import printable
from sparring.errors import DataError, DiskError, UsageError
from sparring.paths import expanded

__all__ = ["open_data", "require_apart"]

_EMBEDDED = "Fashion-MNIST (test set)"


def open_data(
    source: str | Path | None = None,
    *,
    size: int | tuple[int, int] | None = None,
    channels: Channels = "auto",
    cache: Path | None = None,
    background: tuple[int, int, int] = (255, 255, 255),
    max_side: int = 64,
    reading: Reading = "images",
    seed: int = 0,
    count: int = 100_000,
) -> Dataset:
    """Opens images or points; everything slow happens once and is kept in the cache folder.

    `source` is a folder or zip of images (one sub-folder a class, or none), an .npz or .npy file or a folder of them,
    a folder of IDX files, the name of a downloadable set or of a 2-D point set, or None for the set that comes along.
    `size` is (height, width), or the side of squares; without it one size is chosen, at most `max_side` when images
    differ. `channels` forces 1, 3 or 4. `cache` replaces $SPARRING_CACHE and the user's cache folder. `seed` and
    `count` are for point sets only.

    `reading` says what one image of the data set is made of. "images": of one file. "tiles": of a piece of a file, cut
    unscaled, `size` large (96x96 unless given). "pairs": of two pictures, `[2c, h, w]`, the halves of one file or the
    files of one name in two sub-folders; `size` is that of each. "sides": of one file, in two classes that do not pair
    up, the sub-folders trainA and trainB, A and B, or any two.

    Raises DataError when there are no usable images, UsageError for options that cannot be meant, DiskError when
    there is room nowhere.

    >>> data = open_data("ring8", seed=1)
    >>> data.name, len(data), data.points
    ('ring8', 100000, True)
    """
    options = Options(size=sides_of(size), channels=channels, background=background, max_side=max_side, reading=reading)
    if source is not None and str(source) in POINT_SETS and not Path(source).exists():
        if size is not None:
            raise UsageError(f"{source} are points, which have no size; leave it out")
        if reading != "images":
            raise DataError(
                f"{source} are points, which cannot be read as {reading}; give images, or leave reading out"
            )
        if count < 2:
            raise UsageError(f"{count} points are too few; give 2 or more")
        if not 0 <= seed < 2**32:
            raise UsageError(f"points cannot be drawn with seed {seed}; give one from 0 to {2**32 - 1}")
        return open_points(str(source), count=count, seed=seed)
    folder = cache_folder(cache)
    found = _embedded() if source is None else _find(source, folder)
    try:
        key = cache_key(found, options)
    except OSError as error:
        raise DataError(f"{found.name} cannot be read ({error.strerror}); check that it is still there") from error
    ready = Cache(folder).find(key, found.name)
    dataset = ready if ready is not None else _prepare(found, options, Cache(folder), key)
    if dataset.shape[1:] == (1, 1) and not dataset.points:
        raise DataError(f"the images of {found.name} are single pixels; give larger images, or another --size")
    return dataset


def require_apart(source: str | Path | None, folder: Path) -> None:
    """Raises UsageError for a folder of results that would be taken for the data, or would be added to them.

    What was trained on would not be there any more then: no run could go on or be measured.
    """
    if not isinstance(source, str | Path) or not str(source).strip():
        return  # `open_data` says what is wrong with it
    place, here = expanded(source), folder.resolve()
    if place.is_dir():
        if here.is_relative_to(place.resolve()):
            raise UsageError(f"{folder} lies in the data ({source}), to which it would be added; choose another --out")
    elif str(source) in (*SET_NAMES, *POINT_SETS) and here == place.resolve():
        raise UsageError(f"{folder} would be taken for the data of that name; choose another --out")


def _find(source: str | Path, folder: Path) -> Source:
    """What kind of source this is. Raises DataError when it is none."""
    if not str(source).strip():
        raise DataError("an empty name is no data; give a folder or zip of images, an .npz, or a folder of IDX files")
    shown = printable(str(source))
    try:
        path = expanded(source)
    except TypeError as error:
        kind = type(source).__name__
        raise DataError(f"a {kind} is no place of images; save arrays by numpy.save, and give the path") from error
    try:
        if path.is_dir():
            return _in_folder(path.resolve())
        if path.is_file():
            return _in_file(path.resolve())
        present = path.exists()
    except (OSError, ValueError, RuntimeError) as error:  # a name no file can have, or a loop of links
        raise DataError(f"{shown} cannot be read ({printable(str(error))}); give another path") from error
    if present:
        raise DataError(f"{shown} is neither a folder nor a file; give a folder or zip of images, or an .npz")
    if str(source) in SET_NAMES:
        return fetch(str(source), folder / "downloads")
    raise DataError(
        f"there is no {shown}; give a folder or zip of images, an .npz, a folder of IDX files, "
        f"or one of {', '.join((*SET_NAMES, *POINT_SETS))}"
    )


def _in_folder(path: Path) -> Source:
    idx = find_idx(path)
    if idx is not None:
        return idx
    arrays, listing = find_arrays(path), list_folder(path)
    if arrays is None:
        return PictureSource(listing)
    pictures = sum(is_picture_name(file.name) for file in listing.files)
    if pictures >= 2:  # as many as a data set has at least
        raise DataError(
            f"{arrays.name} holds {pictures:,} pictures and arrays ({printable(arrays.paths[0].name)}), and only one "
            "can be meant; give the file of arrays itself, or a folder without it"
        )
    return arrays


def _in_file(path: Path) -> Source:
    name = printable(path.name)
    try:
        with path.open("rb") as file:
            kind = signature(file.read(16))
    except OSError as error:
        raise DataError(f"{printable(str(path))} cannot be read ({error.strerror}); check its permissions") from error
    suffix = path.suffix.lower()
    if suffix in (".npz", ".npy"):
        return NumpySource(name, path, (path,))
    if kind == "ZIP" or suffix == ".zip":
        return PictureSource(list_archive(path))
    if kind is not None:
        raise DataError(f"{name} is a single file ({kind}); give a folder or zip with at least 2 images")
    raise DataError(f"{name} is no file of images; give a folder or zip of images, an .npz, or a folder of IDX files")


def _embedded() -> Source:
    """The 10,000 test images of Fashion-MNIST (Xiao et al. 2017, MIT licence), which come with the package."""
    root = Path(__file__).parent / "embedded"
    images, labels = (root / f"t10k-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1"))
    return IdxSource(_EMBEDDED, root, images, labels)


def _prepare(source: Source, options: Options, cache: Cache, key: str) -> Dataset:
    """Does the slow work, through the cache where it can be written and in memory where not."""
    with contextlib.closing(source.prepare(options)) as material:
        try:
            stored = cache.store(key, source.name, material)
        except OSError as error:
            return _in_memory(source.name, material, f"the cache {cache.folder} cannot be written ({error.strerror})")
        if stored is None:
            return _in_memory(source.name, material, f"the cache {cache.folder} was emptied meanwhile")
        return stored


def _in_memory(name: str, material: Material, why: str) -> Dataset:
    warning = f"{printable(why)}, so the images are in memory only and the next start is as slow as this one."
    try:
        pixels = np.concatenate(list(material.chunks()))
    except (MemoryError, OSError) as error:
        raise DiskError(
            f"{printable(why)}, and the images do not fit into memory; set SPARRING_CACHE to a larger disk"
        ) from error
    digests = digest_rows(pixels)
    report = replace(material.report, duplicates=count_copies(digests), warnings=(*material.report.warnings, warning))
    return Dataset(pixels, name=name, report=report, labels=material.labels, classes=material.classes, digests=digests)
