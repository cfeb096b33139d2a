"""Under which conditions modes are counted: data, networks, optimiser, length, and what is looked at in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sparring.errors import UsageError
from sparring.recipe import Optim, Recipe, Turn
from sparring.recipes.changes import network as with_network
from sparring.recipes.spelling import recipe_named, split_word

__all__ = ["PROTOCOLS", "SETS", "Protocol", "rebased", "rounds_of"]

SETS = ("ring8", "grid25", "grid100", "stacked-mnist")

_PLAIN = (Turn(("discriminator",)), Turn(("generator",)))


@dataclass(frozen=True)
class Protocol:
    """A published protocol, or a shorter one that says so.

    `network` and `optims` take the place of every recipe's own (None and empty: each keeps its own). `batch` is the
    number of packs that D sees of either kind. A trial lasts for `rounds`, or for so many `turns`, which gives recipes
    with many turns a round fewer rounds. `simultaneous` lets both players of a plain recipe move at once. At the
    end `samples` are drawn from fixed seeds with the last weights, not with averaged ones: averaging draws each mode
    together.
    """

    name: str
    network: str | None
    optims: Mapping[str, Optim] = field(default_factory=dict)
    batch: int | None = None
    rounds: int | None = None
    turns: int = 10_000
    samples: int = 2500
    points: int = 100_000
    simultaneous: bool = False
    words: str = ""


_LIN = {name: Optim(rate=1e-4, betas=(0.8, 0.999)) for name in ("generator", "discriminator")}
_METZ = {
    "generator": Optim(rate=1e-4, betas=(0.5, 0.99)),
    "discriminator": Optim(rate=2e-4, betas=(0.5, 0.99)),
}

_PLANE = {
    "exact": Protocol(
        "exact",
        "pacgan",
        _LIN,
        batch=100,
        rounds=400_000,
        simultaneous=True,
        words="PacGAN's: 400,000 rounds of 100 packs, both players at once, Adam 1e-4 (0.8, 0.999)",
    ),
    "quick": Protocol(
        "quick",
        "pacgan",
        _LIN,
        batch=100,
        words="ours, with PacGAN's networks and optimiser: 10,000 turns (5,000 rounds of a plain recipe) of 100 packs, "
        "one player after the other",
    ),
    "networks": Protocol(
        "networks",
        "pacgan",
        batch=100,
        words="ours, with PacGAN's networks: 10,000 turns (5,000 rounds of a plain recipe) of 100 packs, each recipe's "
        "own optimiser",
    ),
    "own": Protocol(
        "own",
        None,
        turns=60_000,
        words="ours: 60,000 turns (30,000 rounds of a plain recipe), each recipe's own players, optimiser and batch",
    ),
}
# A grid takes three times as many steps as a ring until there is something to compare, and few points a step suffice.
_GRID = {
    **_PLANE,
    "quick": replace(
        _PLANE["quick"],
        batch=32,
        turns=30_000,
        words="ours, with PacGAN's networks and optimiser: 30,000 turns (15,000 rounds of a plain recipe) of 32 packs, "
        "one player after the other",
    ),
}
PROTOCOLS: Mapping[str, Mapping[str, Protocol]] = {
    "ring8": _PLANE,
    "grid25": _GRID,
    "grid100": _GRID,
    "stacked-mnist": {
        "exact": Protocol(
            "exact",
            "metz",
            _METZ,
            batch=128,
            rounds=500_000,
            samples=25_600,
            words="PacGAN's for Metz et al.'s networks, D of a quarter of G's size: 500,000 rounds of 128 packs",
        ),
        "quick": Protocol(
            "quick",
            "metz",
            _METZ,
            batch=128,
            turns=40_000,
            samples=26_000,
            words="ours, with Metz et al.'s networks and PacGAN's optimiser, D of a quarter of G's size: 40,000 turns "
            "of 128 packs",
        ),
        "networks": Protocol(
            "networks",
            "metz",
            batch=128,
            turns=40_000,
            samples=26_000,
            words="ours, with Metz et al.'s networks, D of a quarter of G's size: 40,000 turns of 128 packs, each "
            "recipe's own optimiser",
        ),
        "own": Protocol(
            "own",
            None,
            turns=40_000,
            samples=26_000,
            words="ours: 40,000 turns, each recipe's own players and optimiser",
        ),
    },
}


_OF_NETWORKS = {"network", "width", "z_dim", "layers", "blocks", "upsample", "batch_norm", "dropout"}
_OF_OPTIMS = {"rate", "beta1", "discriminator_rate", "decay"}


def rebased(word: str, protocol: Protocol) -> Recipe:
    """A recipe under a protocol: its losses, penalties and turns, with the protocol's players, optimiser and batch.

    Raises UsageError for settings that the protocol would replace, and for recipes that draw no samples.
    """
    replaced = _OF_NETWORKS if protocol.network is not None else set()
    replaced = replaced | (_OF_OPTIMS if protocol.optims else set()) | ({"batch"} if protocol.batch else set())
    for key, _ in split_word(word)[1]:
        if key in replaced:
            raise UsageError(
                f"the {protocol.name} protocol gives every recipe the same {key}; leave it out of {word}, or use "
                "--protocol own"
            )
    recipe = recipe_named(word)
    if recipe.of_images:
        raise UsageError(f"{word} makes images of images, whose modes are those of what it is given; leave it out")
    if protocol.network is not None:
        recipe = with_network(recipe, protocol.network)
    if protocol.optims:
        recipe = recipe.but(optims=protocol.optims)
    if protocol.simultaneous:
        if recipe.turns != _PLAIN or recipe.game_arguments.get("unroll"):
            raise UsageError(
                f"in the {protocol.name} protocol both players move at once, which {recipe.name} does not; use gan, "
                "pacgan or another plain recipe, or --protocol quick"
            )
        recipe = recipe.but(turns=(Turn(("discriminator", "generator")),))
    if protocol.batch is not None:
        recipe = recipe.but(batch=protocol.batch * packing_of(recipe))
    return recipe


def rounds_of(recipe: Recipe, protocol: Protocol) -> int:
    """A trial's rounds: a turn of every fourth round counts as a quarter, a step of D that G looks ahead as a whole."""
    if protocol.rounds is not None:
        return protocol.rounds
    ahead = int(recipe.game_arguments.get("unroll", 0))
    return max(int(protocol.turns / (sum(turn.times / turn.every for turn in recipe.turns) + ahead)), 1)


def packing_of(recipe: Recipe) -> int:
    """Images in a pack of the recipe's game."""
    return int(recipe.game_arguments.get("packing", 1))
