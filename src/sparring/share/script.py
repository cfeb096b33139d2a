"""`generate.py`: a script that draws a generator's images and carries the generator's source."""

from __future__ import annotations

import ast
import functools
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from sparring.engine.sampler import TrainedGenerator
from sparring.errors import SparringError, UsageError
from sparring.recipe import BoundRecipe
from sparring.share.bundle import bundle
from sparring.share.standalone import main

__all__ = ["script"]

_HEADER = '''\
"""Draw images from generator.safetensors, the file next to this one.

    python generate.py -n 16 --seed 0 --out samples

Needs torch and safetensors, nothing else. The seed is in the name of every file: the same seed gives the same image,
in any batch, up to rounding on another machine. From Python:

    import generate
    network = generate.trained(generate.untrained())
    images = generate.sample(network, 16, seed=0)  # uint8 [n, c, h, w]

Everything below was copied from sparring and is only what this generator needs. Copyright (c) the sparring authors,
MIT licence: https://opensource.org/license/mit
"""
'''

_FOOTER = '''\
# ---- this generator --------------------------------------------------------------------------------------------------


def untrained() -> {generator}:
    """The generator with random weights."""
    return {generator}({arguments})


if __name__ == "__main__":
    {main}(untrained(), {source!r})
'''


def script(bound: BoundRecipe, generator: TrainedGenerator) -> str:
    """The source of `generate.py` for a generator; it was run once and gave the generator's images.

    Raises UsageError if the generator needs more than torch and safetensors or cannot be written down,
    SparringError if the script gives other images.
    """
    make, arguments = _construction(bound, generator.network)
    text = bundle([main, make], allowed=["torch", "safetensors"])
    main_name, generator_name = text.names
    footer = _FOOTER.format(generator=generator_name, arguments=arguments, main=main_name, source=generator.source)
    source = "\n".join([_HEADER, text.imports, "", text.body, "", "", footer])
    _check(source, generator)
    return source


def _construction(bound: BoundRecipe, network: nn.Module) -> tuple[Callable[..., nn.Module], str]:
    """What the recipe's game builds its sampler with, and the arguments as source."""
    recipe, facts = bound.recipe, bound.facts
    parts: Mapping[str, Any] = recipe.game.keywords if isinstance(recipe.game, functools.partial) else {}
    factory = parts.get(recipe.sampler)
    make = factory.func if isinstance(factory, functools.partial) else factory
    given = factory.keywords if isinstance(factory, functools.partial) else {}
    if make is not type(network):
        raise UsageError(
            f"{recipe.name}'s game does not say how it builds its {recipe.sampler}, so a script cannot; export to onnx"
        )
    for name, value in given.items():
        if not _is_literal(value):
            raise UsageError(f"a script cannot write down the {recipe.sampler}'s {name}, {value!r}; export to onnx")
    arguments = [repr(facts.shape), repr(facts.classes), *(f"{name}={value!r}" for name, value in given.items())]
    return type(network), ", ".join(arguments)


def _is_literal(value: Any) -> bool:
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
