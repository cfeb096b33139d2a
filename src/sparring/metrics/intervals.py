"""95 % intervals from what little is known about an estimate: its standard error, a few replicates, or a count."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["NORMAL", "mean_interval", "student", "wilson"]

NORMAL = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


def student(degrees: int) -> float:
    """The 97.5 % quantile of Student's t: exact up to 3 degrees of freedom, then its expansion in 1/degrees.

    The expansion (Abramowitz & Stegun 26.7.5) is within 0.5 % of the exact quantile from 4 degrees on.

    >>> round(student(1), 3), round(student(9), 3)  # 12.706 and 2.262 in every table
    (12.706, 2.262)
    """
    if degrees <= 3:
        return {1: 12.706204736, 2: 4.302652730, 3: 3.182446305}[degrees]
    z, v = NORMAL, degrees
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean of two values or more, and both ends of Student's interval around it.

    >>> mean, low, high = mean_interval([1.0, 2.0, 3.0])
    >>> round(mean, 3), round(low, 3), round(high, 3)  # 2 -+ 4.303 / sqrt(3)
    (2.0, -0.484, 4.484)
    """
    mean = float(np.mean(values))
    reach = student(len(values) - 1) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return mean, mean - reach, mean + reach


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Wilson's (1927) score interval for a share of `hits` in `trials`; it stays in [0, 1], also at 0 and 1.

    >>> low, high = wilson(10, 10)
    >>> round(low, 3), round(high, 3)
    (0.722, 1.0)
    """
    share, squared = hits / trials, NORMAL**2 / trials
    middle = (share + squared / 2) / (1 + squared)
    reach = NORMAL * math.sqrt(share * (1 - share) / trials + squared / trials / 4) / (1 + squared)
    return max(0.0, middle - reach), min(1.0, middle + reach)
