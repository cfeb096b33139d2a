"""The Inception Score against torch-fidelity and against its two extremes."""

from __future__ import annotations

import pytest
import torch
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric

from sparring.errors import DataError, UsageError
from sparring.features import Features
from sparring.metrics.inception_score import score_of_classes

NOTHING = Features(torch.zeros(1, 1))


def of(logits: torch.Tensor) -> Features:
    return Features(torch.zeros(len(logits), 1), logits)


@pytest.mark.parametrize("n", [200, 1003])
def test_equals_torch_fidelity(n: int) -> None:
    logits = torch.randn(n, 20, generator=torch.Generator().manual_seed(0)) * 3
    theirs = isc_features_to_metric(logits, splits=10, shuffle=True, rng_seed=5)
    (ours,) = score_of_classes(NOTHING, of(logits), splits=10, split_seed=5)
    assert ours.value == pytest.approx(theirs[KEY_METRIC_ISC_MEAN], rel=1e-6)
    # 2.262 is Student's t with 9 degrees of freedom, from a table; their deviation divides by 10, not by 9
    assert ours.high - ours.value == pytest.approx(2.262 * theirs[KEY_METRIC_ISC_STD] / 9**0.5, rel=1e-3)


def test_certain_and_even_over_classes_scores_the_number_of_classes() -> None:
    logits = 1e3 * torch.nn.functional.one_hot(torch.arange(2000) % 4).double()
    (score,) = score_of_classes(NOTHING, of(logits), splits=5)
    assert score.value == pytest.approx(4, rel=1e-2)
    assert score.high <= 4


def test_a_class_that_no_image_can_be_scores_nothing() -> None:
    """The probability of the third class is 0 in float64; the two others are certain and even."""
    logits = torch.tensor([[0.0, -2000.0, -4000.0], [-2000.0, 0.0, -4000.0]]).repeat(50, 1)
    (score,) = score_of_classes(Features(torch.zeros(2, 1)), Features(torch.zeros(100, 1), logits), splits=5)
    assert 1.5 < score.value <= 2


def test_undecided_scores_one() -> None:
    (score,) = score_of_classes(NOTHING, of(torch.ones(100, 4)))
    assert score.value == pytest.approx(1, abs=1e-12)


def test_what_cannot_be_measured() -> None:
    with pytest.raises(UsageError, match="has not; choose fid or kid"):
        score_of_classes(NOTHING, Features(torch.zeros(100, 4)))
    with pytest.raises(DataError, match="give at least 20"):
        score_of_classes(NOTHING, of(torch.zeros(19, 4)))
    with pytest.raises(UsageError, match="4 splits are too few"):
        score_of_classes(NOTHING, of(torch.zeros(19, 4)), splits=4)
