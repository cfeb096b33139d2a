"""`load()`: a trained generator from a run or from an exported folder. Files are read as data; none is run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from sparring.engine.rundir import Run
from sparring.engine.sampler import TrainedGenerator, class_names
from sparring.errors import FileUnusableError
from sparring.recipe_file import from_json
from sparring.share.card import CARD, read_card
from sparring.tensorfile import read_safetensors

__all__ = ["load"]

_WEIGHTS = "generator.safetensors"


def load(path: str | Path, *, trust: Iterable[str] = ()) -> TrainedGenerator:
    """The generator of a run folder (its newest checkpoint) or of a folder that `export` wrote.

    Only parts of sparring can be named by the files, and those of the modules in `trust`. Raises FileUnusableError if
    a file is missing, damaged, altered or newer, or if it names other code.
    """
    folder, trust = Path(path), tuple(trust)
    if (folder / CARD).is_file():
        return _exported(folder, trust)
    run = Run(folder, trust=trust)
    if not run.exists:
        raise FileUnusableError(f"{folder} is not a run and not an exported generator; give the folder of one")
    return run.generator


def _exported(folder: Path, trust: tuple[str, ...]) -> TrainedGenerator:
    card = read_card(folder)
    files = card.get("files")
    if not isinstance(files, dict) or _WEIGHTS not in files:
        raise FileUnusableError(f"{folder} holds no {_WEIGHTS}; export the run to safetensors")
    path = folder / _WEIGHTS
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise FileUnusableError(f"{path} cannot be read ({error.strerror}); restore it from a copy") from error
    if digest != files[_WEIGHTS]:
        raise FileUnusableError(f"{path} is not the file that {CARD} means (SHA-256); restore both from a copy")
    bound = from_json(card.get("recipe", {}), trust=trust)
    data = card.get("data")
    names = class_names(data.get("classes") or () if isinstance(data, dict) else (), path)
    source = f"{bound.recipe.name} {card.get('checkpoint', '')}"
    return TrainedGenerator.of(bound, read_safetensors(path).tensors, source=source, names=names)
