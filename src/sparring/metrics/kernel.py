"""KID: the squared maximum mean discrepancy of features under a cubic kernel (Binkowski et al. 2018, section 4).

Unbiased at any number of images, so it leads where there are few; it may come out slightly below zero.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from sparring.errors import UsageError
from sparring.features.network import Features
from sparring.metrics.inputs import pair
from sparring.metrics.intervals import NORMAL
from sparring.metrics.score import Fact, Metric, Score

__all__ = ["cubic_kernel", "kernel_distance", "kid"]

_JUDGED = 5_000
"""Images of either set that are left out, one by one, for an interval."""


def kernel_distance(
    real: Features, fake: Features, *, subsets: int = 100, subset_size: int = 1000, subset_seed: int = 2020
) -> tuple[Score]:
    """KID of fake to real features: the mean of unbiased estimates over random subsets; 0 is best.

    The subsets are those of torch-fidelity with the same seed (its default is 2020, and `real` is its second input).
    A subset is never larger than the smaller set; the size used is in the protocol.

    The spread over subsets says nothing about other images (with 1,000 images and subsets of 1,000 there is only one
    subset), so the interval is the jackknife over single images of the estimate from all pairs, plus the error of
    averaging finitely many subsets. It errs on the wide side (Efron & Stein 1981).
    Raises UsageError for no subsets, or subsets of one image, which has no pair.
    """
    if subsets < 1 or subset_size < 2:
        raise UsageError(f"{subsets} subsets of {subset_size} images have no KID; take 1 or more, of 2 or more images")
    x, y = pair(real.values, fake.values, least=3)
    size = min(subset_size, len(x), len(y))
    random = np.random.RandomState(subset_seed)
    estimates = torch.empty(subsets, dtype=torch.float64)
    for i in range(subsets):
        ys = y[torch.from_numpy(random.choice(len(y), size, replace=False))]
        xs = x[torch.from_numpy(random.choice(len(x), size, replace=False))]
        estimates[i] = _discrepancy(_off_diagonal_sums(xs), _off_diagonal_sums(ys), _sums(xs, ys))
    value = float(estimates.mean())
    error = math.sqrt(_jackknife_variance(x, y) + float(estimates.var(correction=0)) / subsets)
    most = f", {_JUDGED:,} at most of each," if max(len(x), len(y)) > _JUDGED else ""
    protocol: dict[str, Fact] = {
        "real": len(x),
        "fake": len(y),
        "kernel": "(x.y / d + 1)^3",
        "subsets": subsets,
        "subset_size": size,
        "subset_seed": subset_seed,
        "interval": f"95 %, jackknife over images of both sets{most}, and the error of the mean over subsets",
    }
    reach = NORMAL * error
    return (Score("kid", value, value - reach, value + reach, higher_is_better=False, protocol=protocol),)


def _discrepancy(within_x: Tensor, within_y: Tensor, between: Tensor) -> Tensor:
    """The unbiased estimate (Gretton et al. 2012, equation 3) from row sums of the kernel: [m], [n] and [m]."""
    m, n = len(within_x), len(within_y)
    return within_x.sum() / (m * (m - 1)) + within_y.sum() / (n * (n - 1)) - 2 * between.sum() / (m * n)


def _jackknife_variance(x: Tensor, y: Tensor) -> float:
    """The jackknife's variance of the estimate from all pairs: what leaving out each image of x and of y does to it.

    Of large sets 5,000 images each, from all over it, are left out: all of them would take (n + m)^2 steps.
    """
    return _spread(x, y) + _spread(y, x)


def _spread(x: Tensor, others: Tensor) -> float:
    """Jackknife variance over one set; what is the same whichever image is left out makes no difference."""
    n = len(x)
    few = x[:: -(-n // _JUDGED)]
    within = _sums(few, x) - _own(few)
    left = 2 * _sums(few, others) / ((n - 1) * len(others)) - 2 * within / ((n - 1) * (n - 2))
    return float((n - 1) * (left - left.mean()).square().mean())


def _off_diagonal_sums(x: Tensor) -> Tensor:
    """Sum over j != i of k(x_i, x_j), for each i: [n]."""
    return _sums(x, x) - _own(x)


def _own(x: Tensor) -> Tensor:
    """k(x_i, x_i), for each i: [n]."""
    return (x.square().sum(1) / x.shape[1] + 1) ** 3


def _sums(x: Tensor, y: Tensor) -> Tensor:
    """Sum over j of k(x_i, y_j), for each i: [n]; the kernel matrix is never held whole."""
    return torch.cat([cubic_kernel(part, y).sum(1) for part in torch.split(x, 1000)])


def cubic_kernel(x: Tensor, y: Tensor) -> Tensor:
    """(x.y / d + 1)^3, [n, m] (Binkowski et al. 2018, equation 4)."""
    inner = torch.addmm(torch.ones((), dtype=x.dtype), x, y.T, alpha=1 / x.shape[1])
    return inner.square() * inner


kid = Metric("kid", measure=kernel_distance)
