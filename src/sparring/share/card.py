"""`card.json`: what an exported generator is, where it comes from, how good it is, and what to beware of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from sparring import __version__
from sparring.engine.checkpoint import Checkpoint
from sparring.engine.rundir import Run
from sparring.engine.sampler import TrainedGenerator
from sparring.engine.translator import TrainedTranslator
from sparring.errors import FileUnusableError
from sparring.recipe import BoundRecipe
from sparring.recipe_file import to_json

__all__ = ["CARD", "FORMAT", "TRANSLATOR", "WEIGHTS", "Trained", "imported_card", "make_card", "read_card"]

CARD, WEIGHTS = "card.json", "generator.safetensors"
FORMAT = 1

_KINDS = _GENERATOR, TRANSLATOR = "sparring generator", "sparring translator"
_FEW_IMAGES = 1000
_NO_LICENCE = "No licence was given: ask the author before you use it, and mind the rights in the images."

Trained: TypeAlias = TrainedGenerator | TrainedTranslator


def make_card(
    run: Run, checkpoint: Checkpoint, trained: Trained, *, licence: str | None, player: str | None = None
) -> dict[str, Any]:
    """The card of one checkpoint's generator, or translator, as JSON values; `player` is the one that is not kept.

    No path, machine or command of its author is in it.
    """
    kept = run.bound.recipe.sampler
    bound = replace(run.bound, recipe=run.bound.recipe.but(sampler=player or kept))
    facts, data = bound.facts, run.card["data"]
    begun = _begun_with(run)
    scores = next((record for record in reversed(run.records()) if "scores" in record), None)
    if bound.recipe.sampler != kept:
        scores = None  # they are those of the kept one
    return {
        **_made(bound, trained),
        "seen": checkpoint.seen,
        "checkpoint": checkpoint.digest,
        "weights": "average" if bound.recipe.sampler in bound.recipe.emas else "last",
        "sparring": run.card.get("sparring"),
        "data": {key: data[key] for key in ("name", "fingerprint", "images", "classes")},
        "trained_on": facts.images,
        "begun_with": begun,
        "scores": None if scores is None else {"seen": scores.get("seen"), "scores": scores["scores"]},
        "licence": _line(licence),
        "warnings": _warnings(bound, checkpoint, scores, licence, begun),
        "recipe": to_json(replace(bound, recipe=bound.recipe.but(given={}))),  # what it was given is in its weights
    }


def imported_card(
    bound: BoundRecipe, trained: TrainedTranslator, *, file: str, digest: str, licence: str | None
) -> dict[str, Any]:
    """The card of somebody else's published weights, from a file with a name and a SHA-256."""
    warnings = ["These weights are published ones; how they were trained is for their authors to say."]
    return {
        **_made(bound, trained),
        "seen": None,
        "checkpoint": digest[:16],
        "weights": "published",
        "sparring": __version__,
        "data": {"name": f"published weights, {file}", "fingerprint": None, "images": None, "classes": []},
        "trained_on": None,
        "begun_with": [],
        "scores": None,
        "licence": _line(licence),
        "warnings": warnings if _line(licence) else [*warnings, _NO_LICENCE],
        "recipe": to_json(bound),
    }


def _begun_with(run: Run) -> list[str]:
    """Checkpoints whose weights it began with: another run's, and those of its parts, such as a prior's codec."""
    given = [part.checkpoint for part in run.bound.recipe.given.values()]
    return [run.card["start"], *given] if "start" in run.card else given


def _made(bound: BoundRecipe, trained: Trained) -> dict[str, Any]:
    """What it is and what it makes."""
    recipe = bound.recipe
    about = {
        "format": FORMAT,
        "kind": _GENERATOR if isinstance(trained, TrainedGenerator) else TRANSLATOR,
        "name": recipe.name,
        "summary": recipe.summary,
        "papers": [str(paper) for paper in recipe.papers],
        "shape": list(bound.facts.shape),
    }
    if isinstance(trained, TrainedGenerator):
        return about | {"classes": trained.classes, "z_dim": trained.z_dim, "z_kind": trained.z_kind}
    network = trained.network
    sizes = {"channels": network.given, "multiple": network.multiple, "scale": network.scale}
    return about | {"classes": 0, "player": recipe.sampler, **sizes}


def _line(licence: str | None) -> str | None:
    return " ".join(licence.split()) if licence and licence.strip() else None


def read_card(folder: Path) -> dict[str, Any]:
    """The card of an exported folder; raises FileUnusableError if it is missing, damaged, foreign or newer."""
    path = folder / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FileUnusableError(f"{folder} is not an exported generator (it has no {CARD}); give its folder") from error
    except (OSError, ValueError, RecursionError) as error:
        raise FileUnusableError(f"{path} cannot be read ({error}); restore it from a copy") from error
    if not isinstance(card, dict) or card.get("kind") not in _KINDS or not isinstance(card.get("format"), int):
        raise FileUnusableError(f"{path} is not the card of a generator; give a folder that sparring exported")
    if card["format"] > FORMAT:
        reads = f"this version reads up to {FORMAT}"
        raise FileUnusableError(f"{path} has format {card['format']}, {reads}; update sparring")
    return card


def _warnings(
    bound: BoundRecipe,
    checkpoint: Checkpoint,
    scores: Mapping[str, Any] | None,
    licence: str | None,
    begun: Sequence[str],
) -> list[str]:
    """What a person who receives the files should know, a sentence each."""
    facts, recipe = bound.facts, bound.recipe
    found = []
    if checkpoint.seen < facts.budget:
        found.append(f"Training stopped at {checkpoint.seen:,} of {facts.budget:,} planned images.")
    if facts.images < _FEW_IMAGES and not facts.points:
        asked = recipe.of_images
        risk = "it may do badly on others" if asked else "samples may repeat them"
        found.append(f"Only {facts.images:,} images were trained on: {risk}.")
    if begun:
        found.append(f"It began with the weights of {', '.join(begun)}, whose data and licence are not in this card.")
    if recipe.sampler not in recipe.emas:
        found.append("The weights are the last ones of training, not an average.")
    if scores is None:
        found.append("Its images were never measured.")
    elif scores.get("seen") != checkpoint.seen:
        found.append(f"The scores were measured at {scores.get('seen')} images seen, not on these weights.")
    if not _line(licence):
        found.append(_NO_LICENCE)
    return found
