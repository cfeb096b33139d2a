"""FID against closed forms, torch-fidelity and scipy; its moments; its interval."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.linalg import sqrtm
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

from sparring.errors import DataError, DivergedError, ShapeError
from sparring.features import Features
from sparring.metrics.frechet import Moments, distance, frechet
from sparring.metrics.score import Score


def draw(n: int, d: int, seed: int, *, scale: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    """Correlated, rectified, heavy-tailed features, as networks give them."""
    random = torch.Generator().manual_seed(seed)
    mixing = torch.randn(d, d, generator=torch.Generator().manual_seed(99), dtype=torch.float64) / math.sqrt(d)
    x = torch.randn(n, d, generator=random, dtype=torch.float64) @ mixing
    tail = torch.rand(n, 1, generator=random, dtype=torch.float64) + 0.5
    return (x * scale / tail + shift).relu()


def trials(scale: float) -> list[Score]:
    """The same measurement with 200 independent draws of both sets."""
    pairs = ((Features(draw(300, 8, 2 * i)), Features(draw(200, 8, 2 * i + 1, scale=scale))) for i in range(200))
    return [frechet(real, fake)[0] for real, fake in pairs]


def known(mean: list[float], covariance: list[list[float]]) -> Moments:
    """Moments that are stated, not estimated."""
    return Moments(1001, torch.tensor(mean, dtype=torch.float64), torch.tensor(covariance, dtype=torch.float64) * 1000)


def test_two_known_gaussians() -> None:
    # by hand: |(3, 4)|^2 + (1 - 3)^2 + (2 - 5)^2, for diagonal covariances
    a, b = known([0, 0], [[1, 0], [0, 4]]), known([3, 4], [[9, 0], [0, 25]])
    assert distance(a, b) == pytest.approx(25 + 4 + 9, rel=1e-12)


def test_known_gaussians_that_do_not_commute() -> None:
    # by hand, for 2x2: tr((S1 S2)^(1/2)) = sqrt(tr(S1 S2) + 2 sqrt(det S1 det S2))
    s1, s2 = [[2.0, 1.0], [1.0, 3.0]], [[4.0, -1.0], [-1.0, 1.0]]
    overlap = math.sqrt((8 - 1 - 1 + 3) + 2 * math.sqrt(5 * 3))
    assert distance(known([0, 0], s1), known([0, 0], s2)) == pytest.approx(5 + 5 - 2 * overlap, rel=1e-12)


def test_large_samples_approach_the_closed_form() -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(200_000, 3, generator=random)
    y = torch.randn(200_000, 3, generator=random) * torch.tensor([2.0, 1.0, 0.5]) + torch.tensor([1.0, 0.0, 0.0])
    assert distance(Moments.of(x), Moments.of(y)) == pytest.approx(1 + 1 + 0 + 0.25, rel=0.02)


@pytest.mark.parametrize(("d", "n", "m"), [(8, 32, 50), (64, 256, 1000), (256, 1024, 1024)])
def test_equals_torch_fidelity(d: int, n: int, m: int) -> None:
    x, y = draw(n, d, 1), draw(m, d, 2, scale=1.1, shift=0.05)
    theirs = fid_statistics_to_metric(fid_features_to_statistics(y), fid_features_to_statistics(x), False)
    (ours,) = frechet(Features(x), Features(y))
    assert ours.value == pytest.approx(theirs[KEY_METRIC_FID], rel=1e-6)


def test_equals_the_matrix_square_root_of_scipy() -> None:
    a, b = Moments.of(draw(400, 32, 3)), Moments.of(draw(400, 32, 4, scale=1.3))
    root = sqrtm((a.covariance @ b.covariance).numpy())
    gap = a.mean - b.mean
    theirs = float(gap @ gap + a.covariance.trace() + b.covariance.trace()) - 2 * root.real.trace()
    assert distance(a, b) == pytest.approx(theirs, rel=1e-8)


def test_covariances_without_full_rank() -> None:
    flat = known([0, 0], [[4, 0], [0, 0]])
    # by hand: a line against a disc, then against itself
    assert distance(flat, known([0, 0], [[1, 0], [0, 1]])) == pytest.approx(1 + 1, rel=1e-9)
    assert distance(flat, flat) == 0
    few = Features(draw(20, 64, 5))
    (score,) = frechet(few, Features(draw(20, 64, 6)))
    assert math.isfinite(score.value)
    assert score.value > 0
    assert math.isfinite(score.high)
    assert "dominates" in str(score.protocol["interval"])


@pytest.mark.parametrize("spread", [0.0, 1e-9, 1e-4])
def test_images_that_are_nearly_one(spread: float) -> None:
    """By hand: the squared gap of the means and the variance of the reals; of one image there is no overlap."""
    x, y = draw(300, 64, 1), draw(1, 64, 2) + spread * draw(200, 64, 3)
    (score,) = frechet(Features(x), Features(y))
    expected = float((x.mean(0) - y.mean(0)).square().sum() + x.var(0).sum())
    assert score.value == pytest.approx(expected, rel=30 * spread + 1e-9)
    assert score.low <= score.value <= score.high < 2 * score.value


def test_a_feature_that_never_fires() -> None:
    x, y = draw(300, 16, 7), draw(300, 16, 8)
    x[:, 3] = y[:, 3] = 0
    kept = [i for i in range(16) if i != 3]
    (whole,), (without,) = frechet(Features(x), Features(y)), frechet(Features(x[:, kept]), Features(y[:, kept]))
    assert whole.value == pytest.approx(without.value, rel=1e-9)
    assert whole.high == pytest.approx(without.high, rel=1e-6)


def test_moments_far_from_zero() -> None:
    x = draw(1000, 16, 9) + 1e4  # a large mean, where sums of squares would lose their digits
    torch.testing.assert_close(Moments.of(x).covariance, torch.cov(x.T), rtol=1e-9, atol=1e-12)


def test_order_of_images_and_rotation_of_features_do_not_matter() -> None:
    x, y = draw(300, 16, 10), draw(300, 16, 11, scale=1.2)
    turn, _ = torch.linalg.qr(torch.randn(16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    (plain,), (turned,) = frechet(Features(x), Features(y)), frechet(Features(x.flip(0) @ turn), Features(y @ turn))
    assert turned.value == pytest.approx(plain.value, rel=1e-9)
    assert turned.high == pytest.approx(plain.high, rel=1e-9)


@pytest.mark.parametrize("scale", [1.0, 1.3])
def test_the_interval_covers_the_expected_score(scale: float) -> None:
    scores = [
        frechet(Features(draw(300, 8, 2 * i)), Features(draw(200, 8, 2 * i + 1, scale=scale)))[0] for i in range(200)
    ]
    expected = sum(score.value for score in scores) / len(scores)
    covered = sum(score.low <= expected <= score.high for score in scores) / len(scores)
    assert covered >= 0.91  # 0.95 less two binomial standard errors; first order vanishes at scale 1, so it may be 1


def test_the_interval_is_not_idle() -> None:
    scores = [
        frechet(Features(draw(300, 8, 2 * i)), Features(draw(200, 8, 2 * i + 1, scale=1.3)))[0] for i in range(200)
    ]
    spread = torch.tensor([score.value for score in scores]).std()
    reach = torch.tensor([score.high - score.value for score in scores]).mean()
    assert 0.8 < float(reach / (1.96 * spread)) < 1.3


def test_what_cannot_be_measured() -> None:
    good = Features(draw(10, 4, 12))
    with pytest.raises(ShapeError, match="4 dimensions and fake ones 5"):
        frechet(good, Features(draw(10, 5, 12)))
    with pytest.raises(DataError, match="1 fake images are too few"):
        frechet(good, Features(draw(1, 4, 12)))
    with pytest.raises(DivergedError, match="not finite"):
        frechet(good, Features(torch.full((10, 4), math.nan)))
    with pytest.raises(DataError, match="no covariance"):
        distance(Moments.of(draw(1, 4, 1)), Moments.of(draw(5, 4, 1)))
