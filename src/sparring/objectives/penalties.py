"""Penalties on a discriminator: `penalty(inputs, state) -> (value per image, state)`, differentiable twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import torch
from torch import Tensor

__all__ = ["PenaltyFunction", "PenaltyInputs", "r1", "r2"]

State: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True)
class PenaltyInputs:
    """What a discriminator saw and said in a turn.

    `real` `[n, c, h, w]` and `fake` `[m, c, h, w]` are the images before any augmentation, the leaves of the graph
    where a penalty differentiates them; `real_logits` `[n]` and `fake_logits` `[m]` are the answers;
    `discriminator` maps images `[k, c, h, w]` to logits `[k]` for penalties that look elsewhere.
    """

    discriminator: Callable[[Tensor], Tensor]
    real: Tensor
    fake: Tensor
    real_logits: Tensor
    fake_logits: Tensor

    @cached_property
    def gradients(self) -> tuple[Tensor | None, Tensor | None]:
        """Gradients of each image's logit with respect to that image, (real, fake), one pass for both sides.

        None for a side whose images are not differentiated.
        """
        asked = [side for side in (self.real, self.fake) if side.requires_grad]
        found = iter(torch.autograd.grad(self.real_logits.sum() + self.fake_logits.sum(), asked, create_graph=True))
        real = next(found) if self.real.requires_grad else None
        return real, next(found) if self.fake.requires_grad else None


@dataclass(frozen=True)
class PenaltyFunction:
    """A penalty and the images it differentiates, which the game makes leaves of the graph before D sees them."""

    function: Callable[[PenaltyInputs, State], tuple[Tensor, State]]
    differentiates: tuple[Literal["real", "fake"], ...] = ()

    def __call__(self, inputs: PenaltyInputs, state: State) -> tuple[Tensor, State]:
        return self.function(inputs, state)


def _r1(inputs: PenaltyInputs, state: State) -> tuple[Tensor, State]:
    """1/2 |grad D(x)|^2 on reals, so that its weight is gamma (Mescheder et al. 2018, eq. 9)."""
    return _half_squared_norm(inputs.gradients[0]), state


def _r2(inputs: PenaltyInputs, state: State) -> tuple[Tensor, State]:
    """1/2 |grad D(G(z))|^2 on fakes (Mescheder et al. 2018, eq. 10)."""
    return _half_squared_norm(inputs.gradients[1]), state


def _half_squared_norm(gradient: Tensor | None) -> Tensor:
    """Half the squared norm of each image's gradient, summed over channels and pixels: `[n]`."""
    assert gradient is not None, "the penalty must list what it differentiates"
    return gradient.square().flatten(1).sum(1) / 2


r1 = PenaltyFunction(_r1, differentiates=("real",))
r2 = PenaltyFunction(_r2, differentiates=("fake",))
