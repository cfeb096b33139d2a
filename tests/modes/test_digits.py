"""Stacked digits: triples whose modes are known by their labels, and read colour by colour."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from sparring.data import Dataset, open_data
from sparring.errors import DataError
from sparring.modes import digits
from sparring.modes.digits import StackedDigits, modes_of


class Brightness:
    """Reads the digit that every pixel of an image is; of clothes, the ten classes behind, it is surer still."""

    def features(self, images: Tensor) -> SimpleNamespace:
        assert images.shape[1:] == (1, 28, 28)
        seen = one_hot(images[:, 0, 0, 0].long(), 10)
        return SimpleNamespace(logits=torch.cat([seen, torch.full_like(seen, 2)], 1))


@pytest.fixture
def flat(folder: Path) -> Dataset:
    """Two hundred digits, in turn; all pixels of each are the digit itself."""
    labels = np.arange(200) % 10
    pixels = labels.astype(np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2)
    np.savez(folder / "digits.npz", images=pixels, labels=labels)
    return open_data(folder / "digits.npz")


def test_triples_are_a_function_of_their_seed_and_place(flat: Dataset) -> None:
    stacked = StackedDigits(flat, seed=3, count=500)
    images, modes = stacked.images(torch.arange(500)), stacked.modes(torch.arange(500))
    assert images.shape == (500, 3, 28, 28)
    assert torch.equal(images[7], StackedDigits(flat, seed=3, count=500).images(torch.tensor([7]))[0])
    assert 350 < len(modes.unique()) < 420  # 500 draws of 1,000: 1000 (1 - e^-1/2) = 393
    with pytest.raises(DataError, match="not a set of grey digits"):
        StackedDigits(open_data("ring8", count=100), seed=0)


def test_the_mode_of_a_triple_is_hundreds_tens_and_ones(flat: Dataset) -> None:
    stacked = StackedDigits(flat, seed=3, count=50)
    places = torch.arange(50)
    red, green, blue = stacked.images(places)[:, :, 0, 0].long().unbind(1)
    assert torch.equal(stacked.modes(places), 100 * red + 10 * green + blue)


def test_modes_are_read_image_by_image_and_colour_by_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "load", {"grey28": Brightness()}.__getitem__)
    colours = torch.tensor([[3, 1, 4], [2, 7, 1]], dtype=torch.uint8)
    assert modes_of(colours[:, :, None, None].expand(-1, -1, 28, 28)).tolist() == [314, 271]


def test_the_shipped_classifier_reads_drawn_digits() -> None:
    """A bar is a one and a ring is a nought: 101, 011 and 001."""
    across = torch.arange(28) - 13.5
    down = across[:, None]
    radius = ((down / 1.3).square() + across.square()).sqrt()
    ring = (radius > 5) & (radius < 8)
    bar = (down.abs() < 9) & (across.abs() < 1.5)
    stacks = torch.stack([torch.stack(stack) for stack in ((bar, ring, bar), (ring, bar, bar), (ring, ring, bar))])
    assert modes_of(255 * stacks.to(torch.uint8)).tolist() == [101, 11, 1]
