"""Networks from images to images, and the discriminator of patches: golden answers of the authors' code, and shapes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from golden.filling import combination, sparse
from golden.translation import CASES, inputs, member
from sparring.engine.translator import TrainedTranslator
from sparring.errors import ShapeError, UsageError
from sparring.networks.johnson import ResNetTranslator
from sparring.networks.layers import Translator, require_multiple
from sparring.networks.patchgan import PatchDiscriminator
from sparring.networks.rrdb import RRDBNet
from sparring.networks.unet import UNet

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "translation.json").read_text())["answers"]


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_answers_and_gradients_are_the_references(case: tuple[str, str, tuple[int, int]], mode: str) -> None:
    """Recorded by `tests/golden/parity_translation.py` from the repositories and commits that the file names."""
    kind, norm, size = case
    known = GOLDEN["-".join(filter(None, (kind, norm, f"{size[0]}x{size[1]}", mode)))]
    network, at = member(kind, norm).train(mode == "train"), inputs(size).requires_grad_()
    said = network(at)
    flat = (said if isinstance(said, Tensor) else said.logits).flatten()
    (slope,) = torch.autograd.grad((flat * combination(flat)).sum(), at)
    for found, golden in ((flat, known["output"]), (slope, known["gradient"])):
        assert sparse(found) == pytest.approx(golden, abs=1e-9 * max(map(abs, golden)))


TRANSLATORS: dict[str, Callable[..., Translator]] = {
    "unet": lambda shape, **more: UNet(shape, width=2, **more),
    "unet-instance": lambda shape, **more: UNet(shape, width=2, norm="instance", **more),
    "resnet": lambda shape, **more: ResNetTranslator(shape, width=2, blocks=1, **more),
    "resnet-batch": lambda shape, **more: ResNetTranslator(shape, width=2, blocks=1, norm="batch", **more),
    "rrdb": lambda shape, **more: RRDBNet(shape, width=2, blocks=1, growth=1, **more),
    "rrdb-2": lambda shape, **more: RRDBNet(shape, width=2, blocks=1, growth=1, scale=2, **more),
    "rrdb-1": lambda shape, **more: RRDBNet(shape, width=2, blocks=1, growth=1, scale=1, unit=True, **more),
}


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 64), (4, 16, 24), (3, 32, 96)], ids=str)
@pytest.mark.parametrize("kind", TRANSLATORS)
def test_any_shape_and_every_weight_learns(kind: str, shape: tuple[int, int, int]) -> None:
    """But for biases that instance norm takes away again."""
    torch.manual_seed(0)
    for channels in (None, 1, 3, 4):
        network = TRANSLATORS[kind](shape, channels=channels)
        assert network.channels == (channels or shape[0])
        x = torch.rand(2, *shape) * 2 - 1
        images = network(x)
        assert images.shape == (2, network.channels, network.scale * shape[1], network.scale * shape[2])
        twice = network(torch.rand(1, shape[0], 2 * shape[1], 2 * shape[2]))  # of any size
        assert twice.shape[2:] == (2 * network.scale * shape[1], 2 * network.scale * shape[2])
        (images * torch.randn_like(images)).sum().backward()
        still = [name for name, p in network.named_parameters() if p.grad is None or p.grad.abs().max() < 1e-6]
        assert all(kind in ("unet-instance", "resnet") and name.endswith("bias") for name in still), still


@pytest.mark.parametrize("make", [lambda: member("unet", "batch"), lambda: UNet((3, 64, 64), width=1, dropout=0.5)])
def test_bounded_images(make: Callable[[], nn.Module]) -> None:
    images = make().double()(10 * inputs((64, 64)))
    assert images.abs().max() <= 1


@pytest.mark.parametrize(
    ("size", "doublings", "dropouts"),
    [
        ((256, 256), 8, [4, 5, 6]),  # unet_256: the three blocks that its code puts around the innermost
        ((128, 128), 7, [4, 5]),  # unet_128
        ((64, 64), 6, [4]),
        ((32, 32), 5, []),
        ((512, 512), 9, [5, 6, 7]),
        ((96, 128), 5, []),
        ((30, 44), 1, []),
        ((64, 256), 6, [4]),
    ],
    ids=str,
)
def test_halvings_and_dropout_of_a_unet(size: tuple[int, int], doublings: int, dropouts: list[int]) -> None:
    network = UNet((3, *size), width=1)
    assert (len(network.downs), network.multiple) == (doublings, 2**doublings)
    assert [level for level, up in enumerate(network.ups) if isinstance(up.dropout, nn.Dropout)] == dropouts
    assert network.noisy == bool(dropouts)
    assert not UNet((3, *size), width=1, dropout=0.0).noisy


@pytest.mark.parametrize(
    "network",
    [UNet((3, 64, 64), width=2), ResNetTranslator((3, 16, 16), width=2, blocks=1, dropout=0.5)],
    ids=["unet", "resnet"],
)
def test_noise_stays_on_and_is_torchs(network: Translator) -> None:
    """Isola et al. 2017, section 2.1: dropout "at both training and test time"."""
    x = torch.rand(1, 3, 64, 64)
    assert network.noisy
    TrainedTranslator(network)
    images = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        images.append(network(x))
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])
    assert torch.equal(network.eval()(x), network(x))
    quiet = type(network)((3, 64, 64), width=2, dropout=0.0, **({"blocks": 1} if network.multiple == 4 else {}))
    assert not quiet.noisy
    assert torch.equal(quiet.eval()(x), quiet(x))


def seen(network: nn.Module, size: int, channels: int = 3) -> tuple[int, int]:
    """The furthest, in given pixels, that a pixel's change is seen up and down of it; all of a row is changed."""
    scale, far = int(getattr(network, "scale", 1)), (0, 0)
    network = network.double().eval()
    x = torch.randn(1, channels, size, 8, generator=torch.Generator().manual_seed(3), dtype=torch.double)
    with torch.no_grad():
        before = network(x)
        for row in range(size // 2 - 2, size // 2 + 2):  # every phase of two strides
            changed = x.clone()
            changed[:, :, row] += 1.0
            rows = (network(changed) - before).abs().amax((0, 1, 3)).nonzero().flatten() // scale
            far = max(far[0], row - int(rows.min())), max(far[1], int(rows.max()) - row)
    return far


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("blocks", [1, 2])
def test_reach_of_rrdb(blocks: int, scale: Any) -> None:
    """Exactly as far as a change of a pixel is seen; weights are made large so that none is lost in rounding."""
    network = RRDBNet((3, 8, 8), width=4, blocks=blocks, growth=4, scale=scale)
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0.0, 0.5)
    assert network.reach == 15 * blocks + 4
    assert seen(network, 2 * network.reach + 16) == (network.reach, network.reach)


