"""Drawing: classes, truncation, and images that depend on their own seed and class alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sparring.chance import draw, generator, truncated
from sparring.engine.sampler import TrainedGenerator, settled
from sparring.errors import UsageError


class Spoken(nn.Module):
    """An image says its z and its label."""

    z_dim, z_kind, classes = 1, "normal", 3

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return torch.stack([(z[:, 0] / 8).clamp(-1, 1), labels / 127.5 - 1], 1)[:, :, None, None].expand(-1, -1, 2, 2)


def spoken() -> TrainedGenerator:
    return TrainedGenerator(Spoken(), names=("ant", "bee", "2"))


def told(images: Tensor) -> list[int]:
    return [int(v) for v in images[:, 1, 0, 0]]


def test_classes_by_number_and_name_and_in_turn() -> None:
    generator = spoken()
    assert told(generator.sample(5, seed=4)) == [1, 2, 0, 1, 2]
    assert told(generator.sample(3, classes=1)) == [1, 1, 1]
    assert told(generator.sample(2, classes="bee")) == [1, 1]
    assert told(generator.sample(2, classes="2")) == [2, 2]
    assert told(generator.sample(3, classes=["bee", 0, "0"])) == [1, 0, 0]
    assert told(generator.sample(2, classes=torch.tensor([2, 0]))) == [2, 0]


def test_an_image_is_its_seed_and_class_whatever_stands_beside_it() -> None:
    generator = spoken()
    many = generator.sample(70, seed=10, classes="ant", batch=16)
    assert torch.equal(many[33:34], generator.sample(1, seed=43, classes=0))


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (3, "there is no class 3; give one from 0 to 2"),
        (-1, "there is no class -1"),
        ("wasp", r"there is no class 'wasp'; give one from 0 to 2 \(ant, bee, 2\)"),
        ([0, 1, 2], "3 classes for 2 images"),
        ([1.7, 0], r"there is no class 1\.7"),
    ],
)
def test_classes_that_do_not_exist(classes: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        spoken().sample(2, classes=classes)


def test_a_generator_without_classes_is_asked_for_none() -> None:
    network = Spoken()
    network.classes = 0
    with pytest.raises(UsageError, match="trained without classes"):
        TrainedGenerator(network).labels(2, classes=1)


def test_truncation_is_the_cut_normal_distribution() -> None:
    """Mean and variance in closed form: 1 - 2 t phi(t) / (2 Phi(t) - 1) at t (any table of the truncated normal)."""
    z = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    for t in (0.3, 1.0, 2.5):
        cut = truncated(z, t)
        assert float(cut.abs().max()) <= t
        inside = math.erf(t / math.sqrt(2))
        variance = 1 - 2 * t * math.exp(-t * t / 2) / math.sqrt(2 * math.pi) / inside
        assert float(cut.var()) == pytest.approx(variance, rel=0.01)
        assert float(cut.mean()) == pytest.approx(0, abs=0.01)
        assert bool((cut.argsort() == z.argsort()).float().mean() > 0.99)  # every seed keeps its rank
    torch.testing.assert_close(truncated(z, 50.0), z, atol=2e-5, rtol=1e-5)


def test_batches_that_cannot_be() -> None:
    for wrong in (0, -4):
        with pytest.raises(UsageError, match=f"{wrong} images at a time cannot be; give a batch of 1 or more"):
            spoken().sample(2, batch=wrong)


def test_truncations_that_cannot_be() -> None:
    for wrong in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(UsageError, match="a truncation of"):
            spoken().sample(2, truncation=wrong)
    network = Spoken()
    network.z_kind = "uniform"
    with pytest.raises(UsageError, match="has no tails to cut"):
        TrainedGenerator(network).sample(2, truncation=0.5)


def test_numbers_at_the_edges() -> None:
    assert told(spoken().sample(3, seed=2**63 - 1)) == [(2**63 - 1 + k) % 3 for k in range(3)]
    assert told(spoken().sample(2, classes=np.int64(1))) == [1, 1]
    for n in (0, -5):
        with pytest.raises(UsageError, match=f"{n} samples cannot be drawn"):
            spoken().sample(n, classes=1)
        with pytest.raises(UsageError, match=f"{n} samples cannot be drawn"):
            spoken().labels(n)
    with pytest.raises(UsageError, match="there is no class 7"):
        spoken().images(torch.zeros(1, 1), torch.tensor([7]))


class Normed(nn.Module):
    """Batch norm behind dropout."""

    z_dim, z_kind = 3, "normal"

    def __init__(self) -> None:
        super().__init__()
        self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(3)

    def forward(self, z: Tensor) -> Tensor:
        found: Tensor = self.norm(self.drop(z))
        return found


def test_settled_statistics_are_plain_means_without_dropout() -> None:
    z = [draw((8, 3), "normal", generator("standing", k)) for k in range(5)]
    found: Any = settled(Normed(), 5, batch=8)
    torch.testing.assert_close(found.norm.running_mean, torch.stack([batch.mean(0) for batch in z]).mean(0))
    torch.testing.assert_close(found.norm.running_var, torch.stack([batch.var(0) for batch in z]).mean(0))
