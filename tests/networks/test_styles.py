"""Style-based players: golden answers of public reference code, and what the papers say of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from golden.filling import combination, sparse
from golden.styles import CASES, inputs, member, quiet
from sparring.networks import stylegan, stylegan2
from sparring.networks.equalised import EqualConv, EqualLinear, blurred, filtered_down, filtered_up

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "styles.json").read_text())["answers"]


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_answers_and_gradients_are_the_references(case: tuple[str, str, int, int], mode: str) -> None:
    """Recorded by `tests/golden/parity_styles.py` from the repository and commit that the file names."""
    known = GOLDEN["-".join(map(str, (*case, mode)))]
    network = member(*case).train(mode == "train")
    if mode == "train":
        quiet(network)
    x, labels = inputs(case[0], case[2])
    at = x.requires_grad_()
    said = network(at, labels) if case[3] else network(at)
    flat = said.flatten() if isinstance(said, Tensor) else said.logits
    (slope,) = torch.autograd.grad((flat * combination(flat)).sum(), at)
    for found, golden in ((flat, known["output"]), (slope, known["gradient"])):
        assert sparse(found) == pytest.approx(golden, abs=1e-9 * max(map(abs, golden)))


def test_the_filter_written_out() -> None:
    """[1, 3, 3, 1] along both axes: kept sums, half as many or twice as many rows, zeros around."""
    x = torch.zeros(1, 2, 6, 8, dtype=torch.double)
    x[0, 0, 2, 4], x[0, 1] = 64.0, 1.0
    spread = blurred(x, 2)
    assert spread.shape == (1, 2, 7, 9)
    assert spread[0, 0, 1:5, 3:7].tolist() == [[a * b for b in (1, 3, 3, 1)] for a in (1, 3, 3, 1)]
    up = filtered_up(x)
    assert up.shape == (1, 2, 12, 16)
    assert float(up[0, 0].sum()) == pytest.approx(4 * 64)
    assert torch.allclose(up[0, 1, 2:-2, 2:-2], torch.ones(8, 12, dtype=torch.double))
    down = filtered_down(up)
    assert down.shape == x.shape
    assert torch.allclose(down[0, 1, 2:-2, 2:-2], torch.ones(2, 4, dtype=torch.double))


def test_equalised_layers_keep_the_second_moment() -> None:
    torch.manual_seed(0)
    x = torch.randn(2000, 50)
    assert float(EqualLinear(50, 40)(x).detach().square().mean()) == pytest.approx(1, rel=0.1)
    assert float(EqualLinear(50, 40, rate=0.01)(x).detach().square().mean()) == pytest.approx(1, rel=0.1)
    images = torch.randn(20, 30, 12, 12)
    assert float(EqualConv(30, 40)(images).detach()[:, :, 1:-1, 1:-1].square().mean()) == pytest.approx(1, rel=0.1)


SHAPES = [(1, 28, 28), (4, 16, 24), (3, 64, 64), (5, 8, 8)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_shape_with_and_without_classes(shape: tuple[int, int, int]) -> None:
    for classes in (0, 3):
        generator = stylegan2.Generator(shape, classes, width=2, most=8, z_dim=6)
        z, told = torch.randn(3, 6), (torch.tensor([0, 1, 2]),) * bool(classes)
        images = generator(z, *told)
        assert images.shape == (3, *shape)
        judge = stylegan2.Discriminator(shape, classes, width=2, most=8)
        assert judge(images, *told).logits.shape == (3,)
        assert generator.styles(z, *told).shape == (3, generator.layers, 6)


def test_styles_change_at_a_layer_in_training_alone() -> None:
    """Mixing regularisation (Karras et al. 2019, section 3.1): two styles an image, the first one from layer 0 on."""
    torch.manual_seed(0)
    generator = stylegan2.Generator((1, 16, 16), width=2, most=8, z_dim=6, mixing=0.5)
    z = torch.randn(400, 6)
    styles = generator.styles(z)
    changes = (styles[:, 1:] - styles[:, :-1]).abs().sum(2) > 0
    assert int(changes.sum(1).max()) == 1
    assert float(changes.any(1).float().mean()) == pytest.approx(0.5, abs=0.08)
    assert changes.float().mean(0).min() > 0.02  # at any layer
    generator.eval()
    still = generator.styles(z)
    assert torch.equal(still, still[:, :1].expand_as(still))


@pytest.mark.parametrize("module", [stylegan, stylegan2], ids=["stylegan", "stylegan2"])
def test_the_second_style_is_of_the_same_kind_of_noise(module: Any) -> None:
    generator = module.Generator((1, 8, 8), width=2, most=8, z_dim=6, z_kind="uniform", mixing=1.0)
    seen: list[Tensor] = []
    generator.mapping.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    generator.styles(torch.rand(400, 6) * 2 - 1)
    assert all(-1 <= z.min() < -0.9 < 0.9 < z.max() <= 1 for z in seen)
    assert len(seen) == 2
    assert not torch.equal(*seen)


def test_judging_leaves_the_judge_as_it_was() -> None:
    judge = stylegan2.Discriminator((1, 8, 8), 3, width=2, most=8)
    before = {name: value.clone() for name, value in judge.state_dict().items()}
    judge(torch.randn(4, 1, 8, 8), torch.tensor([0, 1, 2, 0]))
    assert all(torch.equal(before[name], value) for name, value in judge.state_dict().items())


def test_an_image_is_a_function_of_z_in_evaluation() -> None:
    generator = stylegan2.Generator((1, 16, 16), width=2, most=8, z_dim=6)
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if name.endswith("strength"):
                parameter.fill_(1.0)
    z = torch.randn(2, 6)
    assert not torch.equal(generator(z), generator(z))
    generator.eval()
    assert torch.equal(generator(z), generator(z))
    torch.testing.assert_close(generator(z)[1:], generator(z[1:]))


def test_styles_have_no_say_in_the_scale() -> None:
    """Demodulation (Karras et al. 2020, eq. 3): a style k times as large gives the same convolution."""
    layer = stylegan2._Styled(5, 7, 4, (8, 8)).double().eval()
    x, w = torch.randn(2, 5, 8, 8, dtype=torch.double), torch.randn(2, 4, dtype=torch.double)
    before = layer(x, w)
    with torch.no_grad():
        layer.style.weight.mul_(3)
        layer.style.bias.mul_(3)
    torch.testing.assert_close(layer(x, w), before, rtol=1e-6, atol=1e-8)
