"""DiffAugment and instance noise against their definitions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from conftest import noise_of
from sparring.augment.diffaugment import diffaugment
from sparring.augment.noise import instance_noise

POLICIES = ("color", "translation", "cutout")


def fixed(*rows: list[float]) -> object:
    """Draws in [-1, 1] from a list, one row for each call, the same for every image."""
    left = list(rows)
    return lambda n, dim, kind: torch.tensor(left.pop(0)).expand(n, dim)


@pytest.mark.parametrize("kind", POLICIES)
def test_at_strength_zero_nothing_happens(kind: str) -> None:
    images = torch.randn(4, 3, 9, 12)
    assert torch.equal(diffaugment(images, torch.tensor(0.0), noise_of(0), policy=(kind,)), images)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", POLICIES)
def test_gradients_flow(kind: str) -> None:
    images = torch.randn(4, 3, 8, 8, requires_grad=True)
    found = diffaugment(images, torch.tensor(1.0), noise_of(0), policy=(kind,))  # type: ignore[arg-type]
    (gradient,) = torch.autograd.grad(found.square().sum(), images)
    assert float(gradient.abs().sum()) > 0


def test_colour_by_hand() -> None:
    """Draws 0.5, -0.5, 1 in [-1, 1]: brightness + 0.25, saturation x 0.5, contrast x 1.5."""
    images = torch.tensor([1.0, 0.0, -0.4, 0.2, 0.0, 0.1]).view(1, 3, 1, 2)
    found = diffaugment(images, torch.tensor(1.0), fixed([0.0], [0.5, -0.5, 1.0]), policy=("color",))  # type: ignore[arg-type]
    bright = images + 0.25
    grey = bright.mean(1, keepdim=True)
    saturated = grey + 0.5 * (bright - grey)
    expected = saturated.mean() + 1.5 * (saturated - saturated.mean())
    torch.testing.assert_close(found, expected)


def test_translation_moves_and_fills_with_zero() -> None:
    """Shares 0.999 and -0.999 are the extremes: an eighth of 16 pixels down and to the left."""
    images = torch.randn(2, 1, 16, 16)
    found = diffaugment(images, torch.tensor(1.0), fixed([0.0], [0.999, -0.999]), policy=("translation",))  # type: ignore[arg-type]
    expected = torch.zeros_like(images)
    expected[:, :, :-2, 2:] = images[:, :, 2:, :-2]
    assert torch.equal(found, expected)


def test_every_shift_is_equally_likely() -> None:
    """Five shifts of 16 pixels: shares of 4,000 draws within four standard errors of a fifth."""
    images = torch.arange(16.0).view(1, 1, 1, 16).expand(4000, 1, 16, 16)
    found = diffaugment(images, torch.tensor(1.0), noise_of(5), policy=("translation",))
    shares = [(found[:, 0, 8, 8] == 8 + shift).float().mean() for shift in (-2, -1, 0, 1, 2)]
    assert all(abs(float(share) - 0.2) < 4 * (0.2 * 0.8 / 4000) ** 0.5 for share in shares)


def test_cutout_makes_a_hole_of_half_the_size() -> None:
    """In the middle the hole is whole; at the border a part of it is outside."""
    images = torch.ones(1, 1, 8, 8)
    middle = diffaugment(images, torch.tensor(1.0), fixed([0.0], [0.0, 0.0]), policy=("cutout",))  # type: ignore[arg-type]
    assert float((middle == 0).sum()) == 16
    corner = diffaugment(images, torch.tensor(1.0), fixed([0.0], [-1.0, -1.0]), policy=("cutout",))  # type: ignore[arg-type]
    assert float((corner == 0).sum()) == 4


def test_each_image_has_its_own_draws() -> None:
    images = torch.ones(64, 1, 8, 8)
    found: Tensor = diffaugment(images, torch.tensor(0.5), noise_of(0), policy=("cutout",))
    touched = (found == 0).any(3).any(2).flatten()
    assert 16 < int(touched.sum()) < 48


def test_instance_noise_has_the_sigma_it_is_given() -> None:
    images = torch.zeros(100, 3, 8, 8)
    found = instance_noise(images, torch.tensor(0.3), noise_of(0))
    assert float(found.std()) == pytest.approx(0.3, rel=0.02)
    assert torch.equal(instance_noise(images, torch.tensor(0.0), noise_of(0)), images)
