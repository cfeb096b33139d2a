"""Image files to material: survey all headers, choose one size, decode once, settle the channels.

Decoded pictures wait as RGBA in an unnamed temporary file (in memory while small), because whether a set is grey or has
alpha is known only when the last one has been seen. What one image of the data set is made of, its reading says.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
from numpy.typing import NDArray

from sparring.data.channels import has_alpha, is_grey, to_channels
from sparring.data.decoding import decode, measure, signature, strict_decoding
from sparring.data.layout import Layout, is_picture_name
from sparring.data.listing import Listing
from sparring.data.material import FileStamp, Material, Pixels
from sparring.data.options import Options, Reading
from sparring.data.pairs import PAIRS
from sparring.data.reader import IMAGES, Item, Reader
from sparring.data.report import IntakeReport, Refused, Skipped, printable
from sparring.data.sides import SIDES
from sparring.data.sizing import Sizing, enlargement, fit
from sparring.data.tiles import TILES
from sparring.errors import DataError, DiskError

__all__ = ["PictureSource"]

_BLOCK = 256
_PART = 16
_BLOCK_BYTES = 128 * 2**20
_IN_MEMORY_BYTES = 128 * 2**20
_FEW = 50
_FLATTENED = "transparency flattened onto the background colour"
READERS: dict[Reading, Reader] = {"images": IMAGES, "tiles": TILES, "pairs": PAIRS, "sides": SIDES}

T = TypeVar("T")
Work = TypeVar("Work")


@dataclass(frozen=True)
class PictureSource:
    """A listed folder or archive of image files."""

    listing: Listing

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
        intake = _Intake(self.listing, READERS[options.reading], list(self.listing.skipped))
        with ExitStack() as on_failure:
            on_failure.callback(intake.waiting.close)
            material = self._taken_in(intake, options)
            on_failure.pop_all()
        return material

    def _taken_in(self, intake: _Intake, options: Options) -> Material:
        reader, listing = intake.reader, self.listing
        layout = reader.lay_out(listing)
        with strict_decoding(), ThreadPoolExecutor(_workers()) as pool:
            survey = _each(pool, lambda file: _measured(listing, file), layout.files)
            sizes = intake.accepted(zip(layout.files, survey, strict=True))
            intake.check_losses(len(sizes))
            chosen = reader.choose(listing, layout, sizes, options)
            intake.refused += chosen.refused
            intake.check_enough(chosen.items)
            sizing = reader.choose_sizing([item.size for item in chosen.items], options)
            decoded = _each(
                pool,
                lambda item: _fitted(listing, item, reader, sizing, options),
                chosen.items,
                bytes_of=lambda item: 4 * item.pictures * sizing.height * sizing.width,
            )
            try:
                used = [item for item, result in zip(chosen.items, decoded, strict=True) if intake.put_down(result)]
            except OSError as error:
                raise DiskError(
                    f"no room for decoded images ({error.strerror}); free some space or set TMPDIR to a larger disk"
                ) from error
        intake.check_losses(sum(len(item.files) for item in used))
        intake.check_enough(used)
        return _material(intake, layout, used, sizing, options)


@dataclass
class _Intake:
    """The running account of one preparation: files lost, files that do not fit the reading, pictures stored."""

    listing: Listing
    reader: Reader
    lost: list[Skipped]
    refused: list[Skipped] = field(default_factory=list)
    ignored: int = 0
    stored: int = 0
    alpha: int = 0
    grey: int = 0
    conversions: Counter[str] = field(default_factory=Counter)
    waiting: IO[bytes] = field(default_factory=lambda: tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES))  # noqa: SIM115

    def accepted(
        self, verdicts: Iterable[tuple[FileStamp, tuple[int, int] | Skipped | None]]
    ) -> dict[FileStamp, tuple[int, int]]:
        """The sizes of the files that go on to be decoded; counts the others."""
        sizes = {}
        for file, verdict in verdicts:
            if isinstance(verdict, Skipped):
                self.lost.append(verdict)
            elif verdict is None:
                self.ignored += 1
            else:
                sizes[file] = verdict
        return sizes

    def put_down(self, result: list[_Fitted] | Skipped) -> bool:
        """Stores the pictures of one item and counts what is known about them, in order. Raises OSError."""
        if isinstance(result, Skipped):
            self.lost.append(result)
            return False
        for file in result:
            seen_through = 0
            for pixels in file.pictures:
                self.waiting.write(pixels.tobytes())
                seen_through += int(has_alpha(pixels[None])[0])
                self.grey += int(is_grey(pixels[None])[0])
            self.stored += len(file.pictures)
            self.alpha += seen_through
            self.conversions.update(file.conversions)
            self.conversions[_FLATTENED] += seen_through > 0
        return True

    def channels(self, options: Options) -> int:
        """How many every picture gets; drops the account of flattening when there is none."""
        chosen = options.channels
        if chosen == "auto":
            chosen = 4 if self.alpha * 2 > self.stored else 1 if self.grey == self.stored else 3
        if chosen == 4 or not self.alpha:
            del self.conversions[_FLATTENED]
        return chosen

    def check_losses(self, usable: int) -> None:
        """Raises DataError with the reasons when there are no images or most files are lost."""
        where = f"{printable(str(self.listing.root))}"
        lost = len(self.lost)
        if usable == 0 and lost == 0:
            others = f" among {self.ignored:,} other files" if self.ignored else ""
            raise DataError(f"no images in {where}{others}; give PNG, JPEG, WebP, BMP or GIF files")
        if usable < lost:
            reasons = "; ".join(f"{one.name}: {one.reason}" for one in self.lost[:3])
            raise DataError(
                f"{lost:,} of {lost + usable:,} files in {where} cannot be used ({reasons}); mend or remove them"
            )

    def check_enough(self, items: Sequence[Item]) -> None:
        """Raises DataError when fewer than two images come of it."""
        usable = sum(item.pictures for item in items) // self.reader.depth
        if usable < 2:
            where, noun = printable(str(self.listing.root)), self.reader.noun.removesuffix("s")
            raise DataError(f"only {usable} usable {noun} in {where}; training needs at least 2")


@dataclass(frozen=True)
class _Fitted:
    """The pictures cut from one file, RGBA at the common size, and what had to be done to the file."""

    pictures: list[Pixels]
    conversions: tuple[str, ...]


def _measured(listing: Listing, file: FileStamp) -> tuple[int, int] | Skipped | None:
    """(height, width), or why not, or None for a file that never claimed to be an image."""
    try:
        data = listing.read(file)
        if signature(data) is None and not is_picture_name(file.name):
            return None
        return measure(data)
    except Refused as refusal:
        return Skipped(printable(file.name), str(refusal)) if is_picture_name(file.name) else None


def _fitted(listing: Listing, item: Item, reader: Reader, sizing: Sizing, options: Options) -> list[_Fitted] | Skipped:
    """The pictures of each file of an item, or why one of them cannot be used."""
    near = None if reader.exact else (sizing.height, sizing.width)
    fitted = []
    for file in item.files:
        try:
            decoded = decode(listing.read(file), near=near)
        except Refused as refusal:
            return Skipped(printable(file.name), str(refusal))
        cut = reader.cut(decoded.image, item, sizing)
        pictures = [np.asarray(fit(image, sizing, options.background).convert("RGBA")) for image in cut]
        fitted.append(_Fitted(pictures, decoded.conversions))
    return fitted


def _material(intake: _Intake, layout: Layout, used: list[Item], sizing: Sizing, options: Options) -> Material:
    reader = intake.reader
    count, channels = intake.stored // reader.depth, intake.channels(options)
    labels, classes = _labels(layout, used)
    warnings = []
    enlarged = sum(enlargement(item.size, sizing) > 2 for item in used)
    if enlarged:
        warnings.append(f"{enlarged:,} {reader.noun} are enlarged more than 2 times; take a smaller size.")
    if count < _FEW:
        few = f"only {count} {reader.noun}"
        warnings.append(f"{few}; a generator learns them by heart rather than what they have in common.")
    report = IntakeReport(
        used=count,
        size=(sizing.height, sizing.width),
        rule=sizing.rule,
        skipped=tuple(sorted([*intake.lost, *intake.refused], key=lambda one: one.name)),
        ignored=intake.ignored,
        conversions=dict(intake.conversions),
        notes=layout.notes + reader.notes(intake.listing, layout, used),
        warnings=tuple(warnings),
        noun=reader.noun,
    )
    shape = (reader.depth * channels, sizing.height, sizing.width)
    return Material(
        count=count,
        shape=shape,
        chunks=lambda: _chunks(intake.waiting, shape, reader.depth, options.background),
        labels=labels,
        classes=classes,
        report=report,
        waiting=intake.waiting,
    )


def _labels(layout: Layout, used: list[Item]) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    """Labels of the used items, counted without gaps; a class without images is no class."""
    given = [item.label for item in used if item.label is not None]
    present, labels = np.unique(np.array(given, dtype=np.int64), return_inverse=True)
    if len(present) < 2:
        return None, ()
    return labels.astype(np.int64), tuple(layout.classes[index] for index in present)


def _chunks(
    waiting: IO[bytes], shape: tuple[int, int, int], depth: int, background: tuple[int, int, int]
) -> Iterator[Pixels]:
    """Stored pictures as images of the data set, `depth` of them stacked along the channels of each."""
    channels, height, width = shape
    one = depth * height * width * 4
    waiting.seek(0)
    while data := waiting.read(one * max(1, min(_BLOCK, _BLOCK_BYTES // one))):
        pictures = np.frombuffer(data, dtype=np.uint8).reshape(-1, height, width, 4)
        planes = to_channels(pictures, channels // depth, background).transpose(0, 3, 1, 2)
        yield np.ascontiguousarray(planes).reshape(-1, channels, height, width)


def _each(
    pool: ThreadPoolExecutor,
    work: Callable[[Work], T],
    todo: Sequence[Work],
    *,
    bytes_of: Callable[[Work], int] = lambda one: 0,
) -> Iterator[T]:
    """Results in order, a block at a time, so that decoded images never pile up.

    A worker takes several files at once: small images are decoded faster than threads are switched.
    """
    for block in _blocks(todo, bytes_of):
        size = min(_PART, -(-len(block) // _workers()))
        parts = [block[at : at + size] for at in range(0, len(block), size)]
        for results in pool.map(lambda part: [work(one) for one in part], parts):
            yield from results


def _blocks(todo: Sequence[Work], bytes_of: Callable[[Work], int]) -> Iterator[list[Work]]:
    """Runs of no more than _BLOCK, whose results take no more than _BLOCK_BYTES unless a single one does."""
    block: list[Work] = []
    held = 0
    for one in todo:
        if block and (len(block) == _BLOCK or held + bytes_of(one) > _BLOCK_BYTES):
            yield block
            block, held = [], 0
        block.append(one)
        held += bytes_of(one)
    if block:
        yield block


def _workers() -> int:
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
