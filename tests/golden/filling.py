"""Weights by name, the same everywhere: what a golden vector and the network of a test have in common."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sparring.chance import generator


def fill(network: nn.Module) -> None:
    """Every weight and running statistic drawn from its own name; spectral norms exactly those of the weights."""
    with torch.no_grad():
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            if not tensor.is_floating_point():
                continue
            noise = torch.randn(tensor.shape, generator=generator("fill", name), dtype=torch.double)
            if name.endswith("running_var"):
                noise = 0.5 + noise.square()
            elif tensor.dim() > 1:
                noise = noise / tensor[0].numel() ** 0.5
            else:
                noise = 0.3 * noise + (1.0 if name.endswith("weight") else 0.0)
            tensor.copy_(noise)
        for module in network.modules():
            if parametrize.is_parametrized(module, "weight"):
                settle(module)


def settle(module: nn.Module) -> None:
    """A spectral norm's vectors as the first singular vectors of the weight, which power iteration leaves alone."""
    stage = module.parametrizations.weight[0]  # type: ignore[union-attr, index]
    left, right = singular(module.parametrizations.weight.original)  # type: ignore[union-attr, arg-type]
    stage._u.copy_(left)
    stage._v.copy_(right)


def singular(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The first left and right singular vectors of a weight as a matrix with one row for each output."""
    left, _, right = torch.linalg.svd(weight.detach().flatten(1).double(), full_matrices=False)
    return left[:, 0], right[0]


def combination(flat: Tensor) -> Tensor:
    """Weights for a sum of outputs."""
    return torch.cos(torch.arange(len(flat), dtype=flat.dtype))


def sparse(tensor: Tensor) -> list[float]:
    """At most 12 numbers, spread over all."""
    flat = tensor.detach().flatten()
    return [float(v) for v in flat[:: max(len(flat) // 12, 1)][:12]]
