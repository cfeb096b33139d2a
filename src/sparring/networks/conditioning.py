"""Labels for players of any architecture: concatenated, projected, or told by an auxiliary classifier.

Generators without a way of their own to take labels get them beside z; a discriminator gets a label as one more channel
(Mirza & Osindero 2014), as a projection of its last inner layer (Miyato & Koyama 2018), or has to tell it (Odena et
al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from sparring.networks.layers import DiscriminatorBase, Verdict, inner_layers

__all__ = [
    "AuxiliaryDiscriminator",
    "ClassHead",
    "LabelPictures",
    "LabelledDiscriminator",
    "LabelledGenerator",
    "ProjectionDiscriminator",
    "project_labels",
    "tell_classes",
    "without_labels",
]


class LabelledGenerator(nn.Module):
    """A generator of `[z, embedding of the label]`; `network` makes it for an input of `z_dim + dim` numbers.

    With a one-hot label the first layer would learn a vector for each class as well; here its size does not depend on
    the number of classes, so that a generator can be taken to other ones. Embeddings begin with length 1, as a one-hot
    label has: of the length of z, they weigh as much as it, and under a D that is not told the label G learns one image
    a class.
    """

    takes_labels = True

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        network: Callable[..., nn.Module],
        z_dim: int,
        dim: int = 32,
    ) -> None:
        super().__init__()
        self.classes, self.z_dim = classes, z_dim
        self.embedding = nn.Embedding(classes, dim)
        nn.init.normal_(self.embedding.weight, 0.0, dim**-0.5)
        self.network: Any = network(shape, 0, z_dim=z_dim + dim)
        self.z_kind = self.network.z_kind

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        images: Tensor = self.network(torch.cat([z, self.embedding(labels)], 1))
        return images


class LabelPictures(nn.Embedding):
    """A picture for each class that D is shown: an input and no layer, so that norms and bounds are not for it."""

    unbounded = True


class ClassHead(nn.Linear):
    """The layer that tells classes: no part of what is bounded where D's verdict is a distance."""

    unbounded = True


class LabelledDiscriminator(nn.Module):
    """A discriminator of images with one more channel, a learned picture of the label; `network` makes it."""

    takes_labels = True

    def __init__(self, shape: tuple[int, int, int], classes: int, *, network: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.shape = (1, *shape[1:])
        self.embedding = LabelPictures(classes, shape[1] * shape[2])
        self.network: Any = network((shape[0] + 1, *shape[1:]), 0)

    def features(self, x: Tensor, labels: Tensor) -> list[Tensor]:
        """The network's inner layers, `[n, ...]` each."""
        found: list[Tensor] = self.network.features(self._with(x, labels))
        return found

    def judge(self, last: Tensor, labels: Tensor) -> Verdict:
        """Logits of the last inner layer."""
        verdict: Verdict = self.network.judge(last)
        return verdict

    def forward(self, x: Tensor, labels: Tensor) -> Verdict:
        return self.judge(self.features(x, labels)[-1], labels)

    def _with(self, x: Tensor, labels: Tensor) -> Tensor:
        label = self.embedding(labels).unflatten(1, self.shape).to(x.dtype)
        if label.shape[2:] != x.shape[2:]:  # players that grow begin with smaller images
            label = adaptive_avg_pool2d(label, (x.shape[2], x.shape[3]))
        return torch.cat([x, label], 1)


class ProjectionDiscriminator(nn.Module):
    """Logits plus <embedding of the label, last inner layer> (Miyato & Koyama 2018, eq. 3)."""

    takes_labels = True

    def __init__(self, network: nn.Module, last: torch.Size, classes: int) -> None:
        super().__init__()
        self.network: Any = network
        self.embedding = nn.Embedding(classes, last.numel())
        nn.init.xavier_uniform_(self.embedding.weight)

    def features(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """The network's inner layers, `[n, ...]` each."""
        found: list[Tensor] = self.network.features(x)
        return found

    def judge(self, last: Tensor, labels: Tensor) -> Verdict:
        """Logits of the last inner layer."""
        verdict: Verdict = self.network.judge(last)
        projection = (self.embedding(labels) * last.flatten(1)).sum(1)
        return Verdict(verdict.per_image + projection, verdict.class_logits)

    def forward(self, x: Tensor, labels: Tensor) -> Verdict:
        return self.judge(self.features(x)[-1], labels)


class AuxiliaryDiscriminator(DiscriminatorBase):
    """Logits, and logits of the classes from the last inner layer (Odena et al. 2017).

    It is never told a label; what it says of them is a term of its own in either player's turn.
    """

    takes_labels = True

    def __init__(self, network: nn.Module, last: torch.Size, classes: int) -> None:
        super().__init__()
        self.network: Any = network
        self.classes = ClassHead(last.numel(), classes)
        nn.init.xavier_uniform_(self.classes.weight)
        nn.init.zeros_(self.classes.bias)

    def features(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """The network's inner layers, `[n, ...]` each."""
        found: list[Tensor] = self.network.features(x)
        return found

    def judge(self, last: Tensor, labels: Tensor | None = None) -> Verdict:
        """Logits of the last inner layer."""
        return Verdict(self.network.judge(last).per_image, self.classes(last.flatten(1)))


def without_labels(shape: tuple[int, int, int], classes: int, *, network: Callable[..., nn.Module]) -> nn.Module:
    """A player that takes labels, built without: what a projection or a classifier is put on must not know them."""
    return network(shape, 0)


def project_labels(network: nn.Module, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """D with a projection of the label, whatever its architecture."""
    return ProjectionDiscriminator(network, inner_layers(network, shape)[-1].shape[1:], classes)


def tell_classes(network: nn.Module, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """D with an auxiliary classifier, whatever its architecture."""
    return AuxiliaryDiscriminator(network, inner_layers(network, shape)[-1].shape[1:], classes)
