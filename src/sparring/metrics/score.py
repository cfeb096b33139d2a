"""What a metric is and what it returns: a value with its interval and the protocol under which it was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, TypeAlias

from sparring.errors import UsageError
from sparring.features.network import Features

__all__ = ["Fact", "Metric", "Score", "better"]

Fact: TypeAlias = str | int | float

_MAY_DIFFER = ("seed",)
"""Facts that are stated but do not make two scores incomparable: which z were drawn."""


@dataclass(frozen=True)
class Score:
    """A number one can defend: the value, a 95 % interval [low, high], and all that it depends on.

    The interval says how far the value would move with other images of the same numbers (`protocol["interval"]` names
    the method); it does not contain the bias that comes from the numbers themselves, which is why they must agree.

    >>> fid = Score("fid", 4.0, 3.5, 4.5, higher_is_better=False, protocol={"real": 1000}).beside(resize="none")
    >>> str(fid), dict(fid.protocol)
    ('fid 4 [3.5, 4.5]', {'real': 1000, 'resize': 'none'})
    """

    name: str
    value: float
    low: float
    high: float
    higher_is_better: bool
    protocol: Mapping[str, Fact] = field(default_factory=lambda: MappingProxyType({}))

    def beside(self, **facts: Fact) -> Score:
        """The same score with more of its protocol stated (the network, the data, the seed)."""
        return replace(self, protocol={**self.protocol, **facts})

    def to_json(self) -> dict[str, object]:
        """Plain values, as `json.dumps` takes them."""
        return {
            "name": self.name,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "higher_is_better": self.higher_is_better,
            "protocol": dict(self.protocol),
        }

    def __str__(self) -> str:
        return f"{self.name} {self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


@dataclass(frozen=True)
class Metric:
    """A metric by its name: how far fake features are from real ones, as one or several scores.

    `measure(real, fake)` takes the `Features` of both. `reads` tells what of them it needs: a network without logits
    cannot give a metric that reads logits.
    """

    name: str
    measure: Callable[[Features, Features], tuple[Score, ...]]
    reads: Literal["values", "logits"] = "values"


def better(first: Score, second: Score) -> Score | None:
    """The better of two scores, or None where their intervals overlap and the images do not decide.

    Raises UsageError when the two were not measured alike: such numbers say nothing about each other.

    >>> a = Score("fid", 4.0, 3.5, 4.5, higher_is_better=False, protocol={"fake": 1000})
    >>> b = Score("fid", 9.0, 8.0, 9.9, higher_is_better=False, protocol={"fake": 1000})
    >>> better(a, b) is a
    True
    >>> better(a, b.beside(fake=500))
    Traceback (most recent call last):
    ...
    sparring.errors.UsageError: these scores were not measured alike (fake: 1000 and 500); measure both the same way
    """
    mine, yours = ({"score": score.name, **score.protocol} for score in (first, second))
    unlike = [
        f"{key}: {mine.get(key, 'not stated')} and {yours.get(key, 'not stated')}"
        for key in {**mine, **yours}
        if key not in _MAY_DIFFER and mine.get(key) != yours.get(key)
    ]
    if unlike:
        raise UsageError(f"these scores were not measured alike ({'; '.join(unlike)}); measure both the same way")
    lower, upper = sorted((first, second), key=lambda score: score.value)
    if lower.high >= upper.low:
        return None
    return upper if first.higher_is_better else lower
