"""Multilayer perceptrons for any shape: the players of the original GAN, and of every recipe on 2-D points."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from sparring.networks.layers import Verdict

__all__ = ["Discriminator", "Generator"]


class Generator(nn.Module):
    """z `[n, z_dim]` -> images `[n, c, h, w]` in [-1, 1]; points (h = w = 1) are unbounded.

    ReLU layers of the given widths (Goodfellow et al. 2014, section 5), with batch norm between if asked.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int = 0,
        *,
        z_dim: int = 100,
        z_kind: str = "normal",
        widths: tuple[int, ...] = (256, 256),
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.shape, self.z_dim, self.z_kind = tuple(shape), z_dim, z_kind
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((z_dim, *widths)):
            layers.append(nn.Linear(inputs, outputs, bias=not batch_norm))
            layers += [nn.BatchNorm1d(outputs)] if batch_norm else []
            layers.append(nn.ReLU())
        layers.append(nn.Linear(widths[-1], math.prod(shape)))
        layers += [nn.Tanh()] if shape[1:] != (1, 1) else []
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.layers(z)
        return images.view(-1, *self.shape)


class Discriminator(nn.Module):
    """Images `[n, c, h, w]` -> Verdict with logits `[n]`.

    Leaky ReLU (0.2) layers of the given widths, with batch norm and dropout if asked (the paper used maxout and
    dropout; Goodfellow et al. 2014, section 5).
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int = 0,
        *,
        widths: tuple[int, ...] = (256, 256),
        batch_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for inputs, outputs in pairwise((math.prod(shape), *widths)):
            layer: list[nn.Module] = [nn.Linear(inputs, outputs)]
            layer += [nn.BatchNorm1d(outputs)] if batch_norm else []
            layer.append(nn.LeakyReLU(0.2))
            layer += [nn.Dropout(dropout)] if dropout else []
            self.layers.append(nn.Sequential(*layer))
        self.head = nn.Linear(widths[-1], 1)

    def features(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """The activations of every layer, `[n, width]` each."""
        x, found = x.flatten(1), []
        for layer in self.layers:
            x = layer(x)
            found.append(x)
        return found

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Verdict:
        return Verdict(self.head(self.features(x)[-1]).squeeze(1))
