"""Directions without labels, on generators whose answer is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sparring.engine.sampler import TrainedGenerator
from sparring.errors import UsageError
from sparring.latent.directions import Directions, factorised, principal, walk
from sparring.latent.mix import table
from sparring.networks import dcgan, mlp, progan, stylegan, stylegan2
from sparring.networks.biggan import Generator as BigGan
from sparring.networks.conditioning import LabelledGenerator


class Known(nn.Module):
    """A first layer that stretches the axes of z by 1, 5, 3 and 0.1, turned in the layer's space."""

    z_dim, z_kind = 4, "normal"

    def __init__(self) -> None:
        super().__init__()
        turn, _ = torch.linalg.qr(torch.randn(16, 4, generator=torch.Generator().manual_seed(1)))
        self.first = nn.Linear(4, 16)
        with torch.no_grad():
            self.first.weight.copy_(turn * torch.tensor([1.0, 5.0, 3.0, 0.1]))

    def forward(self, z: Tensor) -> Tensor:
        return self.first(z).tanh().view(-1, 1, 4, 4)


@pytest.mark.parametrize("find", [principal, factorised])
def test_the_axes_of_a_known_layer(find: object) -> None:
    """Both methods find the axes in the order of their stretching, and z varies by 1 along each."""
    found: Directions = find(TrainedGenerator(Known()), 4)  # type: ignore[operator]
    assert found.vectors.abs().argmax(1).tolist() == [1, 2, 0, 3]
    torch.testing.assert_close(found.vectors.abs().max(1).values, torch.ones(4), atol=0.01, rtol=0)
    torch.testing.assert_close(found.deviations, torch.ones(4), atol=0.05, rtol=0)


def style_based(z_dim: int = 6) -> list[TrainedGenerator]:
    torch.manual_seed(0)
    return [
        TrainedGenerator(module.Generator((3, 16, 16), 2, width=4, most=8, z_dim=z_dim, mapping_layers=2))
        for module in (stylegan2, stylegan)
    ]


@pytest.mark.parametrize("place", [0, 1], ids=["stylegan2", "stylegan"])
def test_components_of_styles(place: int) -> None:
    """Orthogonal, the strongest first, and as long as styles deviate along them (numpy's covariance)."""
    generator = style_based()[place]
    found = principal(generator, 6, n=3000)
    torch.testing.assert_close(found.vectors @ found.vectors.t(), torch.eye(6), atol=1e-5, rtol=0)
    assert found.deviations.tolist() == sorted(found.deviations.tolist(), reverse=True)
    with torch.no_grad():
        styles = generator.network.styles(generator.latents(3000), generator.labels(3000))[:, 0]
        for label in (0, 1):  # each class from its own mean
            styles[label::2] -= styles[label::2].mean(0)
    torch.testing.assert_close((styles @ found.vectors.t()).std(0), found.deviations, atol=1e-4, rtol=1e-3)
    assert float(found.deviations.square().sum()) == pytest.approx(float(styles.var(0).sum()), rel=1e-3)


@pytest.mark.parametrize("place", [0, 1], ids=["stylegan2", "stylegan"])
def test_factors_of_chosen_layers(place: int) -> None:
    """The first one changes the chosen layers' scales more than any other direction does (Shen & Zhou, eq. 7)."""
    generator = style_based()[place]
    weights = generator.network.style_weights(1).detach()
    found = factorised(generator, 2, layers=[1])
    assert (weights @ found.vectors[0]).norm() == pytest.approx(float(torch.linalg.matrix_norm(weights, 2)), rel=1e-5)
    every = torch.cat([generator.network.style_weights(k).detach() for k in range(generator.style_layers)])
    assert (every @ factorised(generator, 1).vectors[0]).norm() == pytest.approx(
        float(torch.linalg.matrix_norm(every, 2)), rel=1e-5
    )


@pytest.mark.parametrize(("place", "layers"), [(0, (0, 2, 4, 5)), (1, range(6))], ids=["stylegan2", "stylegan"])
def test_style_weights_are_those_of_the_layer(place: int, layers: list[int]) -> None:
    """An image depends on a layer's style through its weights alone; in stylegan2 odd layers paint as well."""
    generator = style_based(z_dim=32)[place].network.double()
    at = torch.randn(1, generator.layers, 32, dtype=torch.double).requires_grad_()
    slopes = torch.autograd.grad(generator.synthesis(at).square().sum(), at)[0][0]
    for layer in layers:
        rows = generator.style_weights(layer).detach()
        assert len(rows) < at.shape[2]
        explained = rows.t() @ torch.linalg.lstsq(rows.t(), slopes[layer][:, None]).solution[:, 0]
        torch.testing.assert_close(explained, slopes[layer], rtol=1e-6, atol=1e-9)


