"""Samples as files: every image under the name of its seed, and a sheet of the first ones."""

from __future__ import annotations

from pathlib import Path

from sparring.engine.checkpoint import write_durably
from sparring.engine.sampler import ClassChoice, TrainedGenerator
from sparring.errors import DiskError
from sparring.paths import expanded
from sparring.pictures import grid, png
from sparring.share.standalone import sample_files

__all__ = ["make_folder", "sheet", "write_samples"]

_SHEET_IMAGES = 64


def write_samples(
    generator: TrainedGenerator,
    out: str | Path,
    *,
    n: int = 64,
    seed: int = 0,
    classes: ClassChoice | None = None,
    truncation: float | None = None,
) -> list[Path]:
    """Write the samples of the seeds `seed`..`seed + n - 1` and give their paths; beside them lies a `grid.png`.

    Images are `seed-000007.png`, ..., points one `points.csv`: the files that an exported `generate.py` writes, byte
    for byte. Raises UsageError if n < 1 and for classes and truncations that cannot be (see `TrainedGenerator.sample`),
    DiskError if the folder refuses.
    """
    generator.require_truncation(truncation)  # before a folder is made
    labels = generator.labels(n, seed, classes=classes)
    folder = make_folder(out)
    written = []
    for name, content in sample_files(
        generator.network, n, seed=seed, labels=labels, truncation=truncation, source=generator.source
    ):
        write_durably(folder / name, content)
        written.append(folder / name)
    shown = min(n, _SHEET_IMAGES)
    some = None if classes is None or labels is None else labels[:shown]
    write_durably(folder / "grid.png", sheet(generator, n=shown, seed=seed, classes=some, truncation=truncation))
    return written


def sheet(
    generator: TrainedGenerator,
    *,
    n: int = _SHEET_IMAGES,
    seed: int = 0,
    classes: ClassChoice | None = None,
    truncation: float | None = None,
) -> bytes:
    """A PNG of `n` samples that says which seeds it shows: eight in a row, or a column for each of a few classes.

    Points are a scatter.
    """
    words = {"Software": generator.source, "Seeds": f"{seed}..{seed + n - 1}"}
    columns = generator.columns if classes is None else 8
    return png(grid(generator.sample(n, seed=seed, classes=classes, truncation=truncation), columns=columns), words)


def make_folder(path: str | Path) -> Path:
    """A folder that exists; raises DiskError if it cannot."""
    folder = expanded(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise DiskError(f"{folder} is a file or lies in one; choose another place") from error
    except OSError as error:
        raise DiskError(f"{folder} cannot be made ({error.strerror}); choose another place") from error
    return folder
