"""Precision and recall: are the fakes among the reals, and the reals among the fakes (Kynkäänniemi et al. 2019)?

A set's manifold is the union of balls around its features, each reaching to its k-th neighbour (section 2, equation 1).
Both depend strongly on the numbers of images: compare only scores with the same numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sparring.features.network import Features
from sparring.metrics.inputs import pair
from sparring.metrics.intervals import wilson
from sparring.metrics.score import Fact, Metric, Score

__all__ = ["manifold_overlap", "precision_recall"]


def manifold_overlap(real: Features, fake: Features, *, neighbours: int = 3) -> tuple[Score, Score]:
    """Precision, the share of fakes in the reals' manifold, then recall, the share of reals in the fakes'; 1 is best.

    The interval is Wilson's for that share, with the set that spans the manifold held fixed.
    Raises DataError where a set has no k-th neighbour.
    """
    x, y = pair(real.values, fake.values, least=neighbours + 1)
    protocol: dict[str, Fact] = {
        "real": len(x),
        "fake": len(y),
        "neighbours": neighbours,
        "interval": "95 %, Wilson over the judged images, the others held fixed",
    }
    return (
        _share("precision", y, x, neighbours, protocol),
        _share("recall", x, y, neighbours, protocol),
    )


def _share(name: str, judged: Tensor, manifold: Tensor, neighbours: int, protocol: dict[str, Fact]) -> Score:
    reach = _radii(manifold, neighbours)
    inside = torch.cat([(_distances(part, manifold) <= reach).any(1) for part in torch.split(judged, 1000)])
    hits = int(inside.sum())
    low, high = wilson(hits, len(judged))
    return Score(name, hits / len(judged), low, high, higher_is_better=True, protocol=protocol)


def _radii(x: Tensor, neighbours: int) -> Tensor:
    """The distance of each feature to its k-th neighbour, [n]; itself, at zero, does not count."""
    return torch.cat([_distances(part, x).kthvalue(neighbours + 1, dim=1).values for part in torch.split(x, 1000)])


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances [n, m]; float64 leaves the expansion into inner products enough digits."""
    return torch.cdist(x, y)


precision_recall = Metric("precision_recall", measure=manifold_overlap)
