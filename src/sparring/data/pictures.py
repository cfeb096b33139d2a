"""Image files to material: survey all headers, choose one size, decode once, settle the channels.

Decoded images wait as RGBA in an unnamed temporary file (in memory while small), because whether a set is grey or has
alpha is known only when the last one has been seen.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
from numpy.typing import NDArray

from sparring.data.channels import has_alpha, is_grey, to_channels
from sparring.data.decoding import decode, measure, signature, strict_decoding
from sparring.data.layout import Layout, is_picture_name, lay_out
from sparring.data.listing import Listing
from sparring.data.material import FileStamp, Material, Pixels
from sparring.data.options import Options
from sparring.data.report import IntakeReport, Refused, Skipped, printable
from sparring.data.sizing import Sizing, choose_sizing, enlargement, fit
from sparring.errors import DataError, DiskError

__all__ = ["PictureSource"]

_BLOCK = 256
_PART = 16
_IN_MEMORY_BYTES = 128 * 2**20
_FEW = 50
T = TypeVar("T")


@dataclass(frozen=True)
class PictureSource:
    """A listed folder or archive of image files."""

    listing: Listing
    unwrap: bool

    @property
    def name(self) -> str:
        return printable(self.listing.root.name)

    @property
    def root(self) -> Path:
        return self.listing.root

    @property
    def stamps(self) -> tuple[FileStamp, ...]:
        return self.listing.files

    def prepare(self, options: Options) -> Material:
        """Decodes every file once. Raises DataError when too little is left, DiskError when there is no room."""
        intake = _Intake(self.listing, list(self.listing.skipped))
        with ExitStack() as on_failure:
            on_failure.callback(intake.waiting.close)
            material = self._taken_in(intake, options)
            on_failure.pop_all()
        return material

    def _taken_in(self, intake: _Intake, options: Options) -> Material:
        layout = lay_out(self.listing, unwrap=self.unwrap)
        with strict_decoding(), ThreadPoolExecutor(_workers()) as pool:
            survey = _each(pool, lambda file: _measured(self.listing, file), layout.files)
            sizes = [intake.accepted(size) for size in survey]
            wanted = [file for file, size in zip(layout.files, sizes, strict=True) if size is not None]
            intake.check_enough(len(wanted))
            sizing = choose_sizing([size for size in sizes if size is not None], options)
            decoded = _each(pool, lambda file: _fitted(self.listing, file, sizing, options), wanted)
            try:
                kept = [intake.put_down(image) for image in decoded]
            except OSError as error:
                raise DiskError(
                    f"no room for decoded images ({error.strerror}); free some space or set TMPDIR to a larger disk"
                ) from error
        intake.check_enough(sum(kept))
        used = [file for file, good in zip(wanted, kept, strict=True) if good]
        return _material(intake, layout, used, sizing, options)


@dataclass
class _Intake:
    """The running account of one preparation."""

    listing: Listing
    skipped: list[Skipped]
    ignored: int = 0
    alpha: int = 0
    grey: int = 0
    enlarged: int = 0
    conversions: Counter[str] = field(default_factory=Counter)
    waiting: IO[bytes] = field(default_factory=lambda: tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES))  # noqa: SIM115

    def accepted(self, verdict: tuple[int, int] | Skipped | None) -> tuple[int, int] | None:
        """The size of a file that goes on to be decoded; counts the others."""
        if isinstance(verdict, tuple):
            return verdict
        if verdict is None:
            self.ignored += 1
            return None
        self.skipped.append(verdict)
        return None

    def put_down(self, one: _Fitted | Skipped) -> bool:
        """Stores one image and counts what is known about it, in order. Raises OSError."""
        if isinstance(one, Skipped):
            self.skipped.append(one)
            return False
        self.waiting.write(one.pixels.tobytes())
        self.alpha += int(has_alpha(one.pixels[None])[0])
        self.grey += int(is_grey(one.pixels[None])[0])
        self.enlarged += one.enlarged
        self.conversions.update(one.conversions)
        return True

    def check_enough(self, usable: int) -> None:
        """Raises DataError with the reasons when most files are lost or fewer than two are left."""
        where = f"{printable(str(self.listing.root))}"
        lost = len(self.skipped)
        reasons = "; ".join(f"{one.name}: {one.reason}" for one in self.skipped[:3])
        if usable == 0 and lost == 0:
            others = f" among {self.ignored:,} other files" if self.ignored else ""
            raise DataError(f"no images in {where}{others}; give PNG, JPEG, WebP, BMP or GIF files")
        if usable < lost:
            raise DataError(
                f"{lost:,} of {lost + usable:,} files in {where} cannot be used ({reasons}); mend or remove them"
            )
        if usable < 2:
            raise DataError(f"only {usable} usable image in {where}; training needs at least 2")


@dataclass(frozen=True)
class _Fitted:
    pixels: Pixels
    conversions: tuple[str, ...]
    enlarged: bool


def _measured(listing: Listing, file: FileStamp) -> tuple[int, int] | Skipped | None:
    """(height, width), or why not, or None for a file that never claimed to be an image."""
    try:
        data = listing.read(file)
        if signature(data) is None and not is_picture_name(file.name):
            return None
        return measure(data)
    except Refused as refusal:
        return Skipped(printable(file.name), str(refusal)) if is_picture_name(file.name) else None


def _fitted(listing: Listing, file: FileStamp, sizing: Sizing, options: Options) -> _Fitted | Skipped:
    """The image as RGBA at the common size, or why not."""
    try:
        picture = decode(listing.read(file), near=(sizing.height, sizing.width))
    except Refused as refusal:
        return Skipped(printable(file.name), str(refusal))
    pixels = np.asarray(fit(picture.image, sizing, options.background).convert("RGBA"))
    enlarged = enlargement((picture.image.height, picture.image.width), sizing) > 2
    return _Fitted(pixels, picture.conversions, enlarged)


def _material(intake: _Intake, layout: Layout, used: list[FileStamp], sizing: Sizing, options: Options) -> Material:
    count = len(used)
    channels = options.channels if options.channels != "auto" else _channels(intake, count)
    if channels != 4 and intake.alpha:
        intake.conversions["transparency flattened onto the background colour"] = intake.alpha
    labels, classes = _labels(layout, used)
    dropped = sorted(set(layout.classes) - set(classes)) if len(layout.classes) > 1 else []
    notes = layout.notes + tuple(f"Class {name} has no usable image and is left out." for name in dropped)
    warnings = []
    if intake.enlarged:
        warnings.append(f"{intake.enlarged:,} images are enlarged more than 2 times; take a smaller size.")
    if count < _FEW:
        warnings.append(f"only {count} images; a generator learns them by heart rather than what they have in common.")
    report = IntakeReport(
        used=count,
        size=(sizing.height, sizing.width),
        rule=sizing.rule,
        skipped=tuple(sorted(intake.skipped, key=lambda one: one.name)),
        ignored=intake.ignored,
        conversions=dict(intake.conversions),
        notes=notes,
        warnings=tuple(warnings),
    )
    shape = (channels, sizing.height, sizing.width)
    return Material(
        count=count,
        shape=shape,
        chunks=lambda: _chunks(intake.waiting, shape, options.background),
        labels=labels,
        classes=classes,
        report=report,
        waiting=intake.waiting,
    )


def _channels(intake: _Intake, count: int) -> int:
    if intake.alpha * 2 > count:
        return 4
    return 1 if intake.grey == count else 3


def _labels(layout: Layout, used: list[FileStamp]) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    """Labels of the used files, counted without gaps; a class without images is no class."""
    if layout.labels is None:
        return None, ()
    label_of = dict(zip(layout.files, layout.labels, strict=True))
    present, labels = np.unique(np.array([label_of[file] for file in used], dtype=np.int64), return_inverse=True)
    if len(present) < 2:
        return None, ()
    return labels.astype(np.int64), tuple(layout.classes[index] for index in present)


def _chunks(waiting: IO[bytes], shape: tuple[int, int, int], background: tuple[int, int, int]) -> Iterator[Pixels]:
    channels, height, width = shape
    one = height * width * 4
    waiting.seek(0)
    while data := waiting.read(one * _BLOCK):
        images = np.frombuffer(data, dtype=np.uint8).reshape(-1, height, width, 4)
        yield np.ascontiguousarray(to_channels(images, channels, background).transpose(0, 3, 1, 2))


def _each(
    pool: ThreadPoolExecutor, work: Callable[[FileStamp], T], files: list[FileStamp] | tuple[FileStamp, ...]
) -> Iterator[T]:
    """Results in order, a block at a time, so that decoded images never pile up.

    A worker takes several files at once: small images are decoded faster than threads are switched.
    """
    for start in range(0, len(files), _BLOCK):
        block = files[start : start + _BLOCK]
        parts = [block[at : at + _PART] for at in range(0, len(block), _PART)]
        for results in pool.map(lambda part: [work(file) for file in part], parts):
            yield from results


def _workers() -> int:
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
