"""Changes of a discriminator: spectral norm, minibatch discrimination and deviation, by definition."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sparring.networks import dcgan, mlp, progan, r3gan, stylegan2
from sparring.networks.equalised import EqualConv, EqualLinear
from sparring.networks.modifiers import (
    MinibatchDeviation,
    MinibatchDiscrimination,
    discriminate_minibatch,
    freeze_layers,
    minibatch_deviation,
    spectral_norm,
)

SHAPE = (1, 8, 8)
JUDGES: dict[str, Any] = {
    "mlp": lambda: mlp.Discriminator(SHAPE, width=16),
    "dcgan": lambda: dcgan.Discriminator(SHAPE, width=4, batch_norm=False),
    "r3gan": lambda: r3gan.Discriminator(SHAPE, width=16),
}


@pytest.mark.parametrize("name", JUDGES)
def test_spectral_norm_makes_every_largest_singular_value_one(name: str) -> None:
    network = spectral_norm(JUDGES[name](), SHAPE).train()
    for _ in range(300):  # each use is one step of the power method
        network(torch.randn(2, *SHAPE))
    network.eval()
    weights = [m.weight for m in network.modules() if isinstance(getattr(m, "weight", None), Tensor)]
    weights += [network.basis, network.head] if name == "r3gan" else []  # matrices by other names
    values = [float(torch.linalg.svdvals(w.flatten(1))[0].detach()) for w in weights if w.dim() > 1]
    assert len(values) >= 2
    assert torch.isfinite(network(torch.randn(2, *SHAPE)).per_image).all()
    assert values == pytest.approx([1.0] * len(values), rel=0.02)


def test_spectral_norm_takes_one_power_step_a_use() -> None:
    """Miyato et al. 2018, algorithm 1, by hand: half a step for u, half a step for v, from the stored v."""
    torch.manual_seed(0)
    layer = nn.Linear(5, 4, bias=False)
    spectral_norm(layer, SHAPE)
    layer.train()
    weight = layer.parametrizations.weight.original.detach()  # type: ignore[union-attr, index]
    v = torch.nn.functional.normalize(torch.randn(5), dim=0)
    layer.parametrizations.weight[0]._v.copy_(v)  # type: ignore[union-attr, index]
    u = torch.nn.functional.normalize(weight @ v, dim=0)
    v = torch.nn.functional.normalize(weight.t() @ u, dim=0)
    torch.testing.assert_close(layer.weight.detach(), weight / (u @ weight @ v), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("layer", [EqualLinear(6, 5), EqualLinear(6, 5, active=True, rate=0.01), EqualConv(6, 5, 1)])
def test_equalised_layers_are_as_steep_as_others(layer: EqualLinear | EqualConv) -> None:
    """The largest singular value of what a layer does to numbers, the negative half of its leaky ReLU left out."""
    spectral_norm(layer, SHAPE).train()
    for _ in range(300):
        layer(torch.zeros(1, 6, 1, 1) if isinstance(layer, EqualConv) else torch.zeros(1, 6))
    layer.eval()
    with torch.no_grad():
        torch.nn.init.constant_(layer.bias, 100.0)  # type: ignore[arg-type]
        numbers = torch.cat([torch.zeros(1, 6), torch.eye(6)])
        made = layer(numbers[:, :, None, None] if isinstance(layer, EqualConv) else numbers).flatten(1)
    assert float(torch.linalg.svdvals(made[1:] - made[0])[0]) == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("make", [progan.Discriminator, stylegan2.Discriminator])
def test_equalised_judges_have_a_slope_under_spectral_norm(make: Any) -> None:
    network = spectral_norm(make(SHAPE, width=16), SHAPE).train()
    images = torch.randn(4, *SHAPE, requires_grad=True)
    for _ in range(30):
        logits = network(images).per_image
    (slope,) = torch.autograd.grad(logits.sum(), images)
    assert float(slope.flatten(1).norm(dim=1).mean()) > 1e-3


def test_spectral_norm_is_put_on_once() -> None:
    """As where a recipe has it and a person asks for it again."""
    network = spectral_norm(JUDGES["dcgan"](), SHAPE)
    before = list(network.state_dict())
    assert list(spectral_norm(network, SHAPE).state_dict()) == before


@pytest.mark.parametrize("counts", [(1, 2), (2, 1), (2, 2)])
def test_frozen_layers_stay_frozen(counts: tuple[int, int]) -> None:
    network = dcgan.Discriminator((1, 32, 32), width=4)
    for layers in counts:
        freeze_layers(network, (1, 32, 32), layers=layers)
    frozen = {name.split(".")[1] for name, p in network.named_parameters() if not p.requires_grad}
    assert frozen == {"0", "1"}


def test_minibatch_discrimination_by_hand() -> None:
    """Two kernels of one dimension each: o_b = sum over the others of exp(-|M_ib - M_jb|)."""
    layer = MinibatchDiscrimination(2, kernels=2, dim=1)
    with torch.no_grad():
        layer.tensor.copy_(torch.eye(2))
    features = torch.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 2.0]])
    e = torch.exp(-torch.tensor([0.0, 1.0, 2.0, 3.0]))
    expected = torch.stack([e[[1, 0]] + e[[3, 2]], e[[1, 0]] + e[[2, 2]], e[[3, 2]] + e[[2, 2]]])
    torch.testing.assert_close(layer(features).detach(), expected)


def test_minibatch_deviation_by_hand() -> None:
    """Four images in groups of two: 0 with 2 and 1 with 3; the deviation of two numbers is half their distance."""
    features = torch.tensor([[0.0, 0.0], [5.0, 1.0], [2.0, 4.0], [5.0, 3.0]])
    found = MinibatchDeviation(2)(features)
    torch.testing.assert_close(found[:, 0], torch.tensor([1.5, 0.5, 1.5, 0.5]), atol=1e-3, rtol=0)
    assert MinibatchDeviation(4)(features[:3]).shape == (3, 1)  # 4 does not divide 3: one group of three
    assert MinibatchDeviation(4)(features[:1]).shape == (1, 1)


@pytest.mark.parametrize("modify", [discriminate_minibatch, minibatch_deviation])
@pytest.mark.parametrize("name", JUDGES)
def test_the_statistic_is_concatenated_to_the_last_layer(name: str, modify: Any) -> None:
    """The same logits as a linear head on [features, statistic]; the rest of D is untouched."""
    torch.manual_seed(0)
    network = JUDGES[name]()
    aware = modify(network, SHAPE)
    images = torch.randn(6, *SHAPE)
    last = network.features(images)[-1]
    statistic = aware.statistic(last.flatten(1))
    expected = network.judge(last).per_image + (statistic @ aware.head.weight.t()).squeeze(1)
    torch.testing.assert_close(aware(images).per_image, expected)
    assert torch.equal(aware.features(images)[-1][:, -statistic.shape[1] :], statistic)