def test_the_middle_of_a_walk_is_the_image_itself() -> None:
    for generator in (*style_based(), TrainedGenerator(dcgan.Generator((3, 16, 16), width=2, z_dim=6))):
        found = principal(generator, 3, n=500)
        images = walk(generator, found, seed=5, steps=5, reach=2.0)
        assert images.shape == (3, 5, 3, 16, 16)
        plain = generator.sample(1, seed=5)[0]
        for row in images:
            torch.testing.assert_close(row[2], plain, atol=1, rtol=0)
            assert not torch.equal(row[0], row[4])
        assert table(images).size == (5 * 17 + 1, 3 * 17 + 1)


def test_only_chosen_layers_move() -> None:
    generator = style_based()[0]
    found = factorised(generator, 1)
    every = walk(generator, found, seed=1, steps=3)
    fine = walk(generator, found, seed=1, steps=3, layers=[5])
    assert not torch.equal(every[0, 0], fine[0, 0])
    assert torch.equal(every[0, 1], fine[0, 1])


@pytest.mark.parametrize("find", [principal, factorised])
def test_generators_of_every_kind(find: object) -> None:
    torch.manual_seed(0)
    networks = [
        dcgan.Generator((3, 16, 16), width=2, z_dim=6),
        progan.Generator((3, 16, 16), 2, width=2, most=4, z_dim=6),
        LabelledGenerator(
            (1, 16, 16), 3, network=lambda s, _, z_dim: dcgan.Generator(s, width=2, z_dim=z_dim), z_dim=6
        ),
        BigGan((3, 16, 16), 3, width=2, z_dim=6),
    ]
    for network in networks:
        generator = TrainedGenerator(network)
        found = find(generator, 2)  # type: ignore[operator]
        assert found.vectors.shape == (2, 6)
        torch.testing.assert_close(found.vectors.norm(dim=1), torch.ones(2), atol=1e-5, rtol=0)
        assert walk(generator, found, steps=3).shape[:2] == (2, 3)


def test_every_seed_has_its_own_class() -> None:
    generator = style_based()[0]
    styles = generator.styles(generator.latents(64, 1), generator.labels(64, 1))[:, 0].double()
    centred = styles - torch.stack([styles[k % 2 :: 2].mean(0) for k in range(64)])
    expected = torch.linalg.eigvalsh(centred.t() @ centred / 63).flip(0)[:3].sqrt().float()
    torch.testing.assert_close(principal(generator, 3, n=64, seed=1).deviations, expected)


@pytest.mark.parametrize("find", [principal, factorised])
def test_directions_that_change_nothing_are_refused(find: Any) -> None:
    """A first layer that a part of z never reaches, as BigGAN's, and one of fewer units than z has numbers."""
    torch.manual_seed(0)
    split = TrainedGenerator(BigGan((3, 16, 16), width=2, z_dim=12))
    assert len(find(split, 4)) == 4
    with pytest.raises(UsageError, match="5 directions cannot be had where what comes first changes along 4"):
        find(split, 5)
    narrow = TrainedGenerator(mlp.Generator((1, 4, 4), z_dim=6, width=3))
    with pytest.raises(UsageError, match="4 directions cannot be had where what comes first changes along 3"):
        find(narrow, 4)


def test_what_cannot_be() -> None:
    generator = style_based()[0]
    with pytest.raises(UsageError, match="7 directions cannot be had of 6 dimensions"):
        principal(generator, 7)
    with pytest.raises(UsageError, match="1 seeds span no direction"):
        principal(generator, 1, n=1)
    with pytest.raises(UsageError, match="there is no layer 6"):
        factorised(generator, layers=[6])
    with pytest.raises(UsageError, match="a row of 1 images cannot be"):
        walk(generator, principal(generator, 1, n=100), steps=1)
    plain = TrainedGenerator(dcgan.Generator((3, 16, 16), width=2, z_dim=6))
    with pytest.raises(UsageError, match="no layers to choose"):
        factorised(plain, layers=[0])
    with pytest.raises(UsageError, match="no layers to choose"):
        walk(plain, principal(plain, 1, n=100), layers=[0])
