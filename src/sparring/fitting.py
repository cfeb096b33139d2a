"""What of a recipe depends on the data: promises of values, kept when the data's facts are known, and shapes."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from sparring.schedule import Schedule

__all__ = ["Facts", "Shape", "derived", "fit", "fitted", "rebuilt", "without_memory"]

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


@contextlib.contextmanager
def without_memory() -> Iterator[None]:
    """Networks that are built in here have the shapes of their tensors and no numbers, and warn of nothing.

    Tensors are on the `meta` device, where what sets numbers and leaves shapes alone is left out: torch would load its
    compiler for a second, to find in Python that there is nothing to set.
    """
    with torch.device("meta"), _Unset(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


_SETS = {Tensor.normal_, Tensor.uniform_, functional.normalize}


class _Unset(TorchFunctionMode):
    """Leaves numbers as they are where there are none."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _SETS or getattr(func, "__module__", None) == "torch.nn.init":
            tensor = kwargs.get("tensor") if "tensor" in kwargs else args[0]
            if tensor.is_meta:
                return tensor
        return func(*args, **kwargs)


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
