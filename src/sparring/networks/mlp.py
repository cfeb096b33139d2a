"""Multilayer perceptrons for any shape: the players of the original GAN, and of every recipe on 2-D points."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from sparring.networks.layers import DiscriminatorBase, Verdict, require_count

__all__ = ["Discriminator", "Generator"]


class Generator(nn.Module):
    """z `[n, z_dim]` -> images `[n, c, h, w]` in [-1, 1]; points (h = w = 1) are unbounded.

    `layers` ReLU layers of `width` units (Goodfellow et al. 2014, section 5), with batch norm between if asked.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int = 0,
        *,
        z_dim: int = 100,
        z_kind: str = "normal",
        width: int = 256,
        layers: int = 2,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        require_count(layers, "layers")
        self.shape, self.z_dim, self.z_kind = tuple(shape), z_dim, z_kind
        steps: list[nn.Module] = []
        for inputs, outputs in pairwise((z_dim, *[width] * layers)):
            steps.append(nn.Linear(inputs, outputs, bias=not batch_norm))
            steps += [nn.BatchNorm1d(outputs)] if batch_norm else []
            steps.append(nn.ReLU())
        steps.append(nn.Linear(width if layers else z_dim, math.prod(shape)))
        steps += [nn.Tanh()] if shape[1:] != (1, 1) else []
        self.layers = nn.Sequential(*steps)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.layers(z)
        return images.view(-1, *self.shape)


class Discriminator(DiscriminatorBase):
    """Images `[n, c, h, w]` -> Verdict with logits `[n]`.

    `layers` leaky ReLU (0.2) layers of `width` units, with batch norm and dropout if asked (the paper used maxout and
    dropout; Goodfellow et al. 2014, section 5). Without layers it is linear.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int = 0,
        *,
        width: int = 256,
        layers: int = 2,
        batch_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        require_count(layers, "layers")
        self.layers = nn.ModuleList()
        for inputs, outputs in pairwise((math.prod(shape), *[width] * layers)):
            layer: list[nn.Module] = [nn.Linear(inputs, outputs)]
            layer += [nn.BatchNorm1d(outputs)] if batch_norm else []
            layer.append(nn.LeakyReLU(0.2))
            layer += [nn.Dropout(dropout)] if dropout else []
            self.layers.append(nn.Sequential(*layer))
        self.head = nn.Linear(width if layers else math.prod(shape), 1)

    def features(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """The activations of every layer, `[n, width]` each; without layers the image itself, flat."""
        x, found = x.flatten(1), []
        for layer in self.layers:
            x = layer(x)
            found.append(x)
        return found or [x]

    def judge(self, last: Tensor, labels: Tensor | None = None) -> Verdict:
        """Logits of the last inner layer."""
        return Verdict(self.head(last).squeeze(1))
