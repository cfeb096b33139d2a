"""Points in the plane with known densities, the classical small tests of a game.

ring8 and grid25 as in Srivastava et al. 2017 (VEEGAN) and Lin et al. 2018 (PacGAN); swissroll as in the toy experiments
of Gulrajani et al. 2017; moons as in scikit-learn, centred.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparring.data.dataset import Dataset
from sparring.data.report import IntakeReport

__all__ = ["MIXTURES", "POINT_SETS", "Mixture", "open_points"]

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Mixture:
    """Equally likely round Gaussians: centres `[modes, 2]` and the standard deviation they share."""

    centres: Points
    sigma: float

    def draw(self, random: np.random.RandomState, count: int) -> Points:
        """`[count, 2]` independent points."""
        modes = random.randint(len(self.centres), size=count)
        return self.centres[modes] + self.sigma * random.standard_normal((count, 2))


def open_points(name: str, *, count: int, seed: int) -> Dataset:
    """`count` points `[count, 2, 1, 1]` of the named set, the same for the same seed. `name` is one of `POINT_SETS`.

    >>> open_points("moons", count=4, seed=0).shape
    (2, 1, 1)
    """
    # RandomState, because NumPy promises never to change its stream; a Generator's may change with a version.
    drawn = POINT_SETS[name](np.random.RandomState(seed), count)
    report = IntakeReport(used=count, size=(1, 1), rule=f"Points of the plane, drawn with seed {seed}.")
    return Dataset(drawn.astype(np.float32).reshape(count, 2, 1, 1), name=name, report=report)


def _ring(modes: int) -> Points:
    angle = 2 * math.pi * np.arange(modes) / modes
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _grid(side: int, reach: float) -> Points:
    line = np.linspace(-reach, reach, side)
    return np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)


def _swissroll(random: np.random.RandomState, count: int) -> Points:
    angle = 1.5 * math.pi * (1 + 2 * random.random_sample(count))
    roll = np.stack([angle * np.cos(angle), angle * np.sin(angle)], axis=1)
    return (roll + 0.25 * random.standard_normal((count, 2))) / 7.5


def _moons(random: np.random.RandomState, count: int) -> Points:
    angle = math.pi * random.random_sample(count)
    upper = np.stack([np.cos(angle) - 0.5, np.sin(angle) - 0.25], axis=1)
    side = np.where(random.randint(2, size=count) == 0, 1.0, -1.0)[:, None]
    return side * upper + 0.05 * random.standard_normal((count, 2))


MIXTURES: dict[str, Mixture] = {
    "ring8": Mixture(_ring(8), 0.01),
    "grid25": Mixture(_grid(5, 4.0), 0.05),
    "grid100": Mixture(_grid(10, 4.5), 0.05),
}
POINT_SETS: dict[str, Callable[[np.random.RandomState, int], Points]] = {
    **{name: mixture.draw for name, mixture in MIXTURES.items()},
    "swissroll": _swissroll,
    "moons": _moons,
}
