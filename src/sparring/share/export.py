"""`export()`: a trained generator as a folder to give away, holding the generator and nothing of its author.

`generator.safetensors` (weights), `generate.py` (draws images with torch and safetensors alone), `generator.onnx` if
asked, `samples.png`, `card.json` for programs and `README.md` for people. The discriminator stays at home.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from sparring.engine.checkpoint import write_durably
from sparring.engine.rundir import Run
from sparring.engine.sampler import TrainedGenerator
from sparring.engine.translator import TrainedTranslator
from sparring.errors import FileUnusableError, UsageError
from sparring.names import choose
from sparring.paths import expanded
from sparring.recipe import BoundRecipe
from sparring.share.card import CARD, WEIGHTS, Trained, make_card, read_card
from sparring.share.load import require_translator
from sparring.share.onnxfile import onnx_bytes
from sparring.share.readme import readme
from sparring.share.script import script
from sparring.share.sheets import make_folder, sheet
from sparring.tensorfile import serialise

__all__ = ["Target", "export", "translator_words", "write_export"]

Target: TypeAlias = Literal["safetensors", "onnx"]

_SCRIPT, _ONNX, _SHEET, _README = "generate.py", "generator.onnx", "samples.png", "README.md"


def export(
    run: Run | str | Path,
    out: str | Path,
    *,
    to: Sequence[Target] = ("safetensors",),
    licence: str | None = None,
    seed: int = 0,
    player: str | None = None,
) -> Path:
    """Write the generator of a run's newest checkpoint to the folder `out`, and return that folder.

    `to` says in which forms; `licence` is what the card says about it; `seed` is the first of the sample sheet.
    `player` is another translator than the one that is kept, of a run that has several. Every form was checked against
    the run's own images. The same run gives the same bytes. A folder that this function wrote before is written anew;
    any other folder must be empty.

    Raises UsageError (an unknown form, a foreign folder, packages for ONNX that are missing, a generator that a script
    cannot carry, no such translator), FileUnusableError (no run, no intact checkpoint), SparringError (a form that
    draws something else) and DiskError.
    """
    run = run if isinstance(run, Run) else Run(run)
    out = expanded(out)
    forms = [choose(form, ("safetensors", "onnx"), "export form") for form in ([to] if isinstance(to, str) else to)]
    if not forms:
        raise UsageError("nothing was asked for; export to safetensors, onnx or both")
    _files_before(out)  # refused before any work is done
    bound, checkpoint = run.bound, run.checkpoint
    trained: Trained
    if bound.recipe.of_images:
        require_translator(run, player)
        trained = run.translator_at(checkpoint, player)
        card = make_card(run, checkpoint, trained, licence=licence, player=player)
        files = _translator_files(trained, forms, card)
    else:
        if player is not None:
            raise UsageError(f"{run.path} makes no images of images; leave the direction out")
        trained = run.generator_at(checkpoint)
        card = make_card(run, checkpoint, trained, licence=licence)
        about = {"recipe": card["name"]} | {key: card[key] for key in ("z_dim", "z_kind", "checkpoint")}
        files = _files(bound, trained, forms, seed, about)
    return write_export(out, card, files)


def write_export(out: Path, card: dict[str, Any], files: dict[str, bytes]) -> Path:
    """Write a card and the files that it means to a folder that is empty or was written so before.

    Raises UsageError for a folder with anybody else's files, DiskError.
    """
    before = _files_before(out)
    card["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    files[_README] = readme(card).encode()
    # The card first: from then on the folder is known as ours, and files that are not what it says are not used.
    files = {CARD: (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode()} | files
    make_folder(out)
    for name, content in files.items():
        write_durably(out / name, content)
    for name in before - files.keys():
        with contextlib.suppress(OSError):
            (out / name).unlink()
    return out


def _files(
    bound: BoundRecipe, generator: TrainedGenerator, forms: Sequence[str], seed: int, about: Mapping[str, Any]
) -> dict[str, bytes]:
    """The files of the forms and the sample sheet, in memory: all are made and checked before any is written."""
    words = {"sparring": json.dumps(about, sort_keys=True)}
    files = {}
    if "safetensors" in forms:
        files[WEIGHTS] = serialise(generator.network.state_dict(), words)
        files[_SCRIPT] = script(bound, generator).encode()
    if "onnx" in forms:
        files[_ONNX] = onnx_bytes(generator, {key: str(value) for key, value in about.items()})
    files[_SHEET] = sheet(generator, seed=seed)
    return files


def _translator_files(trained: TrainedTranslator, forms: Sequence[str], card: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of the forms, without a sheet: it would show what was given, which is its author's."""
    words = translator_words(card)
    files = {}
    if "safetensors" in forms:
        files[WEIGHTS] = serialise(trained.network.state_dict(), {"sparring": words})
    if "onnx" in forms:
        files[_ONNX] = onnx_bytes(trained, json.loads(words) | {"multiple": str(card["multiple"])})
    return files


def translator_words(card: Mapping[str, Any]) -> str:
    """What a weight file of a translator says of itself."""
    return json.dumps({"recipe": card["name"], "checkpoint": card["checkpoint"]}, sort_keys=True)


def _files_before(out: Path) -> set[str]:
    """Our files of an earlier export into `out`; raises UsageError if anybody else's are there."""
    if not out.exists():
        return set()
    if not out.is_dir():
        raise UsageError(f"{out} is a file; choose another folder to export to")
    present = {path.name for path in out.iterdir()}
    torn = {name for name in present if name.startswith(".tmp-")}  # what a kill has left
    if present == torn:
        return torn
    try:
        read_card(out)
    except FileUnusableError as error:
        raise UsageError(f"{out} is not empty and holds no exported generator; choose another folder") from error
    return present & {WEIGHTS, _SCRIPT, _ONNX, _SHEET, _README} | torn
