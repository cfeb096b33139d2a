"""What of a recipe depends on the data: promises of values, kept when the data's facts are known."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

from sparring.schedule import Schedule

__all__ = ["Facts", "Shape", "derived", "fit", "fitted", "rebuilt"]

Shape: TypeAlias = tuple[int, int, int]
T = TypeVar("T")


@dataclass(frozen=True)
class Facts:
    """What a recipe is fitted to: the data's shape (c, h, w), classes, training images, and the budget in images."""

    shape: Shape
    classes: int
    images: int
    budget: int

    @property
    def points(self) -> bool:
        """Whether the data are points of a plane rather than images."""
        return self.shape[1:] == (1, 1)


def fitted(rule: Callable[[Facts], T]) -> T:
    """A value of a recipe that depends on the data: `rule(facts)` takes its place in `bind`.

    Typed as the value it will become, so that it can stand wherever that value can.
    """
    return cast(T, _Fitted(rule))


def derived(schedule: Schedule, rule: Callable[..., Schedule], **settings: Any) -> Schedule:
    """`rule(schedule, facts, **settings)` in place of a schedule, which may be a promise itself; made in `bind`."""
    return fitted(functools.partial(_derive, schedule=schedule, rule=rule, settings=settings))


def _derive(
    facts: Facts, *, schedule: Schedule, rule: Callable[..., Schedule], settings: Mapping[str, Any]
) -> Schedule:
    return rule(fit(schedule, facts), facts, **settings)


@dataclass(frozen=True)
class _Fitted:
    """The promise of a value."""

    rule: Callable[[Facts], Any]


def fit(thing: Any, facts: Facts) -> Any:
    """`thing` with every fitted value inside it replaced by its value; `thing` itself where there is none."""
    return rebuilt(thing, lambda part: fit(part.rule(facts), facts) if isinstance(part, _Fitted) else part)


def rebuilt(thing: Any, change: Callable[[Any], Any]) -> Any:
    """`thing` with `change` made to it or, where that leaves it alone, to what it holds; itself if nothing changes."""
    if (found := change(thing)) is not thing:
        return found
    if isinstance(thing, functools.partial):
        keywords = rebuilt(thing.keywords, change)
        return thing if keywords is thing.keywords else functools.partial(thing.func, *thing.args, **keywords)
    if isinstance(thing, tuple):
        items = tuple(rebuilt(item, change) for item in thing)
        return thing if all(new is old for new, old in zip(items, thing, strict=True)) else items
    if isinstance(thing, Mapping):
        held = {key: rebuilt(item, change) for key, item in thing.items()}
        return thing if all(held[key] is item for key, item in thing.items()) else held
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        fields = {f.name: getattr(thing, f.name) for f in dataclasses.fields(thing)}
        changed = rebuilt(fields, change)
        return thing if changed is fields else dataclasses.replace(thing, **changed)
    return thing
