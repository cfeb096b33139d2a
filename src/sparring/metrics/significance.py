"""Whether two sets of numbers differ: permutation tests, paired or not, and Holm's correction for many of them.

Nothing is assumed of the distributions; few numbers give few permutations, and no p can be smaller than one in them.
Where a number is missing (NaN), p is 1: there is no evidence of anything.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["holm", "larger", "larger_paired"]

_EXACT = 200_000
_DRAWS = 100_000


def larger(first: Sequence[float], second: Sequence[float]) -> float:
    """p of the one-sided test that the mean of `first` exceeds that of `second`, labels exchanged in every way.

    Exact where there are at most 200,000 ways, else 100,000 of them drawn with a fixed seed.

    >>> larger([3.0, 4.0, 5.0], [0.0, 1.0, 2.0])  # one way of 20 is as extreme
    0.05
    """
    pooled, n = np.asarray([*first, *second], dtype=np.float64), len(first)
    if math.comb(len(pooled), n) <= _EXACT:
        ways = np.array(list(itertools.combinations(range(len(pooled)), n)), dtype=np.intp)
        return _share(pooled[ways].sum(1), float(pooled[:n].sum()), exact=True)
    random = np.random.default_rng(0)
    sums = np.array([random.permutation(pooled)[:n].sum() for _ in range(_DRAWS)])
    return _share(sums, float(pooled[:n].sum()), exact=False)


def larger_paired(first: Sequence[float], second: Sequence[float]) -> float:
    """p of the one-sided test that `first` exceeds `second` pair by pair, signs of the differences exchanged.

    >>> larger_paired([3.0, 4.0, 5.0, 6.0], [2.0, 2.0, 2.0, 2.0])  # one way of 16 is as extreme
    0.0625
    """
    gaps = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    if 2 ** len(gaps) <= _EXACT:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(gaps))))
        return _share(signs @ gaps, float(gaps.sum()), exact=True)
    signs = np.random.default_rng(0).choice((1.0, -1.0), size=(_DRAWS, len(gaps)))
    return _share(signs @ gaps, float(gaps.sum()), exact=False)


def holm(p: Sequence[float]) -> list[float]:
    """p values corrected for being many (Holm 1979), in the order given.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p)), key=lambda place: p[place])
    corrected, least = [0.0] * len(p), 0.0
    for rank, place in enumerate(order):
        least = max(least, min((len(p) - rank) * p[place], 1.0))
        corrected[place] = least
    return corrected


def _share(sums: NDArray[np.float64], found: float, *, exact: bool) -> float:
    """How many sums are at least as large as the one found; the one found counts among drawn ones."""
    if np.isnan(sums).any():
        return 1.0
    rounding = 1e-9 * max(abs(found), 1.0) if math.isfinite(found) else 0.0
    as_large = int((sums >= found - rounding).sum())
    return as_large / len(sums) if exact else (as_large + 1) / (len(sums) + 1)
