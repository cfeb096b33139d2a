"""Writes docs/recipes.md from what discovery finds; a test compares the file with this text.

python docs/make_tables.py
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from docstring_parser import parse

from sparring import features, metrics, names, recipes
from sparring.metrics.fidelity import fidelities
from sparring.networks import modifiers
from sparring.objectives import constraints
from sparring.objectives.losses import AdversarialLoss
from sparring.objectives.penalties import PenaltyFunction
from sparring.recipes.changes import CHANGES

PAGE = Path(__file__).with_name("recipes.md")

_NETWORKS = ("Generator", "CodePrior", "Codec", "PatchDiscriminator", "ResNetTranslator", "RRDBNet", "UNet")

_PAIRING = {"none": "", "pair": "each fake with a real", "average": "each side with the other's mean"}


def recipes_page() -> str:
    """Recipes with their parameters, then every part a recipe can be made of."""
    parts = [
        "# Recipes and parts",
        "*This page is written by `python docs/make_tables.py` from the code itself.*",
        _filled(
            "A recipe chooses a game and its players, and says when they play. Its parameters below are keyword "
            "arguments in Python (`sparring.recipes.dcgan(width=32)`) and flags on the command line (`sparring train "
            "--recipe dcgan --width 32`)."
        ),
        _recipe_table(),
        _filled(
            "Every two-player recipe takes changes as well, behind a plus: `sparring train --recipe "
            'dcgan+loss=hinge+augment=ada`, or `sparring.recipe_named("dcgan+loss=hinge+augment=ada")`.'
        ),
        _table(("change", "what it does"), ((f"`+{name}=`", _first(change)) for name, change in CHANGES.items())),
        *(_recipe_section(name) for name in recipes.__all__),
        "## Losses",
        _filled(
            "In `sparring.objectives.losses`. `pairing` says what a logit is compared with before or in these "
            "formulas; `boundary` is the logit that separates real from fake."
        ),
        _table(("name", "the discriminator minimises", "the generator minimises", "pairing", "boundary"), _losses()),
        "## Penalties",
        "In `sparring.objectives`; on the command line `+penalty=NAME:WEIGHT:EVERY`, or `+generator_penalty=`.",
        _table(("name", "value"), _penalties()),
        "## Constraints",
        "In `sparring.objectives.constraints`, applied to a player's weights after each of its steps.",
        _table(("name", "what it does"), _functions(constraints)),
        "## Augmentations",
        _filled(
            "In `sparring.augment`; an `Augmentation` is one of these pipes and its strength, a schedule or "
            "`Adaptive`. Karras et al. 2020a is *Training Generative Adversarial Networks with Limited Data*, which is "
            "not StyleGAN2, Zhao et al. 2020a *Differentiable Augmentation for Data-Efficient GAN Training*, 2020b "
            "*Improved Consistency Regularization for GANs*."
        ),
        _table(("name", "what it does"), _pipes()),
        "## Modifiers of a discriminator",
        "In `sparring.networks.modifiers`; on the command line `+modify=NAME`.",
        _table(("name", "what it does"), _functions(modifiers)),
        "## Networks",
        "In `sparring.networks`, one file an architecture.",
        _table(("file", "what it is"), _networks()),
        "## Metrics",
        "In `sparring.metrics`, by the name that `evaluate` takes.",
        _table(("name", "what it measures"), _metrics()),
        "## Feature networks",
        "In `sparring.features`, by the name that `evaluate(features=...)` takes.",
        _table(("name", "what it is"), _features()),
    ]
    return "\n\n".join(parts) + "\n"


def _filled(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _recipe_table() -> str:
    rows = []
    for name in recipes.__all__:
        recipe = getattr(recipes, name)()
        rows.append((f"[`{name}`](#{name})", recipe.summary, "; ".join(f"{p.authors} {p.year}" for p in recipe.papers)))
    return _table(("recipe", "what it is", "papers"), rows)


def _recipe_section(name: str) -> str:
    function = getattr(recipes, name)
    text = parse(inspect.getdoc(function) or "")
    told = {p.arg_name: " ".join((p.description or "").split()) for p in text.params}
    parameters = inspect.signature(function).parameters.values()
    rows = [(f"`{p.name}`", f"`{p.default!r}`", told.get(p.name, "")) for p in parameters]
    words = [f"## {name}", text.short_description or "", *([text.long_description] if text.long_description else [])]
    words += [_table(("parameter", "default", "meaning"), rows), "\n".join(f"- {p}" for p in function().papers)]
    return "\n\n".join(words)


def _losses() -> Iterable[tuple[str, ...]]:
    for name, loss in names.discover("objectives").items():
        if isinstance(loss, AdversarialLoss):
            both = (_first(loss.discriminator), _first(loss.generator))
            boundary = "none" if loss.boundary is None else f"{loss.boundary:g}"
            yield f"`{name.partition(':')[2]}`", *both, _PAIRING[loss.pairing] or "none", boundary


def _penalties() -> Iterable[tuple[str, ...]]:
    for name, penalty in names.discover("objectives").items():
        if isinstance(penalty, PenaltyFunction):
            function = penalty.function
            yield f"`{name.partition(':')[2]}`", _first(getattr(function, "func", function))


def _functions(module: Any) -> Iterable[tuple[str, ...]]:
    for name in module.__all__:
        if inspect.isfunction(vars(module)[name]):
            yield f"`{name}`", _first(vars(module)[name])


def _pipes() -> Iterable[tuple[str, ...]]:
    for name, member in names.discover("augment").items():
        if inspect.isfunction(member) and list(inspect.signature(member).parameters)[:3] == [
            "images",
            "strength",
            "draw",
        ]:
            yield f"`{name.partition(':')[2]}`", _first(inspect.getmodule(member))


def _networks() -> Iterable[tuple[str, ...]]:
    for name, network in names.discover("networks").items():
        if name.partition(":")[2] in _NETWORKS:
            yield f"`{name.partition(':')[0]}`", _first(inspect.getmodule(network))


def _metrics() -> Iterable[tuple[str, ...]]:
    for name, metric in metrics.metrics().items():
        yield f"`{name}`", _first(inspect.getmodule(metric.measure))
    for name, fidelity in fidelities().items():
        yield f"`{name}`", f"answers one by one: {_first(fidelity.measure)}"


def _features() -> Iterable[tuple[str, ...]]:
    for name, source in features.sources().items():
        yield f"`{name}`", _first(inspect.getmodule(source.load))


def _first(thing: Any) -> str:
    """The first paragraph of a docstring on one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table of Markdown; bars in words are escaped."""
    lines = [head, tuple("---" for _ in head), *(tuple(word.replace("|", "\\|") for word in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(recipes_page(), encoding="utf-8")
