"""Looking ahead against explicit unrolled games and against torch's own optimisers."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from sparring.game import OptimizerState
from sparring.games.lookahead import look_ahead
from sparring.networks.dcgan import Discriminator
from sparring.networks.layers import Verdict
from sparring.recipe import Optim


class Line(nn.Module):
    """D(x) = w x for numbers."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight, dtype=torch.double))

    def forward(self, x: Tensor) -> Verdict:
        return Verdict(x * self.weight)


def settled(optim: Optim, rate: float, moments: dict[str, dict[str, Tensor]] | None = None) -> OptimizerState:
    return OptimizerState(optim, rate, (0.5, 0.9), moments or {})


def alone(x: Tensor) -> Tensor:
    """The mean over all processes, of which there is one."""
    return x.mean(0)


def explicit(weight: float, shift: float, steps: int, rate: float) -> float:
    """G's loss after `steps` gradient steps of D, written out: D(x) = w x, x = 1, G(z) = b, dL/dw by hand."""
    for _ in range(steps):
        real, fake = weight, weight * shift
        slope = -1 / (1 + math.exp(real)) + shift / (1 + math.exp(-fake))
        weight -= rate * slope
    return -math.log1p(math.exp(weight * shift))


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_a_game_of_two_numbers(steps: int) -> None:
    """The value and its derivative by G's number, against the written-out game and its finite differences."""
    network, shift = Line(0.7), torch.tensor([-0.4], dtype=torch.double, requires_grad=True)
    one = torch.ones(1, dtype=torch.double)

    def loss(judge: Any) -> Tensor:
        return (softplus(-judge(one).per_image) + softplus(judge(shift).per_image)).mean()

    ahead = look_ahead(network, settled(Optim(kind="sgd"), 0.8), loss, steps, mean=alone)
    value = (-softplus(ahead(shift).per_image)).sum()
    assert float(value.detach()) == pytest.approx(explicit(0.7, -0.4, steps, 0.8), rel=1e-12)
    (slope,) = torch.autograd.grad(value, shift)
    up, down = (explicit(0.7, -0.4 + step, steps, 0.8) for step in (1e-6, -1e-6))
    assert float(slope) == pytest.approx((up - down) / 2e-6, rel=1e-6)
    assert float(network.weight.detach()) == 0.7


OPTIMS = {
    "adam": (Optim(kind="adam", betas=(0.5, 0.9)), lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.5, 0.9))),
    "sgd": (Optim(kind="sgd", momentum=0.9), lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9)),
    "rmsprop": (Optim(kind="rmsprop"), lambda p: torch.optim.RMSprop(p, lr=0.01)),
}


@pytest.mark.parametrize("kind", OPTIMS)
def test_steps_are_those_of_torch(kind: str) -> None:
    """Three steps ahead from moments that two real steps left, against three more real steps."""
    torch.manual_seed(0)
    optim, make = OPTIMS[kind]
    network = Discriminator((1, 8, 8), width=4).double()
    real, fake = (torch.randn(6, 1, 8, 8, dtype=torch.double) for _ in range(2))
    optimizer = make(network.parameters())

    def loss(judge: Any) -> Tensor:
        return (softplus(-judge(real).per_image) + softplus(judge(fake).per_image)).mean()

    def step(net: nn.Module, by: torch.optim.Optimizer) -> None:
        by.zero_grad()
        loss(net).backward()
        by.step()

    for _ in range(2):
        step(network, optimizer)
    moments = {
        name: {k: m.detach().clone() for k, m in optimizer.state[p].items() if isinstance(m, Tensor)}
        for name, p in network.named_parameters()
    }
    before = copy.deepcopy(network.state_dict())
    ahead = look_ahead(network, OptimizerState(optim, 0.01, (0.5, 0.9), moments), loss, 3, mean=alone)
    assert all(torch.equal(before[name], now) for name, now in network.state_dict().items())  # batch norm included
    found = ahead(fake).per_image
    for _ in range(3):
        step(network, optimizer)
    torch.testing.assert_close(found.detach(), network(fake).per_image.detach(), rtol=1e-7, atol=1e-9)


def test_dead_units_spread_no_nan() -> None:
    """Adam divides by the root of a squared gradient that is exactly zero: its derivative must be zero, not NaN."""

    class Dead(Line):
        def forward(self, x: Tensor) -> Verdict:
            return Verdict(torch.relu(-x.abs() * self.weight) + 0 * self.weight)

    shift = torch.tensor([0.5], dtype=torch.double, requires_grad=True)

    def loss(judge: Any) -> Tensor:
        return softplus(judge(shift).per_image).mean() + 0 * shift.sum()

    ahead = look_ahead(Dead(1.0), settled(Optim(), 0.1), loss, 2, mean=alone)
    (slope,) = torch.autograd.grad(ahead(shift).per_image.sum(), shift, allow_unused=True)
    assert slope is None or torch.isfinite(slope).all()


def test_processes_step_ahead_down_the_gradient_of_all_their_images() -> None:
    """Halves of a batch, with the mean over both, go where the whole goes; each by itself goes elsewhere."""
    torch.manual_seed(0)
    network, images = Line(0.7), torch.randn(4, dtype=torch.double)

    def stepped(part: Tensor, mean: Callable[[Tensor], Tensor]) -> float:
        ahead = look_ahead(
            network, settled(Optim(kind="sgd"), 0.8), lambda judge: softplus(judge(part).per_image).mean(), 1, mean=mean
        )
        return float(ahead(torch.ones(1, dtype=torch.double)).per_image.detach())

    rows: list[Tensor] = []
    one = stepped(images[2:], lambda x: rows.append(x) or x.mean(0))  # type: ignore[func-returns-value]
    both = stepped(images[:2], lambda x: torch.cat([x, rows.pop(0)]).mean(0))
    assert both == pytest.approx(stepped(images, alone), rel=1e-12)
    assert both != pytest.approx(one, rel=0.01)
    assert not rows
