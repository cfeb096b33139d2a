"""The frozen network that a perceptual loss looks through: never trained, never saved with a run."""

from __future__ import annotations

from typing import final

from torch import Tensor

from sparring.errors import UsageError
from sparring.features import FeatureNetwork, load
from sparring.features.distance import perceptual

__all__ = ["Eyes", "trained_against"]


@final
class Eyes:
    """A feature network by its name, loaded when it first looks; None sees nothing.

    Every second of its inner layers is looked at, beginning with the first: the others have seen nothing of the
    training, and measure its result (`trained_against`).
    """

    def __init__(self, name: str | None) -> None:
        self.name = name
        self._network: FeatureNetwork | None = None

    def distance(self, made: Tensor, wanted: Tensor) -> Tensor:
        """How differently it sees two images in [-1, 1], `[n]`; differentiable in `made`."""
        if self.name is None:
            raise UsageError("a perceptual term needs a feature network; name one (eyes), or leave the term out")
        if self._network is None:
            self._network = load(self.name)
        network = self._network.to(made.device)
        theirs = [layer.detach() for layer in network.layers(wanted)]
        mine = network.layers(made)
        chosen = [place for place in range(len(mine)) if trained_against(place)]
        return perceptual([mine[k] for k in chosen], [theirs[k] for k in chosen])


def trained_against(place: int) -> bool:
    """Whether a loss looks at the inner layer with this place, the first being 0."""
    return place % 2 == 0
