"""Precision and recall against torch-fidelity and against sets whose overlap is known."""

from __future__ import annotations

import pytest
import torch
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

from sparring.errors import DataError, UsageError
from sparring.features import Features
from sparring.metrics.precision_recall import manifold_overlap


def draw(n: int, d: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


@pytest.mark.parametrize("save_cpu_ram", [False, True])
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_equals_torch_fidelity(scale: float, save_cpu_ram: bool) -> None:
    x, y = draw(1300, 16, 1), draw(500, 16, 2, scale)
    theirs = prc_features_to_metric(y, x, prc_neighborhood=3, save_cpu_ram=save_cpu_ram, verbose=False)
    precision, recall = manifold_overlap(Features(x), Features(y))
    assert precision.value == pytest.approx(theirs[KEY_METRIC_PRECISION], abs=1e-6)
    assert recall.value == pytest.approx(theirs[KEY_METRIC_RECALL], abs=1e-6)
    assert precision.name == "precision"
    assert recall.name == "recall"


def test_a_generator_that_copies_half_of_the_data() -> None:
    # two far clusters of 50; the fakes are the first
    first, second = draw(50, 4, 3), draw(50, 4, 4) + 1e3
    precision, recall = manifold_overlap(Features(torch.cat([first, second])), Features(first.clone()))
    assert (precision.value, recall.value) == (1.0, 0.5)
    # Wilson's interval for 50 of 100, by hand; the fakes' own draw widens it
    assert 0.3 < recall.low < 0.4038
    assert 0.5962 < recall.high < 0.7


def test_an_interval_of_judged_images_alone() -> None:
    # every image lies in many balls, so that no single one matters and Wilson's interval is left
    x = draw(100, 1, 3).repeat(3, 1)
    precision, _ = manifold_overlap(Features(x), Features(torch.cat([x[:50], x[:50] + 1e3])))
    assert precision.value == 0.5
    assert (round(precision.low, 4), round(precision.high, 4)) == (0.4038, 0.5962)


@pytest.mark.parametrize("which", [0, 1])
def test_the_interval_covers_the_expected_share(which: int) -> None:
    pairs = ((Features(draw(200, 8, 2 * i)), Features(draw(150, 8, 2 * i + 1, 1.2))) for i in range(150))
    scores = [manifold_overlap(real, fake)[which] for real, fake in pairs]
    expected = sum(score.value for score in scores) / len(scores)
    assert sum(score.low <= expected <= score.high for score in scores) >= 0.93 * len(scores)


def test_a_set_without_neighbours() -> None:
    with pytest.raises(DataError, match="at least 4"):
        manifold_overlap(Features(draw(10, 2, 1)), Features(draw(3, 2, 2)))


@pytest.mark.parametrize("neighbours", [0, -1])
def test_no_neighbours_at_all(neighbours: int) -> None:
    features = Features(torch.randn(9, 4))
    with pytest.raises(UsageError, match=f"{neighbours} neighbours reach nowhere"):
        manifold_overlap(features, features, neighbours=neighbours)
