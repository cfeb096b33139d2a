"""Samples as files: every image under the name of its seed, and a sheet of the first ones."""

from __future__ import annotations

from pathlib import Path

from sparring.engine.checkpoint import write_durably
from sparring.engine.sampler import TrainedGenerator
from sparring.errors import DiskError, UsageError
from sparring.pictures import grid, png
from sparring.share.standalone import sample_files

__all__ = ["made_folder", "sheet", "write_samples"]

_SHEET_IMAGES = 64


def write_samples(generator: TrainedGenerator, out: str | Path, *, n: int = 64, seed: int = 0) -> list[Path]:
    """Write the samples of the seeds `seed`..`seed + n - 1` and give their paths; beside them lies a `grid.png`.

    Images are `seed-000007.png`, ..., points one `points.csv`: the files that an exported `generate.py` writes, byte
    for byte. Raises UsageError if n < 1, DiskError if the folder refuses.
    """
    if n < 1:
        raise UsageError(f"{n} samples cannot be drawn; ask for 1 or more")
    folder = made_folder(out)
    written = []
    for name, content in sample_files(generator.network, n, seed=seed, source=generator.source):
        write_durably(folder / name, content)
        written.append(folder / name)
    write_durably(folder / "grid.png", sheet(generator, n=min(n, _SHEET_IMAGES), seed=seed))
    return written


def sheet(generator: TrainedGenerator, *, n: int = _SHEET_IMAGES, seed: int = 0) -> bytes:
    """A PNG of `n` samples, eight in a row (points: a scatter), that says which seeds it shows."""
    words = {"Software": generator.source, "Seeds": f"{seed}..{seed + n - 1}"}
    return png(grid(generator.sample(n, seed=seed), columns=8), words)


def made_folder(path: str | Path) -> Path:
    """A folder that exists; raises DiskError if it cannot."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise DiskError(f"{folder} is a file or lies in one; choose another --out") from error
    except OSError as error:
        raise DiskError(f"{folder} cannot be made ({error.strerror}); choose another --out") from error
    return folder
