"""How long a generator's weights are averaged, for the recipes whose papers leave it open."""

from __future__ import annotations

from sparring.recipe import Facts

__all__: list[str] = []


def halflife(facts: Facts) -> float:
    """A fiftieth of the run: long enough to smooth the game's circling, short enough to keep up with progress."""
    return facts.budget / 50
