"""TensorBoard, for those who have it: the same numbers as `log.jsonl`, the same grids."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
from PIL import Image

from sparring.errors import UsageError

__all__ = ["Tracker", "tensorboard_writer", "tracker"]


@final
class Tracker:
    """Writes records and grids where TensorBoard reads them."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def record(self, record: Mapping[str, Any]) -> None:
        """Every number of a record, at its `seen`."""
        for name, number in record.items():
            if name not in ("seen", "round") and isinstance(number, int | float):
                self._writer.add_scalar(name, number, record["seen"])
        self._writer.flush()

    def picture(self, seen: int, path: Path) -> None:
        """A sample grid, but for one that is too large to be read."""
        with contextlib.suppress(Image.DecompressionBombError):
            pixels = np.asarray(Image.open(path).convert("RGB"))
            self._writer.add_image("samples", pixels, seen, dataformats="HWC")


@contextlib.contextmanager
def tracker(folder: Path, seen: int) -> Iterator[Tracker]:
    """A tracker that writes to a folder, replacing what was written beyond `seen`, until the block ends.

    Raises UsageError as `tensorboard_writer` does.
    """
    writer = tensorboard_writer()(str(folder), purge_step=seen + 1)
    try:
        yield Tracker(writer)
    finally:
        with contextlib.suppress(OSError):  # the numbers and the grids are in the run as well
            writer.close()


def tensorboard_writer() -> Any:
    """The class of TensorBoard's writers; raises UsageError where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("TensorBoard is not installed: in sparring's folder, pip install '.[tensorboard]'") from error
    return SummaryWriter
