"""The players of PacGAN's experiments on points of the plane (Lin et al. 2018, section 4.1; after ALI's toy code)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from sparring.networks.layers import DiscriminatorBase, Verdict, require_count

__all__ = ["Discriminator", "Generator"]


class Generator(nn.Module):
    """z `[n, z_dim]` -> points `[n, c, h, w]`: four hidden layers of `width` units with batch norm and ReLU.

    In evaluation batch norm uses running statistics (momentum 0.05), as the authors' code does. Weights are N(0, 0.02),
    biases 0, the scale of batch norm 1.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int = 0,
        *,
        z_dim: int = 2,
        z_kind: str = "normal",
        width: int = 400,
        layers: int = 4,
    ) -> None:
        super().__init__()
        require_count(layers, "layers")
        self.shape, self.z_dim, self.z_kind = tuple(shape), z_dim, z_kind
        steps: list[nn.Module] = []
        for inputs, outputs in pairwise((z_dim, *[width] * layers)):
            steps += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs, eps=1e-4, momentum=0.05)]
            steps.append(nn.ReLU())
        self.layers = nn.Sequential(*steps, nn.Linear(width if layers else z_dim, math.prod(shape)))
        _initialise(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        points: Tensor = self.layers(z)
        return points.view(-1, *self.shape)


class Discriminator(DiscriminatorBase):
    """Points `[n, c, h, w]` -> Verdict with logits `[n]`: three maxout layers, no normalisation.

    A maxout unit is the largest of `pieces` linear ones (Goodfellow et al. 2013).
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int = 0,
        *,
        width: int = 200,
        layers: int = 3,
        pieces: int = 5,
    ) -> None:
        super().__init__()
        require_count(layers, "layers")
        self.pieces = pieces
        sizes = pairwise((math.prod(shape), *[width] * layers))
        self.layers = nn.ModuleList([nn.Linear(inputs, outputs * pieces) for inputs, outputs in sizes])
        self.head = nn.Linear(width if layers else math.prod(shape), 1)
        _initialise(self)

    def features(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """The maxout units of every layer, `[n, width]` each."""
        x, found = x.flatten(1), []
        for layer in self.layers:
            x = layer(x).unflatten(1, (-1, self.pieces)).amax(2)
            found.append(x)
        return found

    def judge(self, last: Tensor, labels: Tensor | None = None) -> Verdict:
        """Logits of the last inner layer."""
        return Verdict(self.head(last).squeeze(1))


def _initialise(network: nn.Module) -> None:
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Linear):
                module.weight.normal_(0.0, 0.02)
                if module.bias is not None:
                    module.bias.zero_()
