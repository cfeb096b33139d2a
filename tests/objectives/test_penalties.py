"""R1 and R2 against closed forms and finite differences, in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sparring.objectives.penalties import PenaltyInputs, r1, r2


def quadratic(images: Tensor) -> Tensor:
    """D(x) = a . x + x . x, whose gradient is a + 2 x."""
    flat = images.flatten(1)
    return flat @ torch.arange(1.0, 1 + flat.shape[1], dtype=torch.double) + flat.square().sum(1)


@pytest.mark.parametrize(("penalty", "side"), [(r1, 0), (r2, 1)], ids=["r1", "r2"])
@pytest.mark.parametrize("both", [False, True], ids=["alone", "with the other"])
def test_half_the_squared_gradient_of_each_image(penalty: object, side: int, both: bool) -> None:
    images = [torch.randn(3, 1, 2, 2, dtype=torch.double), torch.randn(5, 1, 2, 2, dtype=torch.double)]
    for place, side_images in enumerate(images):
        side_images.requires_grad_(both or place == side)
    inputs = PenaltyInputs(quadratic, *images, quadratic(images[0]), quadratic(images[1]))
    value, _ = penalty(inputs, {})  # type: ignore[operator]
    gradient = torch.arange(1.0, 5.0, dtype=torch.double) + 2 * images[side].detach().flatten(1)
    torch.testing.assert_close(value.detach(), gradient.square().sum(1) / 2, rtol=1e-12, atol=0)


def test_its_gradient_is_that_of_finite_differences() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 1)
    ).double()
    images = torch.randn(5, 1, 2, 2, dtype=torch.double)

    def value() -> Tensor:
        real = images.clone().requires_grad_()
        logits = layer(real).squeeze(1)
        found, _ = r1(PenaltyInputs(layer, real, images, logits, logits.detach()), {})
        return found.mean()

    value().backward()
    weight = layer[1].weight
    assert weight.grad is not None
    for place in [(0, 0), (3, 2), (5, 3)]:
        step = 1e-6
        with torch.no_grad():
            weight[place] += step
        up = float(value().detach())
        with torch.no_grad():
            weight[place] -= 2 * step
        down = float(value().detach())
        with torch.no_grad():
            weight[place] += step
        assert float(weight.grad[place]) == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-9)
