"""How many modes of a known distribution a generator reaches, and how well it fills them.

The definitions of Srivastava et al. 2017 (VEEGAN) and Lin et al. 2018 (PacGAN): a sample is of high quality within
three standard deviations of its nearest mode; a mode is captured if it is nearest to a sample of high quality.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["ModeCount", "count_classes", "count_modes"]


@dataclass(frozen=True)
class ModeCount:
    """What was found of `modes` modes.

    `captured` of them; `near` is the share of samples of high quality, whose ceiling is 1 - exp(-threshold^2 / 2),
    98.89 per cent at 3; `core_ratio` is the root mean square radius of those around their modes over that of a Gaussian
    cut off there: 1 is the right width, less is too narrow; `divergence` is KL(histogram of modes || uniform) in nats,
    over samples of high quality. The last two are NaN where no sample is near a mode.
    """

    modes: int
    captured: int
    near: float
    core_ratio: float
    divergence: float


def count_modes(points: Tensor, centres: Tensor, sigma: float, *, threshold: float = 3.0) -> ModeCount:
    """Points `[n, d]` against equally likely round Gaussians at `centres` `[k, d]` with standard deviation `sigma`.

    >>> centres = torch.tensor([[0.0, 0.0], [5.0, 0.0]])
    >>> found = count_modes(torch.tensor([[0.1, 0.0], [0.0, 0.2], [2.0, 0.0], [9.0, 0.0]]), centres, 0.1)
    >>> found.captured, found.near, round(found.divergence, 4)
    (1, 0.5, 0.6931)
    """
    points, centres = points.double(), centres.double()
    distance, nearest = torch.cdist(points, centres, compute_mode="donot_use_mm_for_euclid_dist").min(1)
    good = distance < threshold * sigma
    counts = torch.bincount(nearest[good], minlength=len(centres))
    radius = float((distance[good] / sigma).square().mean().sqrt()) if good.any() else math.nan
    return ModeCount(
        modes=len(centres),
        captured=int((counts > 0).sum()),
        near=float(good.double().mean()),
        core_ratio=radius / _truncated_radius(points.shape[1], threshold),
        divergence=_from_uniform(counts),
    )


def count_classes(labels: Tensor, classes: int) -> ModeCount:
    """Labels `[n]` that a classifier gave, against `classes` equally likely ones; every sample counts as near."""
    counts = torch.bincount(labels, minlength=classes)
    return ModeCount(classes, int((counts > 0).sum()), 1.0, math.nan, _from_uniform(counts))


def _from_uniform(counts: Tensor) -> float:
    """KL(p || uniform) = log k - H(p) of a histogram."""
    total = counts.sum()
    if total == 0:
        return math.nan
    shares = counts[counts > 0].double() / total
    return max(math.log(len(counts)) + float((shares * shares.log()).sum()), 0.0)


def _truncated_radius(dim: int, threshold: float) -> float:
    """Root mean square radius of a standard Gaussian of two dimensions inside `threshold`; of others by quadrature.

    In the plane r^2 / 2 is exponential: E[r^2 | r < t] = 2 (1 - (1 + t^2 / 2) e^(-t^2 / 2)) / (1 - e^(-t^2 / 2)).
    """
    if dim == 2:
        tail = math.exp(-(threshold**2) / 2)
        return math.sqrt(2 * (1 - (1 + threshold**2 / 2) * tail) / (1 - tail))
    radius = torch.linspace(0, threshold, 100_001, dtype=torch.double)
    density = radius ** (dim - 1) * torch.exp(-radius.square() / 2)
    return float((torch.trapezoid(radius.square() * density) / torch.trapezoid(density)).sqrt())
