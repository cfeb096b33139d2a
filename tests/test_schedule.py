"""Schedules that cannot be meant; what they are worth along a run is in their docstrings."""

from __future__ import annotations

import pytest

from sparring.errors import UsageError
from sparring.schedule import Path, Steps, images_of


@pytest.mark.parametrize("kind", [Path, Steps])
@pytest.mark.parametrize(
    ("values", "at"), [((1.0, 2.0), (0,)), ((), ()), ((1.0,), (5,)), ((1.0, 2.0), (0, 0)), ((1.0, 2.0, 3.0), (0, 9, 4))]
)
def test_every_value_has_a_place_of_its_own(
    kind: type[Path] | type[Steps], values: tuple[float, ...], at: tuple[float, ...]
) -> None:
    with pytest.raises(UsageError, match="give one place a value, growing from 0"):
        kind(values, at)


def test_counts_are_rounded() -> None:
    assert [images_of(word) for word in ("4.1M", "2.01k", "64.1k")] == [4_100_000, 2010, 64_100]
