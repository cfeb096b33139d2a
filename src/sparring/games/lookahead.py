"""Looking ahead: a player as it would be after some more of its own steps, differentiably (Metz et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast, final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from sparring.game import OptimizerState
from sparring.networks.layers import Verdict
from sparring.objectives.distances import root

__all__ = ["Ahead", "Judge", "look_ahead"]

Judge: TypeAlias = Callable[..., Verdict]


def look_ahead(
    network: nn.Module,
    optimizer: OptimizerState,
    loss: Callable[[Judge], Tensor],
    steps: int,
    *,
    mean: Callable[[Tensor], Tensor],
) -> Judge:
    """The discriminator after `steps` steps down `loss(judge)`, as a function of images; `network` is not touched.

    The result's graph leads through the steps to everything in `loss` that has a gradient (Metz et al. 2017). `mean` is
    that of `[n, ...]` over all processes, which step down the gradient of all their images, as in D's own turns.
    """
    parameters = {name: p.detach().clone().requires_grad_() for name, p in network.named_parameters()}
    ahead = Ahead(network, parameters, {name: b.clone() for name, b in network.named_buffers()})
    moving = [name for name in parameters if name in optimizer.moments or not optimizer.moments]  # others are frozen
    moments = {name: dict(optimizer.moments.get(name, {})) for name in moving}
    for _ in range(steps):
        leaves = [ahead.parameters[name] for name in moving]
        gradients = torch.autograd.grad(loss(ahead), leaves, create_graph=True, allow_unused=True)
        stepped = dict(ahead.parameters)
        for name, weight, gradient in zip(moving, leaves, gradients, strict=True):
            if gradient is not None:
                stepped[name] = _step(weight, mean(gradient[None]), moments[name], optimizer)
        ahead = Ahead(network, stepped, ahead.buffers)
    return ahead


@final
@dataclass(frozen=True)
class Ahead:
    """A discriminator with other weights: images `[n, c, h, w]`, and labels if it takes any -> Verdict."""

    network: nn.Module
    parameters: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]

    def __call__(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        taken = (images,) if labels is None else (images, labels)
        return cast(Verdict, functional_call(self.network, {**self.parameters, **self.buffers}, taken))


def _step(weight: Tensor, gradient: Tensor, moments: dict[str, Tensor], now: OptimizerState) -> Tensor:
    """One differentiable step as torch's optimisers take it; `moments` moves on."""
    optim = now.optim
    if optim.kind == "adam":
        return weight - now.rate * _adam_direction(gradient, moments, now)
    if optim.kind == "rmsprop":
        mean = moments.get("square_avg", torch.zeros_like(weight))
        moments["square_avg"] = 0.99 * mean + 0.01 * gradient.square()
        gradient = gradient / (root(moments["square_avg"]) + optim.eps)
    if optim.momentum:
        buffer = moments.get("momentum_buffer")
        moments["momentum_buffer"] = gradient if buffer is None else optim.momentum * buffer + gradient
        gradient = moments["momentum_buffer"]
    return weight - now.rate * gradient


def _adam_direction(gradient: Tensor, moments: dict[str, Tensor], now: OptimizerState) -> Tensor:
    """Adam's step for a rate of 1 (Kingma & Ba 2015, algorithm 1)."""
    first, second = now.betas
    count = moments.get("step", torch.zeros((), device=gradient.device)).double() + 1
    mean = first * moments.get("exp_avg", torch.zeros_like(gradient)) + (1 - first) * gradient
    square = second * moments.get("exp_avg_sq", torch.zeros_like(gradient)) + (1 - second) * gradient.square()
    moments.update(step=count, exp_avg=mean, exp_avg_sq=square)
    return mean / (1 - first**count) / (root(square / (1 - second**count)) + now.optim.eps)
