"""`generate.py`: a script that draws a generator's images and carries the generator's source."""

from __future__ import annotations

import ast
import functools
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sparring.engine.sampler import TrainedGenerator, classes_of
from sparring.errors import SparringError, UsageError
from sparring.recipe import BoundRecipe
from sparring.share.bundle import bundle
from sparring.share.standalone import main

__all__ = ["script"]

_HEADER = '''\
"""Draw images from generator.safetensors, the file next to this one.

    python generate.py -n 16 --seed 0 --out samples

Needs torch and safetensors, nothing else. The seed is {place}: the same seed gives the same {one},
in any batch, up to rounding on another machine. From Python:

    import generate
    network = generate.trained(generate.untrained())
    images = generate.sample(network, 16, seed=0)  # {drawn}

Sections called sparring.* were copied from sparring and are only what this generator needs{others}.
They are Copyright (c) 2026 the sparring authors, under the MIT licence:

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
'''

_FOOTER = '''\
# ---- this generator --------------------------------------------------------------------------------------------------


def untrained() -> {generator}:
    """The generator with random weights."""
    return {generator}({arguments})


if __name__ == "__main__":
    {main}(untrained(), {source!r}{names})
'''


def script(bound: BoundRecipe, generator: TrainedGenerator) -> str:
    """The source of `generate.py` for a generator; it was run once and gave the generator's images.

    Raises UsageError if the generator needs more than torch and safetensors or cannot be written down,
    SparringError if the script gives other images.
    """
    made = _construction(bound, generator.network)
    parts = _parts(made)
    text = bundle([main, *parts], allowed=["torch", "safetensors"])
    main_name, *names = text.names
    called = dict(zip(parts, names, strict=True))
    footer = _FOOTER.format(
        generator=called[made.make],
        arguments=made.written(called),
        main=main_name,
        source=generator.source,
        names=f", {generator.names!r}" if generator.classes and generator.names else "",
    )
    points = bound.facts.points
    titles = (line for line in text.body.splitlines() if line.startswith("# ---- "))
    foreign = any(not title.startswith("# ---- sparring.") for title in titles)
    header = _HEADER.format(
        place="in every row of points.csv" if points else "in the name of every file",
        one="point" if points else "image",
        drawn="float32 [n, 2, 1, 1]" if points else "uint8 [n, c, h, w]",
        others="; the others are their authors'" if foreign else "",
    )
    source = "\n".join([header, text.imports, "", text.body, "", "", footer])
    _check(source, generator)
    return source


@dataclass(frozen=True)
class _Made:
    """A part and the arguments that it is made with: literals, or other parts to be made (`partial`s)."""

    make: Callable[..., Any]
    positional: tuple[Any, ...]
    given: Mapping[str, Any]

    def written(self, called: Mapping[Callable[..., Any], str]) -> str:
        """The arguments as source, parts by what they are called there."""
        named = [f"{name}={_written(value, called)}" for name, value in self.given.items()]
        return ", ".join([*map(repr, self.positional), *named])


def _construction(bound: BoundRecipe, network: nn.Module) -> _Made:
    """What the recipe's game builds its sampler with."""
    recipe, facts = bound.recipe, bound.facts
    factory = recipe.game_arguments.get(recipe.sampler)
    make = factory.func if isinstance(factory, functools.partial) else factory
    given = factory.keywords if isinstance(factory, functools.partial) else {}
    if make is not type(network):
        raise UsageError(
            f"{recipe.name}'s game does not say how it builds its {recipe.sampler}, so a script cannot; export to onnx"
        )
    for name, value in given.items():
        if not _is_writable(value):
            raise UsageError(f"a script cannot write down the {recipe.sampler}'s {name}, {value!r}; export to onnx")
    return _Made(type(network), (facts.shape, classes_of(network)), given)


def _parts(made: _Made) -> list[Callable[..., Any]]:
    """All functions and classes that the arguments name, the part itself first."""
    found = [made.make]
    for value in made.given.values():
        if isinstance(value, functools.partial):
            found += _parts(_Made(value.func, (), value.keywords))
    return list(dict.fromkeys(found))


def _written(value: Any, called: Mapping[Callable[..., Any], str]) -> str:
    """An argument as source; a part to be made is a function of what it will be given."""
    if not isinstance(value, functools.partial):
        return repr(value)
    own = "".join(f"{name!r}: {_written(item, called)}, " for name, item in value.keywords.items())
    return f"lambda *given, **named: {called[value.func]}(*given, **{{{own}**named}})"


def _is_writable(value: Any) -> bool:
    if isinstance(value, functools.partial):
        return not value.args and all(map(_is_writable, value.keywords.values()))
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (SyntaxError, ValueError):
        return False


def _check(source: str, generator: TrainedGenerator) -> None:
    """Run the script's source as a module and compare what it draws."""
    module = types.ModuleType("sparring_generate_script")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        exec(compile(source, "generate.py", "exec"), module.__dict__)
        with torch.random.fork_rng(devices=[]):
            network = module.untrained().eval()
        network.load_state_dict(generator.network.state_dict())
        same = torch.equal(module.sample(network, 2, seed=1), generator.sample(2, seed=1))
    except Exception as error:  # whatever it raises, the file must not be handed over
        raise SparringError(f"the script for {generator.source} does not run ({error!r}); export to onnx") from error
    finally:
        del sys.modules[module.__name__]
    if not same:
        raise SparringError(f"the script for {generator.source} draws other images than the run; export to onnx")
