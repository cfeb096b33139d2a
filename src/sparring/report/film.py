"""The film of a run: its sample grids, all from the same z, small enough to travel inside a page."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sparring.engine.rundir import Run
from sparring.pictures import data_url
from sparring.report.numbers import compact

__all__ = ["LIMIT", "Film", "Frame", "film", "thin"]

LIMIT = 8_000_000
"""Characters that the pictures of a page may take together."""

_HEAVY = 400_000
_WIDEST = 1200
_STAGE = 720


@dataclass(frozen=True)
class Frame:
    """A grid as a data URL, and its size on the page; `key` marks the first, middle and last."""

    seen: int
    url: str
    width: int
    height: int
    key: bool


@dataclass(frozen=True)
class Film:
    """Frames, oldest first; `note` says what was left out or made smaller.

    `crisp` pixels are shown as squares; `points` on white are shown on black where the page is dark.
    """

    frames: tuple[Frame, ...]
    crisp: bool
    points: bool
    note: str


def film(run: Run, *, limit: int = LIMIT) -> Film:
    """The grids of a run: all of them, or as many evenly spread ones as fit into `limit` characters."""
    found: list[tuple[int, _Picture]] = []
    for seen, path in run.grids():
        with contextlib.suppress(OSError, Image.DecompressionBombError):  # one that large could not be shown either
            found.append((seen, _embed(path, path.stat().st_mtime_ns)))
    chosen = [found[k] for k in thin([len(picture.url) for _, picture in found], limit)]
    keys = {0, len(chosen) // 2, len(chosen) - 1}
    frames = tuple(
        Frame(seen, picture.url, picture.width * picture.factor, picture.height * picture.factor, k in keys)
        for k, (seen, picture) in enumerate(chosen)
    )
    points = run.bound.facts.points
    crisp = not points and all(picture.factor > 1 for _, picture in chosen)
    return Film(frames, crisp, points, _note(len(found), [picture for _, picture in chosen]))


def thin(sizes: Sequence[int], limit: int) -> list[int]:
    """Places of as many evenly spread sizes as fit into `limit` together, always with the first and the last.

    >>> thin([1, 1, 1, 1, 1], limit=3)
    [0, 2, 4]
    """
    for count in range(len(sizes), 2, -1):
        places = [round(k * (len(sizes) - 1) / (count - 1)) for k in range(count)]
        if sum(sizes[place] for place in places) <= limit:
            return places
    return sorted({0, len(sizes) - 1}) if sizes else []


@dataclass(frozen=True)
class _Picture:
    """A picture ready to embed; `factor` is the whole number by which its pixels are enlarged on the page."""

    url: str
    width: int
    height: int
    exact: bool

    @property
    def factor(self) -> int:
        return max(_STAGE // self.width, 1)


@functools.lru_cache(maxsize=1024)  # more than the grids of a run that went on twenty times as long
def _embed(path: Path, written: int) -> _Picture:
    """The bytes of a grid's file, or a lossy copy of a heavy one.

    A training run writes its report again and again; `written` tells a file from another that had its name before.
    """
    data = path.read_bytes()
    with Image.open(io.BytesIO(data)) as picture:
        if len(data) <= _HEAVY:
            return _Picture(data_url(data), picture.width, picture.height, exact=True)
        small = picture.convert("RGB")
    small.thumbnail((_WIDEST, _WIDEST), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=85, method=2)
    return _Picture(data_url(buffer.getvalue(), "image/webp"), small.width, small.height, exact=False)


def _note(found: int, chosen: Sequence[_Picture]) -> str:
    words = []
    if len(chosen) < found:
        words.append(f"{len(chosen)} of {found} grids, evenly spread, so that this page stays below {compact(LIMIT)}B.")
    if not all(picture.exact for picture in chosen):
        words.append("Large grids are compressed here; the exact pictures are in the run's samples folder.")
    return " ".join(words)
