"""What the samples look like: one picture a recipe, and a sheet of all of them with their names."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw
from torch import Tensor

from sparring.data.points import MIXTURES
from sparring.engine.checkpoint import write_durably
from sparring.modes.trial import Trial
from sparring.pictures import grid, png, scatter
from sparring.trials import slug

__all__ = ["draw_samples", "sheet"]

_SIDE = 200
_LINE, _LETTERS = 12, 32
"""Height of a line of a caption in pixels, and how many letters fit over a picture."""


def draw_samples(folder: Path, trial: Trial, samples: Tensor) -> Path:
    """The samples of a trial: points in the window of the data, or the first 36 images."""
    path = _place(folder, trial.data, trial.protocol, trial.recipe)
    if trial.data in MIXTURES:
        reach = 1.25 * float(abs(MIXTURES[trial.data].centres).max())
        picture = scatter(samples.view(-1, 2, 1, 1), side=_SIDE, reach=reach)
    else:
        picture = grid(samples[:36], columns=6).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    write_durably(path, png(picture, {"recipe": trial.recipe, "seed": str(trial.seed)}))
    return path


def sheet(folder: Path, data: str, protocol: str, recipes: Sequence[str], *, columns: int = 5) -> Image.Image:
    """The pictures of some recipes on a set under a protocol, named."""
    found = [(word, _place(folder, data, protocol, word)) for word in recipes]
    found = [(word, path) for word, path in found if path.exists()]
    captions = [textwrap.fill(word.replace("+", " +"), _LETTERS).replace(" +", "+") for word, _ in found]
    above = 4 + _LINE * max((caption.count("\n") + 1 for caption in captions), default=0)
    columns = max(min(columns, len(found)), 1)
    rows = -(-len(found) // columns)
    paper = Image.new("RGB", (columns * _SIDE, max(rows, 1) * (_SIDE + above)), (255, 255, 255))
    pen = ImageDraw.Draw(paper)
    for place, (caption, (_, path)) in enumerate(zip(captions, found, strict=True)):
        row, column = divmod(place, columns)
        corner = (column * _SIDE, row * (_SIDE + above))
        pen.multiline_text((corner[0] + 4, corner[1] + 2), caption, fill=(0, 0, 0), spacing=1)
        with Image.open(path) as picture:
            paper.paste(picture.convert("RGB"), (corner[0], corner[1] + above))
    return paper


def _place(folder: Path, data: str, protocol: str, recipe: str) -> Path:
    """Where a picture is: a folder may hold trials on several sets and under several protocols."""
    return folder / f"{data}-{protocol}-{slug(recipe)}.png"
