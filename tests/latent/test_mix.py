"""Mixing and truncating styles."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sparring.engine.sampler import TrainedGenerator
from sparring.errors import UsageError
from sparring.latent.mix import layers_named, mix, table
from sparring.networks import dcgan, stylegan2


@pytest.fixture(scope="module")
def generator() -> TrainedGenerator:
    torch.manual_seed(0)
    network = stylegan2.Generator((3, 16, 16), 2, width=4, most=8, z_dim=6, mapping_layers=2)
    network.train()
    for k in range(40):  # the running mean of styles
        network.styles(torch.randn(64, 6), torch.arange(64) % 2)
        network.mapping.average.mul_(1 if k else 0)
    return TrainedGenerator(network, names=("left", "right"))


def test_the_borders_are_the_images_themselves(generator: TrainedGenerator) -> None:
    images = mix(generator, [1, 2], [5, 6, 7], [0, 1], classes="right", truncation=0.7)
    assert images.shape == (3, 4, 3, 16, 16)
    close = {"atol": 1, "rtol": 0}
    for place, seed in enumerate([5, 6, 7], start=1):
        torch.testing.assert_close(
            images[0, place], generator.sample(1, seed=seed, classes=1, truncation=0.7)[0], **close
        )
    for place, seed in enumerate([1, 2], start=1):
        torch.testing.assert_close(
            images[place, 0], generator.sample(1, seed=seed, classes=1, truncation=0.7)[0], **close
        )
    assert table(images).size == (4 * 17 + 1, 3 * 17 + 1)


def test_all_layers_are_the_column_and_none_would_be_the_row(generator: TrainedGenerator) -> None:
    everything = mix(generator, [1, 2], [5, 6], range(generator.style_layers), classes=0)
    assert torch.equal(everything[1, 1:], everything[0, 1:])
    assert torch.equal(everything[2, 1:], everything[0, 1:])
    coarse, fine = (mix(generator, [1], [5], layers, classes=0) for layers in ([0, 1], [4, 5]))
    assert not torch.equal(coarse[1, 1], fine[1, 1])
    assert not torch.equal(coarse[1, 1], coarse[0, 1])


def test_what_cannot_be_mixed(generator: TrainedGenerator) -> None:
    with pytest.raises(UsageError, match=r"there is no layer 6; this generator has 0 \(coarse\) to 5 \(fine\)"):
        mix(generator, [1], [2], [0, 6])
    with pytest.raises(UsageError, match="a table needs seeds"):
        mix(generator, [], [2], [0])
    with pytest.raises(UsageError, match="no styles to mix"):
        mix(TrainedGenerator(dcgan.Generator((1, 8, 8), width=2)), [1], [2], [0])
    for wrong in ("a", "1-b", "", "3-", "5-3", "0-9999999999"):
        with pytest.raises(UsageError, match="is no list of layers"):
            layers_named(wrong)


def test_truncation_draws_styles_towards_their_mean(generator: TrainedGenerator) -> None:
    plain = generator.sample(4, seed=3, classes=0)
    same = generator.sample(4, seed=3, classes=0, truncation=1.0)
    assert int((plain.int() - same.int()).abs().max()) <= 1

    def spread(truncation: float) -> float:
        images = generator.sample(8, seed=3, classes=0, truncation=truncation).float()
        return float(images.std(0).mean())

    assert spread(0.001) < 0.1 * spread(1.0)
    network: nn.Module = generator.network
    center = network.mapping.average.expand(1, generator.style_layers, -1)  # type: ignore[union-attr, operator]
    with torch.no_grad():
        mean = network.synthesis(center)  # type: ignore[operator]
    shown = generator.sample(1, seed=3, classes=0, truncation=1e-6)
    assert int((shown.int() - (127.5 * (mean + 1)).round().clamp(0, 255).int()).abs().max()) <= 1
