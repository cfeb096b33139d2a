"""Permutation tests against scipy's, and their rate of false alarms."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import permutation_test

from sparring.metrics.significance import holm, larger, larger_paired


def mean_gap(first: np.ndarray, second: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.asarray(first.mean(axis) - second.mean(axis))


def test_against_scipy() -> None:
    random = np.random.default_rng(3)
    for _ in range(5):
        first, second = random.normal(0.7, 1, 6), random.normal(0, 1, 5)
        theirs = permutation_test((first, second), mean_gap, alternative="greater", n_resamples=np.inf, vectorized=True)
        assert larger(list(first), list(second)) == pytest.approx(theirs.pvalue)
        paired = permutation_test(
            (first[:5], second), mean_gap, permutation_type="samples", alternative="greater", n_resamples=np.inf
        )
        assert larger_paired(list(first[:5]), list(second)) == pytest.approx(paired.pvalue)


def test_false_alarms_are_as_rare_as_they_say() -> None:
    """Under no difference at most 5 % of tests find one: 400 of each kind, within three standard errors."""
    random = np.random.default_rng(0)
    for test in (larger, larger_paired):
        p = [test(list(random.normal(size=6)), list(random.normal(size=6))) for _ in range(400)]
        assert np.mean(np.array(p) <= 0.05) < 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


def test_many_numbers_are_drawn_not_enumerated() -> None:
    random = np.random.default_rng(1)
    first, second = list(random.normal(1.5, 1, 30)), list(random.normal(0, 1, 30))
    assert larger(first, second) < 1e-4
    assert larger(second, first) > 0.99
    assert larger_paired(first, second) < 1e-4


def test_equal_numbers_are_no_evidence() -> None:
    assert larger([1.0, 1.0, 1.0], [1.0, 1.0, 1.0]) == 1.0
    assert larger_paired([1.0, 1.0], [1.0, 1.0]) == 1.0


def test_holm_by_hand() -> None:
    """Four tests: 4 x 0.005, 3 x 0.011, 2 x 0.02, 0.04, never falling; at most 1."""
    assert holm([0.02, 0.005, 0.04, 0.011]) == pytest.approx([0.04, 0.02, 0.04, 0.033])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize("test", [larger, larger_paired])
def test_a_missing_number_is_no_evidence(test: Callable[[list[float], list[float]], float]) -> None:
    whole, part = [5.0, 6.0, 7.0, 8.0, 9.0, 9.5], [1.0, 2.0, float("nan"), 1.0, 2.0, 1.0]
    assert test(whole, part) == test(part, whole) == 1.0


def test_an_infinite_number_is_larger_than_any() -> None:
    """By hand: it lies in the first of two halves, and has a positive sign, in one way of two."""
    assert larger([math.inf, 1.0, 2.0], [0.0, 1.0, 2.0]) == 0.5
    assert larger_paired([math.inf, 1.0, 2.0], [0.0, 0.0, 0.0]) == 0.5
    assert larger([0.0, 1.0, 2.0], [math.inf, 1.0, 2.0]) == 0.95  # all but 0, 1 and 1 are as large


def test_a_drawn_p_is_never_zero() -> None:
    """The data themselves are one of the arrangements (Phipson & Smyth 2010)."""
    assert larger_paired([1.0] * 30, [0.0] * 30) == pytest.approx(1 / 100_001)
