"""Penalties on the weights of the player on turn, whatever the images: orthogonality and historical averaging."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sparring.objectives.penalties import PenaltyFunction, PenaltyInputs, State

__all__ = ["historical_averaging", "orthogonal"]


_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
"""Layers whose weights are stored with one row for each input; others say so by `rows_are_inputs`."""


def _orthogonal(inputs: PenaltyInputs, state: State) -> tuple[Tensor, State]:
    """Sum over layers of |W W^T * (1 - I)|_F^2: filters apart, their norms left free (Brock et al. 2019, eq. 3).

    W is a layer's weight as a matrix, one row for each output; vectors (biases, norms) are left alone, and so are
    tables of embeddings, whose rows may be more than can stand apart.
    """
    total, network = inputs.fake.new_zeros(()), inputs.network
    tables = _weights(network, lambda module: isinstance(module, nn.Embedding))
    turned = _weights(network, lambda m: isinstance(m, _TRANSPOSED) or getattr(m, "rows_are_inputs", False))
    for weight in network.parameters():
        if weight.dim() > 1 and id(weight) not in tables:
            rows = (weight.transpose(0, 1) if id(weight) in turned else weight).flatten(1)
            products = rows @ rows.t()
            total = total + products.square().sum() - products.diagonal().square().sum()
    return total.expand(1), state


def _weights(network: nn.Module, chosen: Callable[[nn.Module], bool]) -> set[int]:
    """Which weights belong to chosen layers, also where a parametrisation such as spectral norm holds them."""
    return {id(weight) for module in network.modules() if chosen(module) for weight in module.parameters()}


def _historical_averaging(inputs: PenaltyInputs, state: State) -> tuple[Tensor, State]:
    """|theta - mean of all earlier theta|^2 (Salimans et al. 2016, section 3.3); zero in its first turn.

    The state is the running mean of every weight and the number of turns in it.
    """
    named = dict(inputs.network.named_parameters())
    count = state["count"] if state else torch.zeros((), device=inputs.fake.device)
    total = inputs.fake.new_zeros(())
    means = {"count": count + 1}
    for name, weight in named.items():
        now = weight.detach()
        mean = state.get(name, now)
        total = total + (weight - mean).square().sum()
        means[name] = torch.lerp(mean, now, (1 / (count + 1)).to(now.dtype))
    return total.expand(1), means


orthogonal = PenaltyFunction(_orthogonal, turn="any")
historical_averaging = PenaltyFunction(_historical_averaging, turn="any")
