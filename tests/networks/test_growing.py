"""Growing players: golden answers of public reference code, and what a level does."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from golden.filling import combination, sparse
from golden.growing import CASES, inputs, member
from sparring.networks import progan, stylegan
from sparring.networks.equalised import softened
from sparring.networks.growing import Growing, blended, enlarged, grow, halved, seen_at

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "growing.json").read_text())["answers"]


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_answers_and_gradients_are_the_references(
    case: tuple[str, int, int, float], mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recorded by `tests/golden/parity_growing.py` from the repository and commit that the file names."""
    known = GOLDEN.get("-".join(map(str, (*case, mode))))
    network = member(*case).train(mode == "train")
    x, labels = inputs(case[0], case[1], case[3])
    if known is None:  # theirs makes images of the level's size alone
        assert network(x, labels).shape[2] == case[1]
        return
    if case[0].startswith("stylegan"):  # theirs has no filter, and no bias after the constant
        monkeypatch.setattr(stylegan, "softened", lambda image: image)
        with torch.no_grad():
            network.blocks[0].first.bias.zero_()  # type: ignore[index, union-attr, operator]
    at = x.requires_grad_()
    said = network(at, labels) if case[2] else network(at)
    flat = said.flatten() if isinstance(said, Tensor) else said.logits
    (slope,) = torch.autograd.grad((flat * combination(flat)).sum(), at)
    for found, golden in ((flat, known["output"]), (slope, known["gradient"])):
        assert sparse(found) == pytest.approx(golden, abs=1e-9 * max(map(abs, golden)))


GENERATORS = [
    lambda shape, classes: progan.Generator(shape, classes, width=2, most=8, z_dim=6),
    lambda shape, classes: stylegan.Generator(shape, classes, width=2, most=8, z_dim=6, mapping_layers=2),
]
JUDGES = [
    lambda shape, classes: progan.Discriminator(shape, classes, width=2, most=8),
    lambda shape, classes: stylegan.Discriminator(shape, classes, width=2, most=8),
]


