"""Conditional players: golden answers of public reference code, and what holds for any architecture."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu

from golden.conditional import MEMBERS, inputs, member
from golden.filling import combination, sparse
from sparring.engine.sampler import settled
from sparring.errors import UsageError
from sparring.networks import biggan, dcgan, resnet
from sparring.networks.conditioning import (
    LabelledDiscriminator,
    LabelledGenerator,
    project_labels,
    tell_classes,
)
from sparring.networks.modifiers import discriminate_minibatch
from sparring.networks.residual import BlockDown, BlockUp

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "conditional.json").read_text())


@pytest.mark.parametrize("case", GOLDEN)
def test_answers_and_gradients_are_the_references(case: str) -> None:
    """Recorded by `tests/golden/parity_conditional.py` from the repository and commit that the file names."""
    name, size, mode = case.split("-")
    network = member(name, int(size)).train(mode == "train")
    x, labels = inputs(name, int(size))
    at = x.requires_grad_()
    said = network(at, labels)
    parts = [said] if isinstance(said, Tensor) else [t for t in (said.logits, said.class_logits) if t is not None]
    flat = torch.cat([part.flatten() for part in parts])
    (slope,) = torch.autograd.grad((flat * combination(flat)).sum(), at)
    for found, known in ((flat, GOLDEN[case]["output"]), (slope, GOLDEN[case]["gradient"])):
        scale = max(map(abs, known))
        assert sparse(found) == pytest.approx(known, abs=1e-9 * scale)


def test_every_reference_is_named() -> None:
    assert {case.split("-")[0] for case in GOLDEN} == set(MEMBERS)
    assert all(len(entry["reference"].split()[1]) == 7 for entry in GOLDEN.values())


def test_blocks_are_the_papers_written_out() -> None:
    """Doubling before, and mean pooling after, both ways through a block, as the papers draw them."""
    x = torch.randn(2, 3, 6, 4, dtype=torch.double)
    up = BlockUp(3, 5, first=nn.Identity(), second=nn.Identity()).double()
    doubled = interpolate(relu(x), scale_factor=2)
    kernel, bias = up.up.weight, up.up.bias
    middle = nn.functional.conv2d(doubled, kernel, bias, padding=1)
    expected = up.same(relu(middle)) + up.short(interpolate(x, scale_factor=2))
    torch.testing.assert_close(up(x), expected)
    down = BlockDown(3, 5, hidden=4).double()
    convolved = nn.functional.conv2d(relu(down.same(relu(x))), down.last.weight, down.last.bias, padding=1)  # type: ignore[arg-type]
    torch.testing.assert_close(down(x), avg_pool2d(convolved, 2) + avg_pool2d(down.short(x), 2))


SHAPES = [(1, 28, 28), (4, 16, 24), (3, 64, 64), (5, 8, 8)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("module", [resnet, biggan], ids=["resnet", "biggan"])
def test_any_shape_with_and_without_classes(module: Any, shape: tuple[int, int, int]) -> None:
    for classes in (0, 3):
        generator = module.Generator(shape, classes, width=2, z_dim=20)
        assert generator.classes == classes
        z, labels = torch.randn(3, generator.z_dim), torch.tensor([0, 1, 2])
        images = generator(z, labels) if classes else generator(z)
        assert images.shape == (3, *shape)
        assert module.Discriminator(shape, width=2)(images).logits.shape == (3,)


def test_labels_matter_everywhere() -> None:
    shape, labels = (1, 16, 16), torch.tensor([0, 1])
    z, x = torch.randn(1, 7).expand(2, -1), torch.randn(1, *shape).expand(2, -1, -1, -1)
    maker = LabelledGenerator(shape, 3, network=partial(dcgan.Generator, width=4), z_dim=7).eval()
    assert maker.z_dim == 7
    images = maker(z, labels)
    assert not torch.equal(images[0], images[1])
    bare = partial(dcgan.Discriminator, width=4, batch_norm=False)
    beside = LabelledDiscriminator(shape, 3, network=bare)
    projected = project_labels(bare(shape), shape, 3)
    aware = discriminate_minibatch(projected, shape, 3)
    for judge in (beside, projected, aware):
        logits = judge(x, labels).per_image
        assert logits[0] != logits[1]
        assert judge.features(x, labels)[-1].shape[0] == 2  # type: ignore[operator]


def test_a_label_begins_as_long_as_a_one_hot_one() -> None:
    """Length 1 at any dimension: much shorter than z, or G would draw one image a class where D is not told it."""
    for dim in (8, 32, 128):
        network = LabelledGenerator((1, 16, 16), 500, network=partial(dcgan.Generator, width=4), z_dim=7, dim=dim)
        lengths = network.embedding.weight.detach().square().sum(1)
        assert float(lengths.mean()) == pytest.approx(1.0, rel=0.1)


def test_a_projection_written_out() -> None:
    """D(x, y) = psi(phi(x)) + <V y, phi(x)> (Miyato & Koyama 2018, eq. 3), phi the last inner layer."""
    shape = (1, 16, 16)
    network = resnet.Discriminator(shape, width=2)
    judge = project_labels(network, shape, 3)
    x, labels = torch.randn(4, *shape), torch.tensor([0, 2, 1, 2])
    phi = network.features(x)[-1]
    expected = network(x).logits + (judge.embedding.weight[labels] * phi).sum(1)  # type: ignore[operator, union-attr, index]
    torch.testing.assert_close(judge(x, labels).logits, expected)


def test_a_classifier_is_never_told_the_label() -> None:
    shape = (1, 16, 16)
    judge = tell_classes(resnet.Discriminator(shape, width=2), shape, 3)
    x = torch.randn(4, *shape)
    verdict = judge(x, torch.tensor([0, 1, 2, 0]))
    assert verdict.class_logits.shape == (4, 3)
    assert torch.equal(verdict.class_logits, judge(x).class_logits)
    assert torch.equal(verdict.logits, judge(x).logits)


def test_hierarchical_z_reaches_every_block() -> None:
    """Changing one chunk changes the images; what does not split evenly is left out of z."""
    generator = biggan.Generator((1, 32, 32), 2, width=2, z_dim=23, shared=3).eval()
    assert (generator.chunk, generator.z_dim) == (5, 20)
    z, labels = torch.randn(1, 20), torch.tensor([1])
    for chunk in range(4):
        moved = z.clone()
        moved[:, 5 * chunk] += 1
        assert not torch.equal(generator(z, labels), generator(moved, labels))
    with pytest.raises(UsageError, match="z of 3 does not split into 4 chunks"):
        biggan.Generator((1, 32, 32), 2, width=2, z_dim=3)


def test_attention_is_where_the_height_says() -> None:
    assert list(biggan.Generator((3, 64, 64), width=1, attention=32).attentions) == ["2"]
    assert list(biggan.Generator((3, 64, 64), width=1, attention=64).attentions) == ["3"]
    assert list(biggan.Generator((1, 28, 28), width=1, attention=64).attentions) == []
    by_size = {size: list(biggan.Generator((3, size, size), width=1).attentions) for size in (32, 64, 96, 128)}
    assert by_size == {32: [], 64: ["2"], 96: ["2"], 128: ["3"]}  # 32 of 64 pixels, 48 of 96, 64 of 128
    blocks = biggan.Discriminator((3, 64, 64), width=1, attention=16).blocks
    assert [isinstance(block, nn.Sequential) for block in blocks] == [False, True, False, False, False]


def test_standing_statistics_are_those_of_the_weights() -> None:
    """A generator whose statistics were never right: measured anew they are the mean and variance of what norms see."""
    torch.manual_seed(0)
    generator = biggan.Generator((1, 16, 16), 3, width=2, z_dim=12, shared=3)
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    found: Any = settled(generator, 40, batch=64)
    assert all(torch.equal(before[name], tensor) for name, tensor in generator.state_dict().items())
    again: Any = settled(generator, 40, batch=64)
    assert torch.equal(found.norm.running_mean, again.norm.running_mean)
    seen: list[Tensor] = []
    found.norm.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    z, labels = torch.randn(2000, found.z_dim), torch.arange(2000) % 3
    with torch.no_grad():
        found(z, labels)
    torch.testing.assert_close(seen[0].mean((0, 2, 3)), found.norm.running_mean, rtol=0.1, atol=0.02)
    assert found.norm.momentum == generator.norm.momentum
