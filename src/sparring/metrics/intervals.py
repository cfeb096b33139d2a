"""95 % intervals from what little is known about an estimate: its standard error, a few replicates, or a count."""

from __future__ import annotations

import math

__all__ = ["NORMAL", "student", "wilson"]

NORMAL = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


def student(degrees: int) -> float:
    """The 97.5 % quantile of Student's t, by its expansion in 1/degrees (Abramowitz & Stegun 26.7.5).

    Within 0.5 % of the exact quantile from 4 degrees of freedom on; useless at 1 and 2.

    >>> round(student(9), 3)  # 2.262 in every table
    2.262
    """
    z, v = NORMAL, degrees
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )


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
