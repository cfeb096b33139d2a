"""Rates and turns that follow the length of a run."""

from __future__ import annotations

from functools import partial

from sparring.errors import UsageError
from sparring.recipe import Facts, fitted
from sparring.schedule import Cosine, Linear

__all__: list[str] = []


def kept_then_falling(facts: Facts, *, rate: float) -> Linear:
    """A rate that stays for half of the run and falls to zero over the other half (Isola et al.; Zhu et al. 2017).

    >>> path = kept_then_falling(Facts((3, 64, 64), 0, 700, budget=400), rate=0.5)
    >>> [path(seen) for seen in (0, 200, 300, 400)]
    [0.5, 0.5, 0.25, 0.0]
    """
    return Linear(rate, 0.0, over=facts.budget / 2, begin=facts.budget / 2)


def warm_then_falling(facts: Facts, *, rate: float) -> Cosine:
    """Half a cosine down to a tenth, after a warm-up over a thousand images.

    >>> path = warm_then_falling(Facts((3, 64, 64), 0, 700, budget=20_000), rate=0.5)
    >>> [round(path(seen), 3) for seen in (0, 499, 999, 10_000, 20_000)]
    [0.001, 0.25, 0.497, 0.275, 0.05]
    """
    return Cosine(rate, rate / 10, over=facts.budget, warmup=1000)


def moment(share: float) -> float:
    """So many images into a run, as a share of its budget; raises UsageError for a share that cannot be."""
    if not 0 <= share < 1:
        raise UsageError(f"a phase of {share} of the run cannot be; give a share from 0 to below 1")
    return fitted(partial(_moment, share=share))


def _moment(facts: Facts, *, share: float) -> float:
    return share * facts.budget
