"""Each loss against numbers worked out by hand from its paper's formula."""

from __future__ import annotations

import math

import pytest
import torch

from sparring.objectives import losses

# For logits real = 1, fake = 2, by hand: softplus(x) = log(1 + e^x).
_SP = {x: math.log1p(math.exp(x)) for x in (-2, -1, 1, 2)}
BY_HAND = {
    "minimax": (_SP[-1] + _SP[2], -_SP[2]),
    "non_saturating": (_SP[-1] + _SP[2], _SP[-2]),
    "least_squares": ((0 + 4) / 2, 1 / 2),
    "hinge": (0 + 3, -2),
    "wasserstein": (1, -2),
    "relativistic_pairing": (_SP[1], _SP[-1]),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name: str) -> None:
    loss = getattr(losses, name)
    real, fake = torch.tensor([1.0], dtype=torch.double), torch.tensor([2.0], dtype=torch.double)
    discriminator, generator = BY_HAND[name]
    assert float(loss.discriminator(real, fake)) == pytest.approx(discriminator, rel=1e-12)
    assert float(loss.generator(real, fake)) == pytest.approx(generator, rel=1e-12)


def test_relativistic_average_by_hand() -> None:
    """Each side minus the other's mean: reals 1, 3 against fakes 0, 2 (the game subtracts the means)."""
    real, fake = torch.tensor([1.0, 3.0], dtype=torch.double), torch.tensor([0.0, 2.0], dtype=torch.double)
    value = losses.relativistic_average.discriminator(real - fake.mean(), fake - real.mean()).mean()
    by_hand = (_SP[-2] + math.log1p(math.exp(0))) / 2 + (math.log1p(math.exp(-2)) + math.log1p(math.exp(0))) / 2
    assert float(value) == pytest.approx(by_hand, rel=1e-12)


def test_all_pairs_have_the_mean_of_both_sides() -> None:
    """More fakes than reals: the mean over all pairs is the mean of one side plus the mean of the other."""
    real, fake = torch.randn(4, dtype=torch.double), torch.randn(7, dtype=torch.double)
    every = losses.hinge.discriminator(real[:, None], fake[None, :]).mean()
    apart = torch.relu(1 - real).mean() + torch.relu(1 + fake).mean()
    assert float(every) == pytest.approx(float(apart), rel=1e-12)
