"""Scores as people read them."""

from __future__ import annotations

from sparring.metrics.frechet import ENOUGH
from sparring.metrics.score import Score

__all__ = ["sentence", "title"]


def sentence(score: Score) -> str:
    """A score as a person reads it: value, interval, and under which protocol.

    >>> told = {"features": "grey28", "real": 1000, "fake": 5000, "dimensions": 64}
    >>> sentence(Score("fid", 12.345, 11.9, 12.8, False, told))
    'FID 12.35 [11.9, 12.8]: 5,000 generated against 1,000 real images, features grey28'
    """
    facts = score.protocol
    numbers = [f"{int(facts[side]):,}" for side in ("fake", "real") if side in facts]
    counts = f"{numbers[0]} generated against {numbers[1]} real images" if len(numbers) == 2 else "generated images"
    counts = f"{int(facts['answers']):,} answers against those wanted" if "answers" in facts else counts
    said = [counts, f"features {facts.get('features', 'unknown')}"]
    said += [str(facts[key]) for key in ("split",) if key in facts]
    enough = ENOUGH * int(facts.get("dimensions", 0))
    if score.name == "fid" and any(int(facts[side]) < enough for side in ("fake", "real")):
        said += ["too few images, whose bias dominates: read KID"]
    if str(facts.get("colour", "")).startswith("luminance"):
        said += ["colours are not seen: in sparring's folder, pip install '.[eval]'"]
    name = f"{facts['class']}: {title(score.name)}" if "class" in facts else title(score.name)
    return f"{name} {score.value:.4g} [{score.low:.4g}, {score.high:.4g}]: {', '.join(said)}"


def title(name: str) -> str:
    """The name of a score as people write it.

    >>> title("fid"), title("inception_score")
    ('FID', 'Inception score')
    """
    return name.upper() if len(name) <= 4 else name.replace("_", " ").capitalize()
