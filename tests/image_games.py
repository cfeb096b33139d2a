"""A turn of a game that makes images of images, without the engine: shared by the tests of such games."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from conftest import noise_of
from sparring.chance import generator
from sparring.game import Context
from sparring.networks.layers import Verdict
from sparring.objectives.penalties import PenaltyInputs
from sparring.recipe import Penalty, Turn


class Patches(nn.Module):
    """Logits of every pixel: w times the sum of its channels."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.channels = shape[0]
        self.weight = nn.Parameter(torch.tensor(0.7))

    def forward(self, x: Tensor) -> Verdict:
        assert x.shape[1] == self.channels
        return Verdict(self.weight * x.sum(1, keepdim=True))


class Drawn:
    """A batch that is given."""

    def __init__(self, real: Tensor, labels: Tensor | None = None) -> None:
        self.real, self.labels, self.size = real, labels, len(real)
        self.z = noise_of(1)


class Lent:
    """What the engine lends, on one process."""

    seen, level, processes, process = 0, None, 1, 0

    def __init__(self, players: dict[str, nn.Module]) -> None:
        self.players, self.noted = players, {}

    def mean(self, x: Tensor) -> Tensor:
        return x.mean(0)

    def note(self, **values: Tensor) -> None:
        self.noted |= values

    def penalise(self, penalty: Penalty, inputs: PenaltyInputs) -> Tensor:
        return penalty.of(inputs, {})[0]


def noise(*shape: int, name: str = "images") -> Tensor:
    return torch.rand(shape, generator=generator(name)) * 2 - 1


def played(game: Any, turn: Turn, batch: Drawn, players: dict[str, nn.Module]) -> tuple[dict[str, Tensor], Lent]:
    lent = Lent(players)
    context: Context = lent  # type: ignore[assignment]
    return game.terms(turn, batch, context), lent
