"""`card.json`: what an exported generator is, where it comes from, how good it is, and what to beware of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparring.engine.checkpoint import Checkpoint
from sparring.engine.rundir import Run
from sparring.engine.sampler import TrainedGenerator
from sparring.errors import FileUnusableError
from sparring.recipe_file import to_json

__all__ = ["CARD", "FORMAT", "make_card", "read_card"]

CARD = "card.json"
FORMAT = 1

_KIND = "sparring generator"
_FEW_IMAGES = 1000


def make_card(run: Run, checkpoint: Checkpoint, generator: TrainedGenerator, *, licence: str | None) -> dict[str, Any]:
    """The card of one checkpoint's generator as JSON values; no path, machine or command of its author is in it."""
    bound = run.bound
    facts, data = bound.facts, run.card.get("data", {})
    scores = next((record for record in reversed(run.records()) if "scores" in record), None)
    return {
        "format": FORMAT,
        "kind": _KIND,
        "name": bound.recipe.name,
        "summary": bound.recipe.summary,
        "papers": [str(paper) for paper in bound.recipe.papers],
        "shape": list(facts.shape),
        "classes": generator.classes,
        "z_dim": generator.z_dim,
        "z_kind": generator.z_kind,
        "seen": checkpoint.seen,
        "checkpoint": checkpoint.digest,
        "weights": "average" if bound.recipe.sampler in bound.recipe.emas else "last",
        "sparring": run.card.get("sparring"),
        "data": {key: data.get(key) for key in ("name", "fingerprint", "images", "classes")},
        "trained_on": facts.images,
        "scores": None if scores is None else {"seen": scores.get("seen"), "scores": scores["scores"]},
        "licence": " ".join(licence.split()) if licence and licence.strip() else None,
        "warnings": _warnings(run, checkpoint, scores, licence),
        "recipe": to_json(bound),
    }


def read_card(folder: Path) -> dict[str, Any]:
    """The card of an exported folder; raises FileUnusableError if it is missing, damaged, foreign or newer."""
    path = folder / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FileUnusableError(f"{folder} is not an exported generator (it has no {CARD}); give its folder") from error
    except (OSError, ValueError, RecursionError) as error:
        raise FileUnusableError(f"{path} cannot be read ({error}); restore it from a copy") from error
    if not isinstance(card, dict) or card.get("kind") != _KIND or not isinstance(card.get("format"), int):
        raise FileUnusableError(f"{path} is not the card of a generator; give a folder that sparring exported")
    if card["format"] > FORMAT:
        reads = f"this version reads up to {FORMAT}"
        raise FileUnusableError(f"{path} has format {card['format']}, {reads}; update sparring")
    return card


def _warnings(run: Run, checkpoint: Checkpoint, scores: Mapping[str, Any] | None, licence: str | None) -> list[str]:
    """What a person who receives the files should know, a sentence each."""
    facts, recipe = run.bound.facts, run.bound.recipe
    found = []
    if checkpoint.seen < facts.budget:
        found.append(f"Training stopped at {checkpoint.seen:,} of {facts.budget:,} planned images.")
    if facts.images < _FEW_IMAGES and not facts.points:
        found.append(f"Only {facts.images:,} images were trained on: samples may repeat them.")
    if recipe.sampler not in recipe.emas:
        found.append("The weights are the last ones of training, not an average.")
    if scores is None:
        found.append("Its images were never measured.")
    elif scores.get("seen") != checkpoint.seen:
        found.append(f"The scores were measured at {scores.get('seen')} images seen, not on these weights.")
    if not licence or not licence.strip():
        found.append("No licence was given: ask the author before you use it, and mind the rights in the images.")
    return found
