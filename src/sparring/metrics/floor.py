"""The score of real images against real images: what a perfect generator would get at these numbers of images."""

from __future__ import annotations

import torch

from sparring.errors import DataError
from sparring.features.network import Features
from sparring.metrics.score import Metric, Score

__all__ = ["real_against_real"]


def real_against_real(metric: Metric, real: Features, *, fakes: int, seed: int = 0) -> tuple[Score, ...]:
    """Let `fakes` of the real images play the fakes, and measure them against the rest.

    The protocol names the number of the rest, which is smaller than `real`: where there are real images to spare, call
    `metric.measure(real, held_out[:fakes])` instead. Raises DataError where fewer than half of the images would be
    left as the reference.
    """
    if not 0 < fakes <= len(real) // 2:
        raise DataError(f"{fakes} of {len(real)} real images cannot play the fakes; use at most {len(real) // 2}")
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(seed))
    scores = metric.measure(real[order[fakes:]], real[order[:fakes]])
    return tuple(score.beside(fakes="real images", seed=seed) for score in scores)
