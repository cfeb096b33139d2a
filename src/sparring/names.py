"""Names at the border: what exists, by discovery, and what a word on the command line or in a file means.

The module namespace is the registry. A public member of a discovered package can be named by its own name; anything
else is named `package.module:name` and needs the caller's trust. This is the only module that imports by name.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
import sys
import types
from collections.abc import Iterable, Mapping
from typing import Any

from sparring.errors import UsageError

__all__ = ["choose", "discover", "known_name", "member_named", "name_of", "resolve"]

_OPEN = ("recipes", "networks", "objectives", "games", "augment")
"""The packages whose public members a file may name."""

_WORDS = ("sparring.recipe", "sparring.fitting", "sparring.schedule")
"""The modules whose dataclasses a recipe file consists of."""


@functools.cache
def discover(package: str) -> Mapping[str, Any]:
    """All public members of `sparring.<package>`, by `module:name`, in the order of the modules.

    >>> "losses:non_saturating" in discover("objectives")
    True
    """
    root = importlib.import_module(f"sparring.{package}")
    found = {}
    for module_info in sorted(pkgutil.iter_modules(root.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{root.__name__}.{module_info.name}")
        for name in getattr(module, "__all__", ()):
            member = getattr(module, name)
            if _at_home(member, module.__name__):
                found[f"{module_info.name}:{name}"] = member
    return found


def choose(name: str, among: Iterable[str], what: str) -> str:
    """`name` itself if it is one of `among`; raises UsageError with the nearest names otherwise.

    >>> choose("dcgn", ["dcgan", "r3gan"], "recipe")
    Traceback (most recent call last):
    ...
    sparring.errors.UsageError: there is no recipe 'dcgn'; did you mean 'dcgan'? (there are: dcgan, r3gan)
    """
    known = list(among)
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    there = f"did you mean '{near[0]}'? (there are: {', '.join(known)})" if near else f"there are: {', '.join(known)}"
    raise UsageError(f"there is no {what} {name!r}; {there}")


def name_of(member: Any) -> str:
    """The full `package.module:name` of a function, a class, or a value (a loss, a penalty) that a module holds.

    Raises UsageError for a value without a name, and for a lambda or what is defined within a function.
    """
    name = known_name(member)
    if name is None:
        raise UsageError(
            f"{member!r} has no name that a file could say; give it one at the top level of the module that it, or its "
            "functions, come from"
        )
    return name


def known_name(member: Any) -> str | None:
    """As `name_of`, None for a value without a name.

    A value of an open package is found by discovery, a person's own in the module of its functions.
    """
    if isinstance(member, type | types.FunctionType):
        return None if "<" in member.__qualname__ else f"{member.__module__}:{member.__qualname__}"
    for package in _OPEN:
        for name, value in discover(package).items():
            if value is member:
                return f"sparring.{package}.{name}"
    homes = {getattr(part, "__module__", None) for part in vars(member).values()} if hasattr(member, "__dict__") else ()
    for module in (sys.modules[home] for home in homes if home in sys.modules):
        for name, value in vars(module).items():
            if value is member:
                return f"{module.__name__}:{name}"
    return None


def resolve(name: str, *, trust: Iterable[str] = ()) -> Any:
    """The member that a full name means.

    Only public members of the open packages and of the recipe vocabulary can be named, plus members of the modules
    in `trust`; everything else is refused before anything is imported.
    """
    module, _, member = name.partition(":")
    if module in _WORDS or any(module.startswith(f"sparring.{package}.") for package in _OPEN):
        return _public(module, member)
    if module in set(trust):
        return _trusted(name, module, member)
    raise UsageError(
        f"{name!r} is not a part of sparring; if you trust that code, pass trust=[{module!r}] (--trust {module})"
    )


def member_named(name: str) -> Any:
    """A person's own part, named `package.module:name` on the command line: asking for it is the trust."""
    module, _, member = name.partition(":")
    if not module or not member:
        raise UsageError(f"{name!r} does not name a part; write package.module:name")
    return resolve(name, trust=[module])


def _trusted(name: str, module: str, member: str) -> Any:
    """A member of a person's own module, which may lie in the working folder."""
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return functools.reduce(getattr, member.split("."), importlib.import_module(module))
    except (Exception, SystemExit) as error:  # a module may raise anything while it is imported, or be a script
        reason = str(error) if isinstance(error, ImportError | AttributeError) else f"{type(error).__name__}: {error}"
        raise UsageError(f"{name!r} cannot be imported ({reason}); check the name and the working folder") from error


def _public(module: str, member: str) -> Any:
    """A member that its own module lists in `__all__` and defines itself."""
    missing = f"{module}:{member} does not exist in this version of sparring; use the one that wrote the file"
    try:
        home = importlib.import_module(module)
    except ImportError as error:
        raise UsageError(missing) from error
    if member not in getattr(home, "__all__", ()):
        raise UsageError(missing)
    found = getattr(home, member)
    if not _at_home(found, module):
        raise UsageError(f"{module}:{member} is not defined there; name it where it is defined")
    return found


def _at_home(member: Any, module: str) -> bool:
    """Whether a listed member belongs to its module: functions and classes where they are defined, values anywhere."""
    return not isinstance(member, type | types.FunctionType) or member.__module__ == module
