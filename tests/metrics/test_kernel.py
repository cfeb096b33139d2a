"""KID against torch-fidelity and against the definition; its interval."""

from __future__ import annotations

import pytest
import torch
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

from sparring.errors import DataError, UsageError
from sparring.features import Features
from sparring.metrics import kernel
from sparring.metrics.kernel import kernel_distance


def draw(n: int, d: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    return (torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale).relu()


@pytest.mark.parametrize(("n", "m", "size"), [(300, 200, 100), (150, 150, 150)])
def test_equals_torch_fidelity_on_the_same_subsets(n: int, m: int, size: int) -> None:
    x, y = draw(n, 32, 1), draw(m, 32, 2, scale=1.2)
    theirs = kid_features_to_metric(y, x, kid_subsets=20, kid_subset_size=size, rng_seed=7, verbose=False)
    (ours,) = kernel_distance(Features(x), Features(y), subsets=20, subset_size=size, subset_seed=7)
    assert ours.value == pytest.approx(theirs[KEY_METRIC_KID_MEAN], rel=1e-6)


def test_equals_the_definition_over_all_pairs() -> None:
    x, y = draw(6, 3, 3), draw(5, 3, 4)

    def k(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a @ b / 3 + 1) ** 3)

    within_x = sum(k(x[i], x[j]) for i in range(5) for j in range(5) if i != j) / 20
    within_y = sum(k(y[i], y[j]) for i in range(5) for j in range(5) if i != j) / 20
    between = sum(k(x[i], y[j]) for i in range(5) for j in range(5)) / 25
    (score,) = kernel_distance(Features(x[:5]), Features(y), subsets=1)
    assert score.value == pytest.approx(within_x + within_y - 2 * between, rel=1e-10)


def test_the_interval_is_the_jackknife_over_images() -> None:
    x, y = draw(9, 3, 5), draw(9, 3, 6)

    def all_pairs(x: torch.Tensor, y: torch.Tensor) -> float:
        kxx, kyy, kxy = ((a @ b.T / 3 + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
        m, n = len(x), len(y)
        own = (kxx.sum() - kxx.trace()) / (m * (m - 1)) + (kyy.sum() - kyy.trace()) / (n * (n - 1))
        return float(own - 2 * kxy.mean())

    def variance(replicates: list[float]) -> float:
        left = torch.tensor(replicates, dtype=torch.float64)
        return float((len(left) - 1) / len(left) * (left - left.mean()).square().sum())

    expected = variance([all_pairs(_without(x, i), y) for i in range(9)]) + variance(
        [all_pairs(x, _without(y, i)) for i in range(9)]
    )
    (score,) = kernel_distance(Features(x), Features(y), subsets=2)  # each is everything, so there is no other error
    assert (score.high - score.value) / 1.959964 == pytest.approx(expected**0.5, rel=1e-6)


def test_the_interval_contains_the_error_of_averaging_few_subsets() -> None:
    """Beside the jackknife's variance, that of the estimates (torch-fidelity's) over their number."""
    x, y = draw(60, 8, 7), draw(60, 8, 8, scale=1.2)
    theirs = kid_features_to_metric(y, x, kid_subsets=4, kid_subset_size=20, rng_seed=7, verbose=False)
    (few,) = kernel_distance(Features(x), Features(y), subsets=4, subset_size=20, subset_seed=7)
    (whole,) = kernel_distance(Features(x), Features(y), subsets=4)  # each is everything: the jackknife's alone
    few_error, whole_error = ((score.high - score.value) / 1.959964 for score in (few, whole))
    assert few_error**2 - whole_error**2 == pytest.approx(theirs[KEY_METRIC_KID_STD] ** 2 / 4, rel=1e-5)


def test_unbiased_and_covered_where_there_is_no_difference() -> None:
    scores = [
        kernel_distance(Features(draw(60, 8, 2 * i)), Features(draw(50, 8, 2 * i + 1)), subsets=5)[0]
        for i in range(200)
    ]
    values = torch.tensor([score.value for score in scores])
    assert abs(float(values.mean())) < 3 * float(values.std()) / 200**0.5
    assert sum(score.low <= 0 <= score.high for score in scores) >= 180


def test_a_subset_is_never_larger_than_a_set() -> None:
    (score,) = kernel_distance(Features(draw(40, 4, 1)), Features(draw(30, 4, 2)))
    assert score.protocol["subset_size"] == 30
    with pytest.raises(DataError, match="at least 3"):
        kernel_distance(Features(draw(40, 4, 1)), Features(draw(2, 4, 2)))


def _without(x: torch.Tensor, row: int) -> torch.Tensor:
    return torch.cat([x[:row], x[row + 1 :]])


@pytest.mark.parametrize("given", [{"subset_size": 1}, {"subset_size": 0}, {"subsets": 0}])
def test_subsets_without_pairs(given: dict[str, int]) -> None:
    features = Features(torch.randn(9, 4))
    with pytest.raises(UsageError, match="have no KID; take 1 or more, of 2 or more images"):
        kernel_distance(features, features, **given)


def test_the_interval_of_large_sets_is_that_of_some_from_all_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets that lie class by class, a class far from the other: within a tenth of what all images say, and said."""
    x, y = (torch.cat([draw(300, 8, seed, wide), draw(300, 8, seed + 1) + 3]) for seed, wide in ((11, 1.0), (13, 2.0)))
    (whole,) = kernel_distance(Features(x), Features(y), subsets=2000, subset_size=50)
    monkeypatch.setattr(kernel, "_JUDGED", 150)
    (part,) = kernel_distance(Features(x), Features(y), subsets=2000, subset_size=50)
    assert part.value == whole.value
    assert part.high - part.value == pytest.approx(whole.high - whole.value, rel=0.1)
    assert part.high != whole.high
    assert "150 at most of each" in str(part.protocol["interval"])
