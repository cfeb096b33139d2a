"""One recipe, one seed, one protocol: play it, draw samples, count the modes."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparring.data import open_data
from sparring.data.loader import Loader
from sparring.data.points import MIXTURES, open_points
from sparring.engine.devices import Devices
from sparring.engine.endowment import endow
from sparring.engine.rounds import batch_at
from sparring.engine.sampler import TrainedGenerator
from sparring.engine.state import State
from sparring.metrics.modes import ModeCount, count_classes, count_modes
from sparring.modes.digits import StackedDigits, modes_of
from sparring.modes.protocols import Protocol, rebased, rounds_of
from sparring.recipe import BoundRecipe, Recipe
from sparring.trials import play

__all__ = ["Trial", "control", "play_trial", "stacked"]


@dataclass(frozen=True)
class Trial:
    """What one seed of one recipe came to.

    `diverged` where its numbers stopped being finite; the modes are those of the last finite weights then. `digits`
    tell those that stacked images were made of, where any were.
    """

    data: str
    protocol: str
    recipe: str
    seed: int
    rounds: int
    count: ModeCount
    seconds: float
    diverged: bool = False
    digits: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values; numbers that do not exist are null."""
        plain = dataclasses.asdict(self)
        plain["count"] = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in plain["count"].items()}
        return plain

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Trial:
        """The trial that `to_json` gave."""
        counts: dict[str, Any] = {k: math.nan if v is None else v for k, v in plain["count"].items()}
        return cls(**{**plain, "count": ModeCount(**counts)})


def play_trial(
    data: str,
    protocol: Protocol,
    word: str,
    seed: int,
    devices: Devices,
    *,
    digits: str | Path | None = None,
    keep: Path | None = None,
) -> tuple[Trial, Tensor]:
    """Train and count; also the samples: points `[n, 2]`, or images `[n, 3, h, w]` uint8.

    `digits` is the source of MNIST for stacked-mnist. Every trial of a data set sees the same points, in an order of
    its seed. An interrupted trial goes on from what is in the folder `keep`; a signal saves there, and raises
    Interrupted.
    """
    begun = time.perf_counter()
    source = stacked(digits, seed) if data == "stacked-mnist" else open_points(data, count=protocol.points, seed=0)
    recipe = rebased(word, protocol)
    length = rounds_of(recipe, protocol)
    bound = _lasting(recipe, source.shape, len(source), length)
    loader = Loader(source, torch.arange(len(source)), seed=seed)
    state = State(bound, seed=seed, device=devices.device)
    endow(state, bound.recipe)
    about = f"{data} {source.about}" if isinstance(source, StackedDigits) else data
    finite = play(bound, loader, state, devices, until=_images(bound.recipe, length), about=about, keep=keep)
    samples = TrainedGenerator(state.players[bound.recipe.sampler].network).sample(protocol.samples)
    count = count_modes_in(samples.flatten(1) if data in MIXTURES else samples, data)
    taken = round(time.perf_counter() - begun, 1)
    made_of = source.about if isinstance(source, StackedDigits) else None
    return Trial(data, protocol.name, word, seed, state.round, count, taken, not finite, made_of), samples.squeeze()


def _lasting(recipe: Recipe, shape: tuple[int, int, int], images: int, length: int) -> BoundRecipe:
    """A recipe bound to the budget that `length` rounds use up, where the batch may be a schedule over that budget."""
    bound = recipe.bind(shape, 0, images, length)
    for _ in range(40):
        seen = _images(bound.recipe, length)
        if abs(seen - bound.facts.budget) <= 1:
            break
        bound = recipe.bind(shape, 0, images, (seen + bound.facts.budget + 1) // 2)
    return bound


def _images(recipe: Recipe, length: int) -> int:
    """The images that are seen in so many rounds."""
    seen = 0
    for _ in range(length):
        seen += batch_at(recipe, seen)
    return seen


def control(data: str, protocol: Protocol, *, digits: str | Path | None = None) -> ModeCount:
    """The same count on as many real samples: what a perfect generator would get."""
    if data == "stacked-mnist":
        return count_modes_in(stacked(digits).images(torch.arange(protocol.samples)), data)
    points = open_points(data, count=protocol.samples, seed=1)
    return count_modes_in(points.images(torch.arange(protocol.samples)).flatten(1), data)


def count_modes_in(samples: Tensor, data: str) -> ModeCount:
    """The modes of a data set in samples of it."""
    if data == "stacked-mnist":
        return count_classes(modes_of(samples), 1000)
    mixture = MIXTURES[data]
    return count_modes(samples, torch.as_tensor(mixture.centres), mixture.sigma)


def stacked(source: str | Path | None, seed: int = 0) -> StackedDigits:
    """Triples of the digits of a source, by default of MNIST."""
    return StackedDigits(open_data(source or "mnist"), seed=seed)
