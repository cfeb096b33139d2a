"""Images that come as one array: which axis is which, which range, which labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sparring.data.channels import has_alpha, to_channels
from sparring.data.material import Material, Pixels
from sparring.data.options import Options
from sparring.data.report import IntakeReport, printable
from sparring.data.sides import check_two_sides
from sparring.data.sizing import Sizing, choose_sizing, fit
from sparring.errors import DataError

__all__ = ["ArraySet", "prepare_arrays"]

_CHUNK_BYTES = 32 * 2**20
_MOST_CHANNELS = 16
_FEW = 50


@dataclass(frozen=True)
class ArraySet:
    """`images` `[n, h, w]`, `[n, h, w, c]` or `[n, c, h, w]` of any number type, `labels` `[n]` of any integers.

    `label_names[value]` names the class of that value, where given.
    """

    name: str
    images: NDArray[Any]
    labels: NDArray[Any] | None = None
    label_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def prepare_arrays(given: ArraySet, options: Options) -> Material:
    """Material from an array. Raises DataError for shapes, ranges and counts that cannot be images or be read so."""
    if options.reading in ("tiles", "pairs"):
        raise DataError(
            f"{given.name} holds an array of images, which cannot be read as {options.reading}; "
            "give a folder or zip of image files"
        )
    images, notes = _channels_last(given.images, given.name)
    count, height, width, given_channels = images.shape
    if count < 2:
        raise DataError(f"only {count} usable image in {given.name}; training needs at least 2")
    scale, range_note = _scaling(images, given.name)
    sizing = choose_sizing([(height, width)], options)
    channels = _channels(images, scale, options)
    shape = (channels, sizing.height, sizing.width)
    labels, classes, label_notes = _labels(given, count)
    if options.reading == "sides":
        check_two_sides(given.name, classes)
    enlarged = sizing.height > 2 * height or sizing.width > 2 * width
    warnings = []
    if enlarged:
        warnings.append("images are enlarged more than 2 times; take a smaller size.")
    if count < _FEW:
        warnings.append(f"only {count} images; a generator learns them by heart rather than what they have in common.")
    report = IntakeReport(
        used=count,
        size=shape[1:],
        rule=sizing.rule,
        notes=given.notes + notes + range_note + label_notes,
        warnings=tuple(warnings),
    )

    def chunks() -> Iterator[Pixels]:
        for block in _blocks(images):
            sized = _resized(scale(block), sizing, options.background)
            yield np.ascontiguousarray(to_channels(sized, channels, options.background).transpose(0, 3, 1, 2))

    if channels != given_channels:
        to_channels(np.zeros((1, 1, 1, given_channels), dtype=np.uint8), channels, options.background)
    return Material(count, shape, chunks, labels, classes, report)


def _channels_last(images: NDArray[Any], name: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """The array as `[n, h, w, c]` and, where the order had to be guessed, a sentence."""
    if images.dtype.kind not in "buif":
        raise DataError(f"{name} holds {images.dtype} values, not numbers that could be pixels; give uint8")
    if images.ndim == 3 and 0 not in images.shape:
        return images[..., None], ()
    if images.ndim != 4 or 0 in images.shape:
        raise DataError(
            f"{name} has shape {tuple(images.shape)}, which is no set of images; give [n, h, w] or [n, h, w, channels]"
        )
    first, last = images.shape[1], images.shape[3]
    if last <= _MOST_CHANNELS and (last <= first or first > _MOST_CHANNELS):
        return images, ()
    if first <= _MOST_CHANNELS:
        return images.transpose(0, 2, 3, 1), ("Channels come first in the array.",)
    raise DataError(
        f"{name} has shape {tuple(images.shape)}: neither {first} nor {last} can be channels; give [n, h, w, channels]"
    )


def _scaling(images: NDArray[Any], name: str) -> tuple[Callable[[NDArray[Any]], Pixels], tuple[str, ...]]:
    """How values become 0..255, told by their type and range; said in a sentence unless they are bytes already."""
    low, high = _range(images, name)
    kind = images.dtype.kind
    if images.dtype == np.uint8 and high != 1:
        return lambda block: np.asarray(block, dtype=np.uint8), ()
    if kind == "b" or (kind in "ui" and low >= 0 and high <= 1):
        return _affine(0, 255), ("Values 0 and 1 are scaled to 0 and 255.",)
    if kind in "ui" and low >= 0 and high <= 255:
        return _affine(0, 1), ()
    if kind in "ui" and low >= 0 and high <= 65535:
        return _affine(0, 255 / 65535), ("16-bit values are scaled by range.",)
    if kind == "f" and low >= -1 - 1e-6 and high <= 1 + 1e-6:
        if low >= -1e-6:
            return _affine(0, 255), ("Values in [0, 1] are scaled to 0..255.",)
        return _affine(1, 127.5), ("Values in [-1, 1] are scaled to 0..255.",)
    if kind == "f" and low >= 0 and high <= 255:
        return _affine(0, 1), ("Values in [0, 255] are rounded.",)
    raise DataError(
        f"{name} holds values from {low:g} to {high:g}; give uint8, or floats in [0, 1], [-1, 1] or [0, 255]"
    )


def _affine(offset: float, factor: float) -> Callable[[NDArray[Any]], Pixels]:
    def scale(block: NDArray[Any]) -> Pixels:
        return np.clip(np.rint((block.astype(np.float64) + offset) * factor), 0, 255).astype(np.uint8)

    return scale


def _range(images: NDArray[Any], name: str) -> tuple[float, float]:
    """Smallest and largest value. Raises DataError when one is not finite."""
    low, high, seen = np.inf, -np.inf, 0
    for block in _blocks(images):
        if block.dtype.kind == "f" and not np.isfinite(block).all():
            index = seen + int(np.flatnonzero(~np.isfinite(block).reshape(len(block), -1).all(axis=1))[0])
            raise DataError(f"image {index} of {name} holds values that are not finite; remove it or mend it")
        low, high = min(low, float(block.min())), max(high, float(block.max()))
        seen += len(block)
    return low, high


def _channels(images: NDArray[Any], scale: Callable[[NDArray[Any]], Pixels], options: Options) -> int:
    """An array keeps its channels, except for an alpha channel that hides nothing in most images."""
    if options.channels != "auto":
        return options.channels
    given = int(images.shape[-1])
    if given != 4:
        return given
    transparent = sum(int(has_alpha(scale(block)).sum()) for block in _blocks(images))
    return 4 if transparent * 2 > len(images) else 3


def _labels(given: ArraySet, count: int) -> tuple[NDArray[np.int64] | None, tuple[str, ...], tuple[str, ...]]:
    """Labels without gaps, class names, and a sentence where labels are of no use."""
    if given.labels is None:
        return None, (), ()
    if len(given.labels) != count:
        raise DataError(f"{given.name} has {count:,} images and {len(given.labels):,} labels; they must agree")
    values, labels = np.unique(given.labels, return_inverse=True)
    if len(values) < 2:
        return None, (), ("All labels are the same, so the images are taken as unlabelled.",)
    names = given.label_names
    if names is None or int(values[0]) < 0 or int(values[-1]) >= len(names):
        called = tuple(str(int(value)) for value in values)
        why = f"Labels go from {called[0]} to {called[-1]}, so that the {len(names or ())} names given do not fit them."
        return labels.astype(np.int64), called, () if names is None else (why,)
    return labels.astype(np.int64), tuple(printable(names[int(value)]) for value in values), ()


def _blocks(images: NDArray[Any]) -> Iterator[NDArray[Any]]:
    step = max(1, _CHUNK_BYTES // max(1, images[0].size * 8))
    for start in range(0, len(images), step):
        yield images[start : start + step]


def _resized(images: Pixels, sizing: Sizing, background: tuple[int, int, int]) -> Pixels:
    if images.shape[1:3] == (sizing.height, sizing.width):
        return images
    return np.stack([_resized_one(image, sizing, background) for image in images])


def _resized_one(image: Pixels, sizing: Sizing, background: tuple[int, int, int]) -> Pixels:
    """One `[h, w, c]` image; without a colour meaning (c not 3 or 4), each channel for itself."""
    if image.shape[-1] in (3, 4):
        return np.asarray(fit(Image.fromarray(image), sizing, background))
    planes = [fit(Image.fromarray(image[..., channel]), sizing, background) for channel in range(image.shape[-1])]
    return np.stack([np.asarray(plane.convert("L")) for plane in planes], axis=-1)
