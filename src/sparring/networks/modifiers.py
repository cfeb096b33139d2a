"""Changes of a discriminator after it was built, whatever its architecture: `modify(network, shape, classes)`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import ParametrizationList

from sparring.errors import UsageError
from sparring.networks.conditioning import LabelPictures
from sparring.networks.equalised import unscaled
from sparring.networks.layers import DiscriminatorBase, Verdict, inner_layers

__all__ = [
    "BatchAware",
    "MinibatchDeviation",
    "MinibatchDiscrimination",
    "discriminate_minibatch",
    "freeze_layers",
    "minibatch_deviation",
    "spectral_norm",
]


def spectral_norm(
    network: nn.Module, shape: tuple[int, int, int], classes: int = 0, *, iterations: int = 1
) -> nn.Module:
    """Every weight, as a matrix, divided by an estimate of its largest singular value (Miyato et al. 2018).

    The value is estimated by `iterations` steps of the power method at every use in training (algorithm 1); vectors
    (biases, norms) are left alone. Convolutions count as matrices of one row for each output channel. A weight that
    starts at zero has no direction, which is all that normalisation leaves of one; it starts at random instead. One
    that is normalised already stays as it is, and so do pictures of labels, which D is shown. The scale of equalised
    layers gives way: divided by both, weights would vanish.
    """
    for module in [
        module for module in network.modules() if not isinstance(module, ParametrizationList | LabelPictures)
    ]:
        for name, weight in list(module._parameters.items()):
            if weight is None or weight.dim() < 2:
                continue
            if not weight.is_meta and not weight.any():
                nn.init.normal_(weight, 0.0, 0.02)
            parametrizations.spectral_norm(module, name, n_power_iterations=iterations)
            unscaled(module)
    return network


def discriminate_minibatch(
    network: nn.Module, shape: tuple[int, int, int], classes: int = 0, *, kernels: int = 50, dim: int = 5
) -> nn.Module:
    """D may look at the whole batch: minibatch discrimination on its last inner layer (Salimans et al. 2016, 3.2)."""
    last = inner_layers(network, shape, classes)[-1].shape[1:]
    return BatchAware(network, last, MinibatchDiscrimination(last.numel(), kernels, dim), kernels)


def minibatch_deviation(
    network: nn.Module, shape: tuple[int, int, int], classes: int = 0, *, group: int = 4
) -> nn.Module:
    """D may look at the standard deviation of its last inner layer over groups of images (Karras et al. 2018, 3)."""
    return BatchAware(network, inner_layers(network, shape, classes)[-1].shape[1:], MinibatchDeviation(group), 1)


def freeze_layers(network: nn.Module, shape: tuple[int, int, int], classes: int = 0, *, layers: int = 1) -> nn.Module:
    """D whose first inner layers stay as they are: for data like those it learnt before (Mo et al. 2020, FreezeD).

    Frozen is whatever the last of those `layers` is made from, but for tables of labels; what was frozen before stays
    so. Raises UsageError if D has fewer.
    """
    inner = inner_layers(network, shape, classes)
    if not 1 <= layers < len(inner):
        raise UsageError(f"{layers} layers cannot be frozen; this discriminator takes 1 to {len(inner) - 1}")
    last, parameters = inner[layers - 1], [p for p in network.parameters() if p.requires_grad]
    if not last.requires_grad:
        return network
    slopes = torch.autograd.grad(last.sum(), parameters, allow_unused=True)
    tables = {id(p) for m in network.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    for parameter, slope in zip(parameters, slopes, strict=True):
        if slope is not None and id(parameter) not in tables:
            parameter.requires_grad_(False)
    return network


class BatchAware(DiscriminatorBase):
    """A discriminator and a statistic of the batch: logits plus a linear map of the statistic.

    Where the network's head is linear in its last inner layer, that is the network with the statistic concatenated to
    that layer: head([f, s]) = head(f) + w s. Across processes each looks at its own images.
    """

    def __init__(self, network: nn.Module, last: torch.Size, statistic: nn.Module, dim: int) -> None:
        super().__init__()
        self.network: Any = network
        self.statistic, self.shape = statistic, last
        self.head = nn.Linear(dim, 1, bias=False)
        nn.init.normal_(self.head.weight, 0.0, 0.02)

    def features(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """The network's inner layers, `[n, ...]` each; the last is flat and has the statistic at its end."""
        *inner, last = self.network.features(x, labels)
        flat = last.flatten(1)
        return [*inner, torch.cat([flat, self.statistic(flat)], 1)]

    def judge(self, last: Tensor, labels: Tensor | None = None) -> Verdict:
        """Logits of the last inner layer."""
        dim = self.head.in_features
        verdict: Verdict = self.network.judge(last[:, :-dim].unflatten(1, self.shape), labels)
        return Verdict(verdict.per_image + self.head(last[:, -dim:]).squeeze(1), verdict.class_logits)


class MinibatchDiscrimination(nn.Module):
    """How near each image's features are to the others': `[n, features]` -> `[n, kernels]` (Salimans et al. 2016).

    o(x_i)_b = sum over j of exp(-|M_ib - M_jb|_1), j = i left out, which only shifts it by one; M = f T.
    """

    rows_are_inputs = True

    def __init__(self, features: int, kernels: int, dim: int) -> None:
        super().__init__()
        self.kernels, self.dim = kernels, dim
        self.tensor = nn.Parameter(torch.randn(features, kernels * dim) / math.sqrt(features))

    def forward(self, f: Tensor) -> Tensor:
        rows = (f @ self.tensor).view(len(f), self.kernels, self.dim)
        distance = (rows[:, None] - rows[None]).abs().sum(3)
        return torch.exp(-distance).sum(1) - 1


class MinibatchDeviation(nn.Module):
    """Standard deviation of features over groups of images, averaged to one number: `[n, features]` -> `[n, 1]`.

    Groups are strided, as in the reference: with n = groups x m, image i belongs to group i mod groups (Karras et al.
    2018, section 3). Where `group` does not divide n, the largest smaller number that does takes its place.
    """

    def __init__(self, group: int) -> None:
        super().__init__()
        self.group = group

    def forward(self, f: Tensor) -> Tensor:
        n = len(f)
        size = next(m for m in range(min(self.group, n), 0, -1) if n % m == 0)
        grouped = f.view(size, n // size, -1)
        variance = (grouped - grouped.mean(0)).square().mean(0)  # torch.var is slow along a first axis
        deviation = (variance + 1e-8).sqrt().mean(1)
        return deviation.repeat(size)[:, None]
