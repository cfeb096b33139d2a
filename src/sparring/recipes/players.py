"""Players by the name of their architecture, for recipes that work with any of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from sparring.errors import UsageError
from sparring.fitting import fit
from sparring.games.two_player import TwoPlayerGame
from sparring.names import choose, discover
from sparring.networks import mlp
from sparring.networks.conditioning import LabelledDiscriminator, LabelledGenerator, without_labels
from sparring.objectives.losses import AdversarialLoss
from sparring.recipe import Ema, Facts, Optim, Paper, Recipe, Turn, fitted
from sparring.recipes.averages import halflife

__all__: list[str] = []

_POINTS = ("mlp", "pacgan")
"""Architectures that take points of the plane; the others give way to `mlp` there."""


def architectures() -> list[str]:
    """The modules of `networks` that hold both players, by discovery."""
    found = discover("networks")
    names = (name.partition(":")[0] for name in found if name.endswith(":Generator"))
    return [name for name in names if f"{name}:Discriminator" in found]


def players(
    network: str, *, width: int | None = None, z_dim: int | None = None, judge_norm: bool = True
) -> dict[str, Any]:
    """`generator` and `discriminator` of an architecture, as a game takes them; None leaves its own default.

    With `judge_norm` off, D is built without batch norm where it has any. Raises UsageError for an unknown name.
    """
    choose(network, architectures(), "network")
    return {
        "generator": fitted(partial(_generator, network=network, width=width, z_dim=z_dim)),
        "discriminator": fitted(partial(_discriminator, network=network, width=width, norm=judge_norm)),
    }


def image_players(module: Any, *, generator: dict[str, Any], discriminator: dict[str, Any]) -> dict[str, Any]:
    """Both players of a module of networks, with their settings; of points perceptrons four times as wide."""
    plain = {"width": 4 * generator["width"], "layers": 3}
    makers: dict[str, tuple[Callable[..., nn.Module], Callable[..., nn.Module]]] = {
        "generator": (partial(module.Generator, **generator), partial(mlp.Generator, z_dim=2, **plain)),
        "discriminator": (partial(module.Discriminator, **discriminator), partial(mlp.Discriminator, **plain)),
    }
    return {name: fitted(partial(_of_kind, images=both[0], points=both[1])) for name, both in makers.items()}


def _of_kind(facts: Facts, *, images: Callable[..., nn.Module], points: Callable[..., nn.Module]) -> Any:
    return points if facts.points else images


def conditional_generator(factory: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """A generator that takes labels: in its own way if it has one, otherwise beside z. Either may be a promise."""
    return fitted(partial(_told, factory=factory))


def conditional_discriminator(factory: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """A discriminator that is shown the label: in its own way if it has one, otherwise as one more channel."""
    return fitted(partial(_shown, factory=factory))


def by_kind(facts: Facts, *, given: float | None, images: float, points: float) -> float:
    """A setting that a person gave, or else the one that suits the kind of data."""
    if given is not None:
        return given
    return points if facts.points else images


def two_players(
    name: str,
    summary: str,
    papers: tuple[Paper, ...],
    loss: AdversarialLoss,
    cast: dict[str, Any],
    *,
    optim: Optim,
    batch: int,
    **game: Any,
) -> Recipe:
    """The plain recipe that the classics change in a line or two: one turn each, one optimiser's settings for both."""
    return Recipe(
        name=name,
        summary=summary,
        papers=papers,
        game=partial(TwoPlayerGame, **cast, loss=loss, **game),
        turns=(Turn(("discriminator",)), Turn(("generator",))),
        optims={"generator": optim, "discriminator": optim},
        emas={"generator": Ema(halflife=fitted(halflife))},
        batch=batch,
    )


def unconditional_discriminator(factory: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """A discriminator that is shown no label, whatever it could take."""
    return partial(without_labels, network=factory)


def _shown(facts: Facts, *, factory: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    made = fit(factory, facts)
    shown: Callable[..., nn.Module] = made if _takes_labels(made) else partial(LabelledDiscriminator, network=made)
    return shown


def _takes_labels(made: Any) -> bool:
    return getattr(made.func if isinstance(made, partial) else made, "takes_labels", False)


def _told(facts: Facts, *, factory: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    made = fit(factory, facts)
    if _takes_labels(made):
        return made  # type: ignore[no-any-return]
    size = inspect.signature(made).parameters.get("z_dim")
    if size is None or not isinstance(size.default, int):
        raise UsageError("a generator that is to take labels beside z needs a parameter z_dim with a default")
    z_dim = int(size.default)
    return partial(LabelledGenerator, network=made, z_dim=z_dim)


def _generator(facts: Facts, *, network: str, width: int | None, z_dim: int | None) -> Callable[..., nn.Module]:
    z_dim = 2 if facts.points and z_dim is None else z_dim
    if facts.points and network not in _POINTS:
        return _built("mlp:Generator", width=width, z_dim=z_dim, batch_norm=True)
    return _built(f"{network}:Generator", width=width, z_dim=z_dim)


def _discriminator(facts: Facts, *, network: str, width: int | None, norm: bool) -> Callable[..., nn.Module]:
    if facts.points and network not in _POINTS:
        return _built("mlp:Discriminator", width=width)
    found = discover("networks")[f"{network}:Discriminator"]
    bare = {"batch_norm": False} if not norm and "batch_norm" in inspect.signature(found).parameters else {}
    return _built(f"{network}:Discriminator", width=width, **bare)


def _built(name: str, **settings: Any) -> Callable[..., nn.Module]:
    """A network of that name with what was asked for, its own defaults otherwise."""
    return partial(discover("networks")[name], **{k: v for k, v in settings.items() if v is not None})
