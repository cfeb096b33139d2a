"""Feature networks: frozen eyes for metrics, perceptual losses and feature discriminators. One file a network."""

from __future__ import annotations

from collections.abc import Mapping

from sparring.errors import UsageError
from sparring.features.network import FeatureNetwork, Features, FeatureSource
from sparring.names import choose, discover

__all__ = ["FeatureNetwork", "FeatureSource", "Features", "best_for", "load", "sources", "usable"]

_SMALL = 32


def sources() -> Mapping[str, FeatureSource]:
    """Every network by its name, whether or not its weights are here: ask its `missing()`.

    >>> list(sources())
    ['grey28', 'inception', 'lite0']
    """
    found = (member for member in discover("features").values() if isinstance(member, FeatureSource))
    return {source.name: source for source in found}


def load(name: str) -> FeatureNetwork:
    """The network of that name, ready to look; raises UsageError where there is none or its weights are missing."""
    return usable(name).load()


def usable(name: str) -> FeatureSource:
    """The source of that network, whose weights are here; raises UsageError where there is none or they are missing."""
    source = sources()[choose(name, sources(), "feature network")]
    sentence = source.missing()
    if sentence is not None:
        here = ", ".join(other.name for other in sources().values() if other.missing() is None)
        raise UsageError(f"{sentence}; features that can be used now: {here}")
    return source


def best_for(shape: tuple[int, int, int]) -> str:
    """The name of the network to use for images of this (channels, height, width), of those whose weights are here.

    Small grey images get `grey28`, which knows them. Everything else gets the canonical Inception, else `lite0`, else
    `grey28` all the same: then colour and detail are not seen, and the protocol of the score says so.

    >>> best_for((1, 28, 28))
    'grey28'
    """
    channels, height, width = shape
    if channels == 1 and max(height, width) <= _SMALL:
        return "grey28"
    return next(name for name in ("inception", "lite0", "grey28") if sources()[name].missing() is None)
