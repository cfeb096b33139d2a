"""A recipe in one word: `dcgan`, `dcgan+width=32+augment=ada`, `my.module:recipe+turns=3`."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin

from sparring.errors import UsageError
from sparring.names import choose, member_named
from sparring.recipe import Recipe
from sparring.recipes.changes import CHANGES

__all__: list[str] = []


_SEVERAL = ("modify", "penalty", "generator_penalty")
"""Changes that add to what there is."""


def recipe_function(name: str) -> Callable[..., Any]:
    """A recipe's function by its name, or a person's own by package.module:function."""
    from sparring import recipes

    if ":" in name:
        function: Callable[..., Any] = member_named(name)
        if not callable(function):
            raise UsageError(f"{name} is no function that returns a recipe; name one")
        return function
    chosen: Callable[..., Any] = getattr(recipes, choose(name, recipes.__all__, "recipe"))
    return chosen


def parameters_of(function: Callable[..., Any], name: str) -> tuple[dict[str, Any], dict[str, inspect.Parameter]]:
    """The annotations of a recipe's function and the parameters that have a name, without `*more` and `**more`."""
    try:
        hints, listed = typing.get_type_hints(function), inspect.signature(function).parameters
    except (TypeError, ValueError, NameError) as error:
        raise UsageError(f"the parameters of {name} cannot be read ({error}); annotate them") from error
    return hints, {k: p for k, p in listed.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}


def split_word(word: str) -> tuple[str, list[tuple[str, str]]]:
    """The recipe's name and its `key=value` parts, in the order they are written.

    >>> split_word("dcgan+width=32+penalty=r1:10")
    ('dcgan', [('width', '32'), ('penalty', 'r1:10')])
    """
    name, *parts = word.split("+")
    pairs = []
    for part in parts:
        key, equals, value = part.partition("=")
        if not (key and equals and value):
            raise UsageError(f"{part!r} in {word!r} says nothing; write NAME+key=value+key=value")
        pairs.append((key, value))
    return name, pairs


def recipe_named(word: str, **parameters: Any) -> Recipe:
    """The recipe that a word means: its function's parameters first, then the changes that any recipe can take.

    >>> recipe_named("lsgan+width=32+loss=hinge").name
    'lsgan+width=32+loss=hinge'

    Raises UsageError for names, keys and values that do not exist, with the nearest that do.
    """
    name, pairs = split_word(word)
    function = recipe_function(name)
    hints, accepted = parameters_of(function, name)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())
    for key in () if open_ended else parameters:
        choose(key, accepted, f"parameter of {name},")
    changes = []
    keys = [key for key, _ in pairs]
    if again := next((key for key in keys if keys.count(key) > 1 and key not in _SEVERAL), None):
        raise UsageError(f"{again} is given twice; give it once")
    for key, value in pairs:
        choose(key, dict.fromkeys([*accepted, *CHANGES]), f"parameter or change of {name},")
        try:
            if key not in accepted:
                changes.append((key, value))
            elif key in parameters:
                raise UsageError(f"{key} is given twice; give it once")
            else:
                parameters[key] = _read(value, hints.get(key, str), f"{key} of {name}")
        except UsageError:
            if key not in CHANGES:  # a parameter of the same name knows fewer values
                raise
            changes.append((key, value))
    if nothing := next((key for key, number in parameters.items() if number != number), None):  # nan is not itself
        raise UsageError(f"{nothing} of {name} cannot be nan; give a number")
    recipe = function(**parameters)
    if not isinstance(recipe, Recipe):
        raise UsageError(f"{name} returns {type(recipe).__name__}, not a Recipe; name a function that returns one")
    for key, value in sorted(changes, key=lambda change: list(CHANGES).index(change[0])):
        recipe = CHANGES[key](recipe, value)
    return recipe.but(name=word) if changes or pairs else recipe


def _read(text: str, hint: Any, what: str) -> Any:
    """A value of an annotated type from its text."""
    for kind in get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,):
        if kind is type(None) and text == "none":
            return None
        if get_origin(kind) is Literal and text in map(str, get_args(kind)):
            return next(option for option in get_args(kind) if str(option) == text)
        if kind is bool and text in ("true", "false"):
            return text == "true"
        if kind in (int, float, str):
            try:
                return kind(text)
            except ValueError:
                continue
    words: dict[Any, str] = {type(None): "none", bool: "true, false"}
    kinds = get_args(hint) or (hint,)
    expected = ", ".join(words[kind] if kind in words else getattr(kind, "__name__", str(kind)) for kind in kinds)
    raise UsageError(f"{text!r} is no value for {what}; it takes {expected}")
