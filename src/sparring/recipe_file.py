"""A bound recipe as JSON and back: data with names from a closed registry, never code."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import types
from collections.abc import Iterable, Mapping
from typing import Any

from sparring.errors import FileUnusableError, UsageError
from sparring.names import known_name, name_of, resolve
from sparring.recipe import BoundRecipe, Constraint, Ema, Facts, Given, Optim, Paper, Recipe, Turn

__all__ = ["foreign_modules", "from_json", "identity", "to_json"]


_MOST = 2**20
"""No part is made of more layers, channels or images; more would be a file's way to take all memory or time."""


def to_json(bound: BoundRecipe) -> dict[str, Any]:
    """A bound recipe as JSON values: `{"is": name}` for parts, `{"make": name, "with": {...}}` for what they build.

    >>> from sparring.recipes import gan
    >>> bound = gan().bind((1, 28, 28), 10, images=9000, budget=100_000)
    >>> to_json(from_json(to_json(bound))) == to_json(bound)
    True
    """
    encoded: dict[str, Any] = _encode(bound)
    return encoded


def from_json(encoded: Mapping[str, Any], *, trust: Iterable[str] = ()) -> BoundRecipe:
    """The bound recipe that `to_json` gave; raises FileUnusableError where it names what it may not.

    Only public parts of sparring can be named, and those of the modules in `trust`.
    """
    try:
        bound = _decode(encoded, tuple(trust))
    except (TypeError, KeyError, ValueError, AttributeError, IndexError, RecursionError, ArithmeticError) as error:
        raise FileUnusableError(f"the recipe file is damaged or from another version ({error})") from error
    except UsageError as error:
        raise FileUnusableError(f"the recipe file cannot be used: {error}") from error
    if not (isinstance(bound, BoundRecipe) and isinstance(bound.recipe, Recipe) and _possible(bound.facts)):
        raise FileUnusableError("the recipe file does not hold a bound recipe")
    if (wrong := _unlikely(bound.recipe)) is not None:
        raise FileUnusableError(f"the recipe file is damaged: {wrong} cannot be what it says; restore it from a copy")
    return bound


def _unlikely(recipe: Recipe) -> str | None:
    """The first field of a recipe that is not of its kind; a file may have been altered."""
    kinds = {"name": str, "summary": str, "mirror": bool, "balanced": bool, "accumulate": int, "sampler": str}
    right = {name: isinstance(getattr(recipe, name), kind) for name, kind in kinds.items()}
    rows: dict[str, type] = {"papers": Paper, "turns": Turn, "constraints": Constraint}
    tables: dict[str, type] = {"optims": Optim, "emas": Ema, "given": Given}
    right |= {name: _are(getattr(recipe, name), kind) for name, kind in rows.items()}
    for name, kind in tables.items():
        table = getattr(recipe, name)
        right[name] = isinstance(table, Mapping) and _are(tuple(table.values()), kind)
    right["optims"] = right["optims"] and all(_is_schedule(optim.rate) for optim in recipe.optims.values())
    right["batch"] = _is_schedule(recipe.batch)
    right["growth"] = recipe.growth is None or _is_schedule(recipe.growth)
    right["game"] = callable(recipe.game)
    return next((name for name, is_right in right.items() if not is_right), None)


def _are(items: Any, kind: type) -> bool:
    return isinstance(items, tuple) and all(isinstance(item, kind) for item in items)


def _is_schedule(number: Any) -> bool:
    return callable(number) or (isinstance(number, int | float) and not isinstance(number, bool))


def _possible(facts: object) -> bool:
    """Whether data and budget can be what a file says that they are."""
    if not isinstance(facts, Facts) or not isinstance(facts.shape, tuple):
        return False
    numbers = (*facts.shape, facts.budget)
    return len(numbers) == 4 and all(isinstance(number, int) and number >= 1 for number in numbers)


def identity(bound: BoundRecipe, seed: int) -> str:
    """What a checkpoint must share with what goes on from it: a hash of the bound recipe and the seed, 16 digits."""
    text = json.dumps([to_json(bound), seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def foreign_modules(recipe: Recipe) -> tuple[str, ...]:
    """The modules outside sparring whose functions and classes a recipe uses: who hands one over trusts them.

    >>> from sparring.recipes import gan
    >>> foreign_modules(gan())
    ()
    """
    found: set[str] = set()
    _collect(recipe, found)
    return tuple(sorted(module for module in found if module.partition(".")[0] != "sparring"))


def _collect(thing: Any, found: set[str]) -> None:
    """The modules of everything that a file would have to name."""
    if isinstance(thing, functools.partial):
        _collect(thing.func, found)
        _collect(thing.keywords, found)
    elif isinstance(thing, Mapping):
        _collect(tuple(thing.values()), found)
    elif isinstance(thing, tuple | list):
        for item in thing:
            _collect(item, found)
    elif dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        _collect((type(thing), *(getattr(thing, f.name) for f in dataclasses.fields(thing))), found)
    elif isinstance(thing, type | types.FunctionType):
        found.add(thing.__module__)


def _encode(thing: Any) -> Any:
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    if isinstance(thing, functools.partial):
        if thing.args:
            raise UsageError(
                f"{thing} has positional arguments; a recipe's parts take keywords, so that a file can say them"
            )
        return {"part": name_of(thing.func), "with": _encode(thing.keywords)}
    if isinstance(thing, Mapping):
        return {key: _encode(item) for key, item in thing.items()}
    if isinstance(thing, tuple | list):
        return [_encode(item) for item in thing]
    if (name := known_name(thing)) is not None:
        return {"is": name}
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        fields = {f.name: _encode(getattr(thing, f.name)) for f in dataclasses.fields(thing)}
        return {"make": name_of(type(thing)), "with": fields}
    return {"is": name_of(thing)}


def _decode(thing: Any, trust: tuple[str, ...]) -> Any:
    if isinstance(thing, list):
        return tuple(_decode(item, trust) for item in thing)
    if not isinstance(thing, Mapping):
        return thing
    if set(thing) == {"is"}:
        return resolve(thing["is"], trust=trust)
    if set(thing) == {"part", "with"}:
        settings = _decode(thing["with"], trust)
        for name, number in settings.items():
            if isinstance(number, int) and abs(number) > _MOST:
                raise UsageError(f"{thing['part']} with {name}={number} would be without end")
        return functools.partial(resolve(thing["part"], trust=trust), **settings)
    if set(thing) == {"make", "with"}:
        maker = resolve(thing["make"], trust=trust)
        if not (isinstance(maker, type) and dataclasses.is_dataclass(maker)):
            raise UsageError(f"{thing['make']} is not a word of recipes")
        return maker(**_decode(thing["with"], trust))
    return {key: _decode(item, trust) for key, item in thing.items()}