@pytest.mark.parametrize("shape", [(1, 28, 28), (4, 16, 24), (3, 64, 64), (5, 7, 5)], ids=str)
@pytest.mark.parametrize(("make", "judging"), list(zip(GENERATORS, JUDGES, strict=True)), ids=["progan", "stylegan"])
def test_any_shape_at_any_level(make: object, judging: object, shape: tuple[int, int, int]) -> None:
    for classes in (0, 3):
        generator, judge = make(shape, classes), judging(shape, classes)  # type: ignore[operator]
        z, told = torch.randn(3, 6), (torch.tensor([0, 1, 2]),) * bool(classes)
        for level in (0.0, 0.5, 1.0, generator.levels - 0.25, float(generator.levels)):
            grow(generator, level)
            grow(judge, level)
            images = generator.train()(z, *told)
            assert images.shape[2:] == tuple(side // 2 ** (generator.levels - generator.top) for side in shape[1:])
            full = generator.eval()(z, *told)
            assert full.shape == (3, *shape)
            assert judge(images, *told).logits.shape == (3,)
            torch.testing.assert_close(
                judge(full, *told).logits, judge(halved(full, generator.levels - generator.top), *told).logits
            )


@pytest.mark.parametrize("make", GENERATORS, ids=["progan", "stylegan"])
def test_a_level_is_faded_in(make: object) -> None:
    """Just after its beginning an image is that of the level before, enlarged; half way it is half of either."""
    torch.manual_seed(0)
    generator, z = make((3, 32, 32), 0).eval(), torch.randn(4, 6)  # type: ignore[operator]
    images = {}
    for level in (1.0, 1.0 + 2**-20, 1.5, 2.0 - 2**-20, 2.0):
        grow(generator, level)
        images[level] = generator(z)
    torch.testing.assert_close(images[1.0 + 2**-20], images[1.0], atol=1e-4, rtol=0)
    torch.testing.assert_close(images[2.0 - 2**-20], images[2.0], atol=1e-4, rtol=0)
    torch.testing.assert_close(images[1.5], (images[1.0] + images[2.0]) / 2, atol=1e-5, rtol=0)


@pytest.mark.parametrize("make", JUDGES, ids=["progan", "stylegan"])
def test_a_discriminator_fades_alike(make: object) -> None:
    """Just after a level's beginning it is shown what an image was at the level before."""
    torch.manual_seed(0)
    judge, images = make((3, 32, 32), 0).double(), torch.randn(4, 3, 32, 32, dtype=torch.double)  # type: ignore[operator]
    grow(judge, 1.0)
    before = judge(images).logits
    grow(judge, 1.0 + 2**-20)
    torch.testing.assert_close(judge(images).logits, before, atol=1e-4, rtol=0)


def test_a_level_belongs_to_the_weights() -> None:
    """It is saved, loaded and copied with them, and parts of a network that are not in use have no gradient."""
    one, other = (progan.Generator((1, 16, 16), width=2, most=4, z_dim=3) for _ in range(2))
    one.grow(0.25)
    other.load_state_dict(one.state_dict())
    assert (other.level, copy.deepcopy(one).eval().level) == (0.25, 0.25)
    other.grown.fill_(2**20)  # as an average copies it, tensor by tensor
    assert other.eval().level == 1.0
    one.train()(torch.randn(2, 3)).sum().backward()
    used = {name for name, p in one.named_parameters() if p.grad is not None}
    assert any(name.startswith("blocks.0") for name in used)
    assert not any(name.startswith(("blocks.1", "paints.2")) for name in used)


def test_levels_stay_within_the_network() -> None:
    network = nn.Sequential(Growing(3), nn.Linear(1, 1))
    for asked, found in ((-1.0, 0.0), (1.3, 1.3), (7.0, 3.0)):
        grow(network, asked)
        assert network[0].level == pytest.approx(found, abs=1e-6)


def test_reals_are_seen_as_small_as_fakes() -> None:
    """Means of blocks, and while a level is faded in a mixture with the level before (Karras et al. 2018, figure 2)."""
    images = torch.arange(16.0).view(1, 1, 4, 4)
    assert torch.equal(seen_at(images, 2.0, 2), images)
    assert seen_at(images, 1.0, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert seen_at(images, 0.0, 2).flatten().tolist() == [7.5]
    mixed = seen_at(images, 1.25, 2)
    assert torch.allclose(mixed, 0.25 * images + 0.75 * enlarged(halved(images, 1), 1))
    assert torch.equal(blended(images, -images, None), -images)


def test_the_small_filter_written_out() -> None:
    """[1, 2, 1] along both axes, zeros around."""
    x = torch.zeros(1, 1, 4, 5, dtype=torch.double)
    x[0, 0, 1, 2] = 16.0
    assert softened(x)[0, 0, :3, 1:4].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]


def test_a_style_sets_mean_and_deviation() -> None:
    """AdaIN (Karras et al. 2019, eq. 1): each channel has the style's scale as deviation and its offset as mean."""
    torch.manual_seed(0)
    layer = stylegan._Epilogue(5, 4, (8, 8)).eval()
    x, w = torch.randn(2, 5, 8, 8), torch.randn(2, 4)
    scale, offset = layer.style(w).chunk(2, 1)
    found = layer(3 * x + 1, w)
    torch.testing.assert_close(found.mean((2, 3)), offset, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.std((2, 3), correction=0), (scale + 1).abs(), atol=1e-4, rtol=0)


def test_truncation_leaves_fine_layers_alone() -> None:
    generator = stylegan.Generator((3, 64, 64), width=2, most=8, z_dim=6, mapping_layers=2).eval()
    styles = generator.styles(torch.randn(2, 6))
    cut = generator.truncated(styles, 0.0)
    assert torch.equal(cut[:, 8:], styles[:, 8:])
    assert torch.equal(cut[:, :8], generator.mapping.average.expand(2, 8, 6))


def test_styles_mix_within_the_layers_in_use() -> None:
    torch.manual_seed(0)
    generator = stylegan.Generator((3, 64, 64), width=2, most=8, z_dim=6, mapping_layers=2, mixing=1.0)
    generator.grow(1.0)
    styles = generator.styles(torch.randn(100, 6))
    changes = ((styles[:, 1:] - styles[:, :-1]).abs().sum(2) > 0).nonzero()[:, 1] + 1
    assert set(changes.tolist()) == {1, 2, 3}