@pytest.mark.parametrize("upsample", ["transposed", "nearest"])
@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_reach_of_resnet(blocks: int, upsample: Any) -> None:
    network = ResNetTranslator((3, 16, 16), width=2, blocks=blocks, norm="batch", upsample=upsample)
    assert network.reach == 8 * blocks + (12 if upsample == "transposed" else 15)
    torch.manual_seed(0)
    far = 0
    for _ in range(4):  # in some draws units at the edge never wake up
        for parameter in network.parameters():
            nn.init.normal_(parameter, 0.0, 0.5)
        far = max(far, *seen(network, 4 * (network.reach // 2 + 8)))
    assert far == network.reach
    assert ResNetTranslator((3, 16, 16), width=2).reach is None
    assert UNet((3, 16, 16), width=2).reach is None


@pytest.mark.parametrize(
    "network",
    [
        RRDBNet((3, 8, 8), width=4, blocks=1, growth=2, scale=2),
        ResNetTranslator((3, 8, 8), width=2, blocks=1, norm="batch"),
    ],
    ids=["rrdb", "resnet"],
)
def test_a_tile_with_its_reach_is_the_images(network: Translator) -> None:
    """What reach is for: within a margin of it, of whole multiples, a tile's pixels are those of the whole image."""
    torch.manual_seed(0)
    network = network.double().eval()
    assert network.reach is not None
    margin = -(-network.reach // network.multiple) * network.multiple
    x = torch.randn(1, 3, 2 * margin + 24, 2 * margin + 24, dtype=torch.double)
    whole, tile = network(x), network(x[:, :, 8 : 2 * margin + 16, 8 : 2 * margin + 16])
    inner = slice(margin * network.scale, (margin + 8) * network.scale)
    outer = slice((8 + margin) * network.scale, (16 + margin) * network.scale)
    torch.testing.assert_close(tile[:, :, inner, inner], whole[:, :, outer, outer])


@pytest.mark.parametrize(("layers", "pixels"), [(0, 7), (1, 16), (2, 34), (3, 70), (4, 142)])
def test_a_logit_sees_a_patch(layers: int, pixels: int) -> None:
    """Isola et al. 2017, appendix 6.1.2: 70x70 with three halvings, 16x16 with one."""
    judge = PatchDiscriminator((3, 256, 256), width=2, layers=layers, norm="none").double()
    x = torch.randn(1, 3, 256, 256, dtype=torch.double, requires_grad=True)
    logits = judge(x).logits
    (slope,) = torch.autograd.grad(logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2], x)
    for axis in (2, 3):
        rows = slope.abs().amax([a for a in range(4) if a != axis]).nonzero()
        assert int(rows.max() - rows.min()) + 1 == pixels


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("shape", [(1, 24, 24), (6, 256, 256), (4, 40, 33)], ids=str)
def test_a_verdict_of_patches(norm: Any, shape: tuple[int, int, int]) -> None:
    judge = PatchDiscriminator(shape, width=2, norm=norm)
    x = torch.rand(2, *shape)
    features = judge.features(x)
    assert [f.shape[1] for f in features] == [2, 4, 8, 16]
    verdict = judge(x)
    assert verdict.logits.shape == (2, 1, shape[1] // 8 - 2, shape[2] // 8 - 2)
    assert verdict.per_image.shape == (2,)
    assert torch.equal(judge.eval().judge(judge.features(x)[-1]).logits, judge(x).logits)
    verdict.logits.square().sum().backward()
    assert all(p.grad is not None for p in judge.parameters())
    assert (judge.layers[1][0].bias is None) == (norm == "batch")


@pytest.mark.parametrize("layers", [0, 1, 2, 3, 4])
def test_the_smallest_patch(layers: int) -> None:
    least = 3 * 2**layers
    assert PatchDiscriminator((3, least, least), width=2, layers=layers).eval()(
        torch.rand(1, 3, least, least)
    ).logits.shape == (1, 1, 1, 1)
    with pytest.raises(ShapeError, match=f"takes {least} along both sides") as caught:
        PatchDiscriminator((3, least - 1, 200), layers=layers)
    assert caught.value.nearest == ((least, 200),)


def test_sizes_that_cannot_be() -> None:
    with pytest.raises(ShapeError, match="27x64 pixels are not multiples of 2 along both sides") as caught:
        UNet((3, 27, 64))
    assert caught.value.nearest == ((26, 64), (28, 64))
    with pytest.raises(ShapeError, match=r"multiples of 256.*the nearest possible size is 256x256") as caught:
        UNet((3, 128, 128), doublings=8)
    assert caught.value.nearest == ((256, 256),)
    with pytest.raises(ShapeError, match="30x32 pixels are not multiples of 4 of at least 8") as caught:
        ResNetTranslator((3, 30, 32))
    assert caught.value.nearest == ((28, 32), (32, 32))
    with pytest.raises(ShapeError) as caught:
        ResNetTranslator((3, 4, 4))
    assert caught.value.nearest == ((8, 8),)
    require_multiple(8, 8, 4, least=2)


def test_an_enlargement_is_nearest_then_a_convolution() -> None:
    """The folded transposed convolution against the two steps of the paper's code."""
    torch.manual_seed(0)
    up = RRDBNet((3, 8, 8), width=4, blocks=1, growth=2).ups[0].double()
    x = torch.randn(1, 4, 5, 7, dtype=torch.double)
    plain = nn.functional.conv2d(interpolate(x, scale_factor=2.0), up.weight, up.bias, padding=1)
    torch.testing.assert_close(up(x), plain)


def test_a_deep_rrdb_begins_near_its_first_layers() -> None:
    """Dense layers at a tenth of He's deviation change little: three are about the identity, so a block is 1 + 0.2."""
    torch.manual_seed(0)
    network = RRDBNet((3, 8, 8), width=16, blocks=23, growth=8)
    x = network.first(torch.randn(1, 3, 16, 16))
    change = (network.blocks(x) / 1.2**23 - x).std() / x.std()
    assert 0 < change < 0.05


def test_images_of_the_unit_interval() -> None:
    """With `unit` the same weights see (x + 1) / 2, and what they make is brought back."""
    torch.manual_seed(0)
    one, other = (RRDBNet((3, 8, 8), width=4, blocks=1, growth=2, unit=unit).double() for unit in (False, True))
    other.load_state_dict(one.state_dict())
    x = torch.rand(1, 3, 8, 8, dtype=torch.double) * 2 - 1
    torch.testing.assert_close(other(x), one((x + 1) / 2) * 2 - 1)


def test_a_residual_translator_begins_with_what_it_is_given() -> None:
    network = ResNetTranslator((3, 8, 8), width=4, blocks=1, residual=True)
    x = torch.rand(2, 3, 8, 12) * 2 - 1
    assert torch.equal(network(x), x)
    network(x).square().mean().backward()
    assert network.exit.weight.grad is not None
    assert network.exit.weight.grad.abs().max() > 0
    with pytest.raises(UsageError, match="leave residual out"):
        ResNetTranslator((3, 8, 8), channels=1, width=4, blocks=1, residual=True)


def test_what_is_added_to_the_bicubic_enlargement_begins_at_nothing() -> None:
    network = RRDBNet((3, 8, 8), width=4, blocks=1, growth=4, scale=4, residual=True)
    x = torch.rand(2, 3, 5, 7) * 2 - 1
    enlarged = torch.nn.functional.interpolate(x, scale_factor=4, mode="bicubic")
    assert torch.equal(network(x), enlarged)
    with pytest.raises(UsageError, match="leave residual out"):
        RRDBNet((3, 8, 8), channels=1, width=4, blocks=1, growth=4, residual=True)


def test_sizes_that_no_network_has_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot be enlarged 3 times; give a scale of 1, 2 or 4"):
        RRDBNet((3, 8, 8), scale=3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a U-Net of 0 halvings cannot be; give 1 or more"):
        UNet((3, 8, 8), doublings=0)
    with pytest.raises(UsageError, match="-1 blocks cannot be; give 0 or more"):
        ResNetTranslator((3, 8, 8), blocks=-1)
