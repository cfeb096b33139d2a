"""Counting modes: a perfect sampler's numbers, by theory, and what departs from them."""

from __future__ import annotations

import math

import pytest
import torch

from sparring.data.points import MIXTURES
from sparring.metrics.modes import count_classes, count_modes

N = 200_000


def sampled(name: str, *, scale: float = 1.0, only: int | None = None) -> torch.Tensor:
    mixture, source = MIXTURES[name], torch.Generator().manual_seed(0)
    centres = torch.as_tensor(mixture.centres)[:only]
    chosen = centres[torch.randint(len(centres), (N,), generator=source)]
    return chosen + scale * mixture.sigma * torch.randn(N, 2, generator=source, dtype=torch.double)


@pytest.mark.parametrize("name", MIXTURES)
def test_a_perfect_sampler(name: str) -> None:
    """98.89 % within three sigma (1 - e^-4.5), core width 1, no divergence but for the sample's size."""
    mixture = MIXTURES[name]
    found = count_modes(sampled(name), torch.as_tensor(mixture.centres), mixture.sigma)
    assert (found.captured, found.modes) == (len(mixture.centres), len(mixture.centres))
    assert found.near == pytest.approx(1 - math.exp(-4.5), abs=4 * math.sqrt(0.0111 / N))
    assert found.core_ratio == pytest.approx(1.0, abs=0.005)
    assert found.divergence < len(mixture.centres) / N * 2


def test_too_narrow_is_seen_in_the_core_and_not_near() -> None:
    """Half as wide: everything is near, and the core is half the untruncated width over the truncated one."""
    mixture = MIXTURES["grid25"]
    found = count_modes(sampled("grid25", scale=0.5), torch.as_tensor(mixture.centres), mixture.sigma)
    truncated = math.sqrt(2 * (1 - 5.5 * math.exp(-4.5)) / (1 - math.exp(-4.5)))
    assert found.near > 0.9999
    assert found.core_ratio == pytest.approx(0.5 * math.sqrt(2) / truncated, rel=0.01)


def test_collapse_to_two_of_eight() -> None:
    """KL of two equal modes against eight is log 4."""
    mixture = MIXTURES["ring8"]
    found = count_modes(sampled("ring8", only=2), torch.as_tensor(mixture.centres), mixture.sigma)
    assert found.captured == 2
    assert found.divergence == pytest.approx(math.log(4), abs=1e-4)


def test_nothing_near_a_mode_is_no_number() -> None:
    found = count_modes(torch.full((5, 2), 9.0), torch.zeros(1, 2), 0.1)
    assert (found.captured, found.near) == (0, 0.0)
    assert math.isnan(found.core_ratio)
    assert math.isnan(found.divergence)


def test_other_dimensions_by_quadrature() -> None:
    """In three dimensions a perfect sampler has the same core width of 1."""
    points = torch.randn(N, 3, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    assert count_modes(points, torch.zeros(1, 3), 1.0).core_ratio == pytest.approx(1.0, abs=0.005)


def test_classes() -> None:
    found = count_classes(torch.tensor([0, 0, 5, 5]), 1000)
    assert found.captured == 2
    assert found.divergence == pytest.approx(math.log(500))
