"""One contract for every metric: intervals, protocols, plain values, refusals; and the floor and the comparison."""

from __future__ import annotations

import json
import math

import pytest
import torch
from scipy.stats import t

from sparring.errors import DataError, DivergedError, UsageError
from sparring.features import Features
from sparring.metrics import Metric, Score, better, metric_named, metrics, real_against_real
from sparring.metrics.intervals import student


def seen(n: int, seed: int, shift: float = 0.0) -> Features:
    random = torch.Generator().manual_seed(seed)
    values = torch.randn(n, 8, generator=random) + shift
    return Features(values, torch.randn(n, 5, generator=random) * 3)


@pytest.fixture(params=metrics().values(), ids=lambda metric: metric.name)
def metric(request: pytest.FixtureRequest) -> Metric:
    found: Metric = request.param
    return found


def test_value_in_its_interval_with_its_protocol_in_plain_values(metric: Metric) -> None:
    for score in metric.measure(seen(120, 1), seen(100, 2, shift=0.5)):
        assert score.low <= score.value <= score.high
        assert score.low < score.high
        assert score.protocol["fake"] == 100
        assert str(score.protocol["interval"]).startswith("95 %")
        assert metric.reads == "logits" or score.protocol["real"] == 120
        assert json.loads(json.dumps(score.to_json(), allow_nan=False)) == score.to_json()


def test_the_same_features_give_the_same_score(metric: Metric) -> None:
    state = torch.get_rng_state()
    assert metric.measure(seen(60, 1), seen(50, 2)) == metric.measure(seen(60, 1), seen(50, 2))
    assert torch.equal(state, torch.get_rng_state())


def test_worse_fakes_score_worse(metric: Metric) -> None:
    if metric.reads == "logits":
        pytest.skip("it never looks at the reals")
    near, far = metric.measure(seen(300, 1), seen(300, 2)), metric.measure(seen(300, 1), seen(300, 2, shift=1.0))
    for good, bad in zip(near, far, strict=True):
        assert better(good, bad) is good
        assert better(bad, good) is good


def test_features_that_are_not_finite_are_refused(metric: Metric) -> None:
    bad = seen(60, 2)
    bad.values[3, 3] = math.inf
    assert bad.logits is not None
    bad.logits[3, 3] = math.nan
    with pytest.raises(DivergedError, match="fake features"):
        metric.measure(seen(60, 1), bad)


def test_the_floor_of_real_images(metric: Metric) -> None:
    for score in real_against_real(metric, seen(150, 1), fakes=50):
        assert score.protocol["fakes"] == "real images"
        assert score.protocol["fake"] == 50
    with pytest.raises(DataError, match="use at most 75"):
        real_against_real(metric, seen(150, 1), fakes=76)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_floor_draws_fakes_from_the_reals_which_are_compared_with_the_others(seed: int) -> None:
    """Rows with a number each: 8 of 20 play the fakes, which ones is the seed's, and nobody is on both sides."""
    sides: list[tuple[list[float], list[float]]] = []

    def measure(real: Features, fake: Features) -> tuple[()]:
        sides.append((real.values[:, 0].tolist(), fake.values[:, 0].tolist()))
        return ()

    rows = Features(torch.arange(20.0)[:, None])
    for asked in (seed, seed, seed + 1):
        real_against_real(Metric("sides", measure), rows, fakes=8, seed=asked)
    (rest, played), again, other = sides
    assert (len(rest), len(played)) == (12, 8)
    assert sorted(rest + played) == list(range(20))
    assert set(played) not in (set(range(8)), set(range(12, 20)))
    assert again == (rest, played)
    assert set(other[1]) != set(played)


def test_an_unknown_metric_is_named() -> None:
    assert metric_named("kid").name == "kid"
    with pytest.raises(UsageError, match="did you mean 'fid'"):
        metric_named("fidd")


def test_scores_of_different_protocols_are_not_compared() -> None:
    (a,), (b,) = (metric_named("fid").measure(seen(100, 1), seen(n, 2)) for n in (50, 60))
    with pytest.raises(UsageError, match="fake: 50 and 60"):
        better(a, b)
    with pytest.raises(UsageError, match="resize: none and not stated"):
        better(a.beside(resize="none"), a)
    assert better(a.beside(seed=0), a.beside(seed=1)) is None


@pytest.mark.parametrize("degrees", [4, 9, 30, 1000])
def test_students_quantile(degrees: int) -> None:
    assert student(degrees) == pytest.approx(t.ppf(0.975, degrees), rel=5e-3)


def test_intervals_that_overlap_decide_nothing():
    first, second = (Score("fid", value, value - 2, value + 2, False) for value in (4.0, 7.0))
    assert better(first, second) is None
