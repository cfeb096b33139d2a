"""Exact algebra is exact, sizes are refused in time, and architectures have the shape their papers print."""

from __future__ import annotations

import itertools
import time

import pytest
import torch
from torch.nn.functional import avg_pool2d, conv2d, conv_transpose2d, interpolate, pad

from sparring.errors import ShapeError
from sparring.names import discover
from sparring.networks import dcgan, mlp, quick, r3gan
from sparring.networks.layers import ConvDown, UpConv, Verdict, fold_down, fold_up, pyramid
from sparring.recipes.players import architectures

PLAYERS = ("Generator", "Discriminator")


def test_folded_upsampling_is_upsampling_then_convolution() -> None:
    x, weight = torch.randn(2, 3, 5, 6, dtype=torch.double), torch.randn(4, 3, 3, 3, dtype=torch.double)
    two_layers = conv2d(interpolate(x, scale_factor=2), weight, padding=1)
    one_layer = conv_transpose2d(x, fold_up(weight), stride=2, padding=1)
    torch.testing.assert_close(one_layer, two_layers, rtol=1e-12, atol=1e-12)


def test_folded_pooling_is_convolution_then_pooling() -> None:
    x, weight = torch.randn(2, 3, 6, 8, dtype=torch.double), torch.randn(4, 3, 3, 3, dtype=torch.double)
    two_layers = avg_pool2d(conv2d(x, weight, padding=1), 2)
    one_layer = conv2d(x, fold_down(weight), stride=2, padding=1)
    torch.testing.assert_close(one_layer, two_layers, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("layer", "size"), [(UpConv(3, 4), (10, 12)), (ConvDown(3, 4), (5, 6))], ids=["up", "down"])
def test_folded_layers_have_the_gradients_of_the_two_layers(layer: torch.nn.Module, size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, 5, 6) if isinstance(layer, UpConv) else torch.randn(2, 3, 10, 12)
    assert layer(x).shape == (2, 4, *size)
    layer = layer.double()
    x = x.double().requires_grad_()
    assert torch.autograd.gradcheck(layer, (x,), fast_mode=True)


@pytest.mark.parametrize("axis", [2, 3])
def test_r3gan_resampling_is_the_filter_of_the_paper(axis: int) -> None:
    """Zero insertion and [1, 2, 1], and [1, 2, 1] with stride 2, as depth-wise convolutions say it."""
    line = torch.tensor([1.0, 2.0, 1.0], dtype=torch.double) / 4
    kernel = (line[:, None] * line)[None, None].expand(3, 1, 3, 3)
    x = torch.randn(2, 3, 6, 8, dtype=torch.double)
    up = conv_transpose2d(x, kernel * 4, stride=2, groups=3)[:, :, :-1, :-1]
    torch.testing.assert_close(r3gan._stretch(r3gan._stretch(x, axis), 5 - axis), up, rtol=1e-12, atol=1e-12)
    down = conv2d(pad(x, (1, 0, 1, 0)), kernel, stride=2, groups=3)
    torch.testing.assert_close(r3gan._shrink(r3gan._shrink(x, axis), 5 - axis), down, rtol=1e-12, atol=1e-12)


def test_dcgan_is_the_one_of_figure_1() -> None:
    """64 px at width 128: 1024 channels at 4x4, then 512, 256, 128 (Radford et al. 2016, figure 1)."""
    generator = dcgan.Generator((3, 64, 64), width=128)
    channels = [layer.out_channels for layer in generator.layers if isinstance(layer, torch.nn.ConvTranspose2d)]
    assert channels == [1024, 512, 256, 128, 3]
    # The widely used 64-channel PyTorch version has 3,576,704 and 2,765,568 weights for 3 x 64 x 64.
    assert sum(p.numel() for p in dcgan.Generator((3, 64, 64), width=64).parameters()) == 3_576_704
    assert sum(p.numel() for p in dcgan.Discriminator((3, 64, 64), width=64).parameters()) == 2_765_568


def test_r3gan_starts_as_a_residual_identity() -> None:
    """The last layer of every block is zero (Fixup), so at the start a stage passes its input on."""
    stage = r3gan.Generator((3, 32, 32), width=32).stages[0]
    x = torch.randn(2, 32, 4, 4)
    torch.testing.assert_close(stage(x), x)


@pytest.mark.parametrize("network", [dcgan, quick, r3gan], ids=lambda module: module.__name__)
def test_features_come_before_the_verdict(network: object) -> None:
    discriminator = network.Discriminator((3, 16, 24), width=8)  # type: ignore[attr-defined]
    x = torch.randn(2, 3, 16, 24)
    assert discriminator(x).per_image.shape == (2,)
    assert all(len(layer) == 2 for layer in discriminator.features(x))


@pytest.mark.parametrize("name", architectures())
def test_no_pass_copies_numbers_from_the_host(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`torch.tensor(numbers, device=...)` waits for all that a GPU was asked to do before."""
    generator, discriminator = (discover("networks")[f"{name}:{who}"]((3, 16, 16)) for who in PLAYERS)
    for maker in ("tensor", "as_tensor", "from_numpy"):
        monkeypatch.delattr(torch, maker)
    assert discriminator(generator(torch.randn(4, generator.z_dim))).per_image.shape == (4,)


def test_perceptrons_without_layers_are_linear() -> None:
    generator, judge = mlp.Generator((2, 1, 1), z_dim=3, layers=0), mlp.Discriminator((2, 1, 1), layers=0)
    x = generator(torch.randn(4, 3))
    torch.testing.assert_close(judge(x).logits, (x.flatten(1) @ judge.head.weight.t() + judge.head.bias).squeeze(1))


def test_patches_are_averaged_per_image() -> None:
    assert Verdict(torch.tensor([[[1.0, 3.0]], [[5.0, 5.0]]])).per_image.tolist() == [2.0, 5.0]


@pytest.mark.parametrize(
    ("size", "nearest"), [((100, 100), "96x96 and 112x112"), ((28, 30), "28x28 and 28x32"), ((3, 3), "4x4")]
)
def test_sizes_that_do_not_halve_name_their_neighbours(size: tuple[int, int], nearest: str) -> None:
    with pytest.raises(ShapeError, match=nearest):
        pyramid((3, *size))


@pytest.mark.parametrize("height", [1, 3, 9, 17, 25, 34, 51])
def test_the_nearest_sizes_are_those_of_all_sizes(height: int) -> None:
    """Sizes are tried one by one here; of those as near the one whose height is nearer."""

    def halves(size: tuple[int, int]) -> bool:
        steps = (2**k for k in range(8))
        return any(size[0] % s == 0 == size[1] % s and 4 <= min(size) // s <= 7 for s in steps)

    sizes = [size for size in itertools.product(range(4, 128), repeat=2) if halves(size)]
    for width in (1, 5, 8, 9, 23, 30, 49, 62):
        if halves((height, width)):
            continue
        sides = [
            [size for size in sizes if size[0] <= height and size[1] <= width],
            [size for size in sizes if size[0] >= height and size[1] >= width],
        ]
        with pytest.raises(ShapeError) as refusal:
            pyramid((3, height, width))
        key = lambda size, w=width: (abs(size[0] - height) + abs(size[1] - w), abs(size[0] - height))  # noqa: E731
        assert list(refusal.value.nearest) == [min(side, key=key) for side in sides if side]


def test_the_nearest_sizes_of_a_photograph_are_found_at_once() -> None:
    begin = time.process_time()
    with pytest.raises(ShapeError, match="2560x3584 and 3072x4096"):
        pyramid((3, 3001, 4001))
    assert time.process_time() - begin < 1
