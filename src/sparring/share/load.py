"""`load()`: a trained generator from a run or from an exported folder. Files are read as data; none is run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from sparring.engine.rundir import Run
from sparring.engine.sampler import TrainedGenerator, class_names, trained_network
from sparring.engine.translator import TrainedTranslator
from sparring.errors import FileUnusableError, UsageError
from sparring.features.network import sha256_of
from sparring.paths import expanded
from sparring.recipe import BoundRecipe
from sparring.recipe_file import from_json
from sparring.share.card import CARD, WEIGHTS, read_card
from sparring.tensorfile import read_safetensors

__all__ = ["load", "load_translator", "require_translator"]


def load(path: str | Path, *, trust: Iterable[str] = ()) -> TrainedGenerator:
    """The generator of a run folder (its newest checkpoint) or of a folder that `export` wrote.

    Only parts of sparring can be named by the files, and those of the modules in `trust`. Raises FileUnusableError if
    a file is missing, damaged, altered or newer, or if it names other code.
    """
    folder, trust = expanded(path), tuple(trust)
    if (folder / CARD).is_file():
        bound, weights, names, source = _exported(folder, trust)
        return TrainedGenerator.of(bound, weights, source=source, names=names)
    run = Run(folder, trust=trust)
    if not run.exists:
        raise FileUnusableError(f"{folder} is not a run and not an exported generator; give the folder of one")
    return run.generator


def load_translator(path: str | Path, *, player: str | None = None, trust: Iterable[str] = ()) -> TrainedTranslator:
    """The translator of a run folder or of a folder that `export` or `import` wrote; raises as `load` does.

    `player` names another one of a run that has several. Raises UsageError where there is none, or not that one.
    """
    folder, trust = expanded(path), tuple(trust)
    if (folder / CARD).is_file():
        if player is not None:
            raise UsageError(f"{folder} holds one translator; leave the direction out")
        bound, weights, _, source = _exported(folder, trust)
        return TrainedTranslator(trained_network(bound, bound.recipe.sampler, weights), source=source)
    run = Run(folder, trust=trust)
    if not run.exists:
        raise FileUnusableError(f"{folder} is not a run and not an exported translator; give the folder of one")
    require_translator(run, player)
    return run.translator(player)


def require_translator(run: Run, player: str | None) -> None:
    """Raise UsageError for a translator that a run does not have; None is the one that is kept."""
    if player is not None and player not in run.bound.recipe.optims:
        run.translator()  # a run that has none says so
        raise UsageError(f"{run.path} has no translator {player}; leave the direction out")


def _exported(folder: Path, trust: tuple[str, ...]) -> tuple[BoundRecipe, dict[str, Tensor], tuple[str, ...], str]:
    """The recipe, weights and class names of an exported folder, and what it is."""
    card = read_card(folder)
    files = card.get("files")
    if not isinstance(files, dict) or WEIGHTS not in files:
        raise FileUnusableError(f"{folder} holds no {WEIGHTS}; export the run to safetensors")
    path = folder / WEIGHTS
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise FileUnusableError(f"{path} cannot be read ({error.strerror}); restore it from a copy") from error
    if digest != files[WEIGHTS]:
        raise FileUnusableError(f"{path} is not the file that {CARD} means (SHA-256); restore both from a copy")
    bound = from_json(card.get("recipe", {}), trust=trust)
    data = card.get("data")
    names = class_names(data.get("classes") or () if isinstance(data, dict) else (), folder / CARD)
    source = f"{bound.recipe.name} {card.get('checkpoint', '')}"
    return bound, dict(read_safetensors(path).tensors), names, source
