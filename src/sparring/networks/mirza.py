"""The perceptrons of the first conditional GAN (Mirza & Osindero 2014, section 4.1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, one_hot

from sparring.networks.layers import DiscriminatorBase, Verdict

__all__ = ["Discriminator", "Generator"]


class Generator(nn.Module):
    """z `[n, z_dim]`, labels `[n]` -> images `[n, c, h, w]` in [-1, 1].

    z and the one-hot label have a hidden layer each, ReLU, `width` and 5 x width units, and share one of 6 x width
    (200, 1,000 and 1,200 are the paper's), with dropout. z is uniform.
    """

    takes_labels = True

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int = 0,
        *,
        width: int = 200,
        z_dim: int = 100,
        z_kind: str = "uniform",
    ) -> None:
        super().__init__()
        self.shape, self.classes, self.z_dim, self.z_kind = tuple(shape), classes, z_dim, z_kind
        self.noise = nn.Linear(z_dim, width)
        self.label = nn.Linear(classes, 5 * width) if classes else None
        self.joint = nn.Linear(6 * width if classes else width, 6 * width)
        self.head = nn.Linear(6 * width, math.prod(shape))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        parts = [self.noise(z)]
        if self.label is not None and labels is not None:
            parts.append(self.label(one_hot(labels, self.classes).to(z.dtype)))
        x = dropout(torch.cat(parts, 1).relu(), 0.5, self.training)
        x = dropout(self.joint(x).relu(), 0.5, self.training)
        images: Tensor = self.head(x)
        return images.tanh().view(-1, *self.shape)


class Discriminator(DiscriminatorBase):
    """Images `[n, c, h, w]`, labels `[n]` -> Verdict with logits `[n]`: maxout layers with dropout.

    Images have `width` units of 5 pieces, the one-hot label 5/24 as many, and they share `width` units of 4 pieces (240
    and 50 are the paper's). A maxout unit is the largest of its pieces (Goodfellow et al. 2013).
    """

    takes_labels = True

    def __init__(self, shape: tuple[int, int, int], classes: int = 0, *, width: int = 240) -> None:
        super().__init__()
        told = max(5 * width // 24, 1) if classes else 0
        self.classes = classes
        self.image = nn.Linear(math.prod(shape), 5 * width)
        self.label = nn.Linear(classes, 5 * told) if classes else None
        self.joint = nn.Linear(width + told, 4 * width)
        self.head = nn.Linear(width, 1)

    def features(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """The maxout units of both layers, `[n, units]` each."""
        parts = [_maxout(self.image(x.flatten(1)), 5)]
        if self.label is not None and labels is not None:
            parts.append(_maxout(self.label(one_hot(labels, self.classes).to(x.dtype)), 5))
        first = dropout(torch.cat(parts, 1), 0.5, self.training)
        return [first, dropout(_maxout(self.joint(first), 4), 0.5, self.training)]

    def judge(self, last: Tensor, labels: Tensor | None = None) -> Verdict:
        """Logits of the last inner layer."""
        return Verdict(self.head(last).squeeze(1))


def _maxout(x: Tensor, pieces: int) -> Tensor:
    largest: Tensor = x.unflatten(1, (-1, pieces)).amax(2)
    return largest
