"""A person's own images through a trained translator: single files and folders, of any size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sparring.data.folder import list_folder
from sparring.data.layout import is_picture_name
from sparring.data.single import read_picture
from sparring.engine.checkpoint import write_durably
from sparring.engine.translator import TrainedTranslator
from sparring.errors import DataError, TooLargeError, UsageError
from sparring.paths import expanded
from sparring.pictures import picture, png, require_png
from sparring.share.sheets import make_folder

__all__ = ["Translated", "translate"]


@dataclass(frozen=True)
class Translated:
    """What was written, and what was left out, with a sentence each."""

    written: tuple[Path, ...]
    skipped: tuple[str, ...]


def translate(
    translator: TrainedTranslator, source: str | Path, out: str | Path, *, seed: int = 0, tile: int = 256
) -> Translated:
    """What a translator makes of an image file, or of every image below a folder, as PNGs.

    A file becomes the file `out`, or one of its name in the folder `out`; a folder becomes a folder with the same names
    below it. Image i of a folder, in order of names, draws its noise from `seed` + i. What cannot be read, or does not
    fit into memory, is skipped and said; nothing is written over.

    Raises DataError where there is no image or none could be translated, UsageError where a file would be written over,
    two images would become one file or a PNG would have another picture's ending, DiskError where nothing can be
    written.
    """
    source, out = expanded(source), expanded(out)
    if tile < 16:
        raise UsageError(f"tiles of {tile} pixels are too small; give 16 or more")
    pairs = list(_pairs(source, out))
    taken = [path for _, path in pairs if path.exists()]
    if taken:
        raise UsageError(f"{taken[0]} exists already, and nothing is written over; choose another place")
    written, skipped = [], []
    for place, (path, target) in enumerate(pairs):
        try:
            image = read_picture(path, translator.channels)
            made = translator.translate(image[None], seed=seed + place, tile=tile)[0]
        except (DataError, TooLargeError) as error:
            if not source.is_dir():
                raise
            skipped.append(f"{path.name}: {error}")
            continue
        make_folder(target.parent)
        write_durably(target, png(picture(made), {"Software": "sparring", "seed": str(seed + place)}))
        written.append(target)
    if not written:
        raise DataError(f"nothing of {source} could be translated ({skipped[0]}); give other images")
    return Translated(tuple(written), tuple(skipped))


def _pairs(source: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    """Files and what they become."""
    if source.is_file():
        if not out.is_dir():
            require_png(out)
        yield source, out if out.suffix.lower() == ".png" else out / f"{source.stem}.png"
        return
    if not source.is_dir():
        raise DataError(f"there is no {source}; give an image or a folder of images")
    names = [file.name for file in list_folder(source).files if is_picture_name(file.name)]
    if not names:
        raise DataError(f"{source} holds no images; give an image or a folder of images")
    targets: dict[Path, str] = {}
    for name in names:
        target = out / Path(name).with_suffix(".png")
        if target in targets:
            raise UsageError(f"{targets[target]} and {name} would both become {target}; rename one of them")
        targets[target] = name
        yield source / name, target
