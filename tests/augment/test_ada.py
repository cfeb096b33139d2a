"""ADA's pipe against the reference code's outputs, and each transform against its definition."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from conftest import noise_loader, noise_of
from sparring.augment import matrices
from sparring.augment.ada import ada
from sparring.augment.augmentation import Adaptive, Augmentation
from sparring.augment.filtering import SYM6, bands, octaves
from sparring.augment.warping import warp
from sparring.engine.devices import Devices
from sparring.engine.rounds import rounds
from sparring.recipes.spelling import recipe_named
from sparring.schedule import Linear

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "ada.json").read_text())
GROUPS = ("blit", "geometry", "colour", "filtering", "noise", "cutout")
NONE: dict[str, Any] = dict.fromkeys(GROUPS, 0.0)


def percentile(share: float, *, still: int = 0) -> Callable[[int, int, str], Tensor]:
    """Draws that stand still: the reference's `debug_percentile`, with the second rotation's angle (draw 8) at zero."""
    count = itertools.count(1)
    inverse = float(torch.erfinv(torch.tensor(2 * share - 1)))

    def draw(n: int, dim: int, kind: str) -> Tensor:
        if next(count) == still:
            return torch.zeros(n, dim)
        return torch.full((n, dim), 2 * share - 1 if kind == "uniform" else inverse)

    return draw


@pytest.mark.parametrize(
    "case", GOLDEN["cases"], ids=[f"{c['group']}-{c['percentile']}-{c['shape'][1]}" for c in GOLDEN["cases"]]
)
def test_the_reference_makes_the_same_images(case: dict[str, Any]) -> None:
    """Recorded from NVlabs/stylegan2-ada-pytorch's pure-PyTorch path (the commit stands in the file)."""
    shape = tuple(case["shape"])
    image = torch.sin(torch.arange(torch.Size(shape).numel(), dtype=torch.float32) * 0.7).view(shape)
    settings = {**NONE, case["group"]: 1.0}
    draw = percentile(case["percentile"], still=8 if case["group"] == "geometry" else 0)
    found = ada(image, torch.tensor(2.0), draw, **settings)  # strength 2: every transform is met
    expected = torch.tensor(case["image"]).view(shape)
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-5


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_at_strength_zero_nothing_happens(channels: int) -> None:
    images = torch.randn(3, channels, 12, 16)
    found = ada(images, torch.tensor(0.0), noise_of(0), **dict.fromkeys(GROUPS, 1.0))
    torch.testing.assert_close(found, images, atol=2e-5, rtol=0)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_gradients_flow_twice(group: str, channels: int) -> None:
    """Through every group, to the image and once more (R1 differentiates images before augmentation)."""
    images = torch.randn(2, channels, 8, 8, requires_grad=True)
    found = ada(images, torch.tensor(1.0), noise_of(1), **{**NONE, group: 1.0})
    (first,) = torch.autograd.grad(found.tanh().square().sum(), images, create_graph=True)
    assert float(first.detach().abs().sum()) > 0
    (second,) = torch.autograd.grad(first.square().sum(), images)
    assert torch.isfinite(second).all()
    assert float(second.abs().sum()) > 0


def test_the_last_of_four_channels_keeps_its_colour() -> None:
    images = torch.randn(2, 4, 8, 8)
    found = ada(images, torch.tensor(1.0), noise_of(2), **{**NONE, "colour": 1.0})
    assert torch.equal(found[:, 3], images[:, 3])
    assert not torch.equal(found[:, :3], images[:, :3])


def test_without_mirror_no_image_is_flipped() -> None:
    """An image that says which way it looks: its right half is bright; only shifts and quarter turns are left."""
    images = torch.full((64, 1, 16, 16), -1.0)
    images[:, :, 2:5, 9:15] = 1.0  # an L: a bar and a foot, which no rotation turns into its mirror image
    images[:, :, 5:9, 13:15] = 1.0
    turns = [torch.rot90(images[0, 0], k, (0, 1)) for k in range(4)]
    mirrored = [torch.rot90(images[0, 0].flip(1), k, (0, 1)) for k in range(4)]

    def nearest(image: Tensor, patterns: list[Tensor]) -> float:
        shifts = itertools.product(range(-2, 3), repeat=2)
        return min(float((image - p.roll(s, (0, 1))).abs().mean()) for s in shifts for p in patterns)

    for mirror in (False, True):
        found = ada(images, torch.tensor(1.0), noise_of(3), **{**NONE, "blit": 1.0, "mirror": mirror})[:, 0]
        flipped = [nearest(image, mirrored) < nearest(image, turns) for image in found]
        assert any(flipped) is mirror


def test_whole_shifts_are_exact_and_turns_invertible() -> None:
    images = torch.randn(3, 2, 16, 24)
    right = matrices.shifted(torch.full((3,), -3.0), torch.zeros(3))
    torch.testing.assert_close(warp(images, right)[..., 3:], images[..., :-3], atol=2e-5, rtol=0)
    line = torch.arange(40) - 19.5
    smooth = torch.exp(-((line - 4).square()[:, None] / 40 + line.square() / 80))[None, None]
    turn = matrices.turned(torch.tensor([0.4]))
    there_and_back = warp(warp(smooth, turn), matrices.turned(torch.tensor([-0.4])))
    torch.testing.assert_close(there_and_back[..., 8:-8, 8:-8], smooth[..., 8:-8, 8:-8], atol=0.02, rtol=0)


@pytest.mark.parametrize(("share", "turned"), [(0.19, True), (0.21, False)])
def test_two_rotations_have_together_the_probability_of_one(share: float, turned: bool) -> None:
    """At strength 0.36 each happens in 1 - sqrt(1 - 0.36) = 0.2 of all cases; normal draws of 0 change nothing else."""

    def draw(n: int, dim: int, kind: str) -> Tensor:
        return torch.full((n, dim), 2 * share - 1 if kind == "uniform" else 0.0)

    image = torch.randn(1, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    found = ada(image, torch.tensor(0.36), draw, **{**NONE, "geometry": 1.0})
    assert torch.allclose(found, image, atol=2e-5) is not turned


def test_colours_are_what_they_say() -> None:
    grey, colour = torch.tensor([0.3, 0.3, 0.3, 1.0]), torch.tensor([0.9, -0.2, 0.2, 1.0])
    half = torch.tensor([0.5])
    torch.testing.assert_close((matrices.lit(half) @ colour)[0, :3], colour[:3] + 0.5)
    torch.testing.assert_close((matrices.spread(half) @ colour)[0, :3], colour[:3] * 0.5)
    torch.testing.assert_close((matrices.luma_flipped(torch.ones(1)) @ grey)[0, :3], -grey[:3])
    torch.testing.assert_close((matrices.saturated(torch.zeros(1)) @ colour)[0, :3], torch.full((3,), 0.3))
    third = torch.tensor([2 * torch.pi / 3])  # a third of a turn about the grey axis exchanges the colours in a ring
    torch.testing.assert_close((matrices.hue_turned(third) @ colour)[0, :3], colour[:3].roll(1))
    back = matrices.hue_turned(third) @ matrices.hue_turned(-third)
    torch.testing.assert_close(back[0], torch.eye(4))


def test_octaves_add_up_to_the_identity_and_sym6_is_orthonormal() -> None:
    taps = octaves()
    identity = torch.zeros(taps.shape[1], dtype=torch.double)
    identity[taps.shape[1] // 2] = 1
    torch.testing.assert_close(taps.sum(0), identity, atol=1e-11, rtol=0)
    sym6 = torch.tensor(SYM6, dtype=torch.double)
    for lag in range(0, len(SYM6), 2):  # orthonormal to its even shifts (Daubechies 1992)
        product = float((sym6[lag:] * sym6[: len(SYM6) - lag]).sum())
        assert product == pytest.approx(float(lag == 0), abs=1e-10)


def test_a_gain_of_the_lowest_octave_changes_the_mean() -> None:
    """Flat images are the lowest octave alone: along each axis its gain over the root of the expected power."""
    flat = torch.full((1, 1, 16, 16), 0.5)
    one, two = torch.ones(1), torch.full((1,), 2.0)
    found = bands(flat, [two, one, one, one])
    assert float(found.mean()) == pytest.approx(0.5 * 2**2 / (10 / 13 * 4 + 3 / 13), rel=1e-5)


def test_the_strength_follows_the_sign_of_d() -> None:
    """Above the target it rises by images / over every four turns, below it falls, and it stays in [0, 1]."""
    augmentation = Augmentation(ada, Adaptive(over=1000.0, target=0.6, every=4))
    state = augmentation.begin()
    for turn in range(1, 9):
        augmentation.listen(state, torch.tensor(0.9), 50)
        assert float(state["strength"]) == pytest.approx(0.2 * (turn // 4))
    for _ in range(4):
        augmentation.listen(state, torch.tensor(0.1), 50)
    assert float(state["strength"]) == pytest.approx(0.2)
    for _ in range(8):
        augmentation.listen(state, torch.tensor(-1.0), 50)
    assert float(state["strength"]) == 0.0


def test_the_strength_of_the_moment_reaches_the_images() -> None:
    """The controller's, of 0.25, and a schedule's after a quarter of its way from 1 to 0."""
    grey = torch.zeros(1, 1, 2, 2)
    adaptive, falling = (
        Augmentation(lambda images, strength, draw: images + strength, strength)
        for strength in (Adaptive(over=10.0), Linear(1.0, 0.0, over=100))
    )
    state = adaptive.begin()
    state["strength"].fill_(0.25)
    assert torch.equal(adaptive(grey, state, 0, noise_of(0)), grey + 0.25)
    assert torch.equal(falling(grey, falling.begin(), 25, noise_of(0)), grey + 0.75)


@pytest.mark.parametrize(("turns", "parts"), [(5, 1), (1, 5), (5, 2)])
def test_turns_of_d_and_their_parts_share_a_round(turns: int, parts: int) -> None:
    """In five turns a round, or five parts, the strength moves as often: by 0.2 after four rounds of 50 images."""
    augmentation = Augmentation(ada, Adaptive(over=1000.0, every=4))
    state = augmentation.begin()
    for heard in range(1, 8 * turns * parts + 1):
        augmentation.listen(state, torch.tensor(1.0), 50 // parts, turns, parts)
        assert float(state["strength"]) == pytest.approx(0.2 * (heard // (4 * turns * parts)))


def test_the_strength_moves_in_one_round_of_four_also_in_parts(devices: Devices) -> None:
    recipe = recipe_named("gan+augment=ada+accumulate=2", width=4, batch=8)
    playing = rounds(recipe.bind((1, 8, 8), 0, 96, 1000), noise_loader((1, 8, 8)), devices=devices)
    states = (played.state.tensors() for played in itertools.islice(playing, 4))
    heard = [(float(t["game.rounds"]), float(t["game.images"])) for t in states]
    assert heard == [(1, 8), (2, 16), (3, 24), (0, 0)]


def test_a_shift_moves_both_ways_or_not_at_all() -> None:
    """At strength 0.3 about 30 % of the images are shifted, and most of them along both axes."""
    spot = torch.full((600, 1, 32, 32), -1.0)
    spot[:, :, 16, 16] = 1.0
    moved = ada(spot, torch.tensor(0.3), noise_of(1), **{**NONE, "blit": 1.0, "mirror": False})
    place = moved.flatten(1).argmax(1)
    rows, columns = place // 32, place % 32
    still = {(16, 16), (16, 15), (15, 15), (15, 16)}  # where quarter turns leave it
    shifted = [(int(r), int(c)) not in still for r, c in zip(rows, columns, strict=True)]
    assert 0.24 < sum(shifted) / 600 < 0.36
    one_way = [
        s and (int(r) in (15, 16)) != (int(c) in (15, 16)) for s, r, c in zip(shifted, rows, columns, strict=True)
    ]
    assert sum(one_way) / sum(shifted) < 0.55  # small steps look like none; were the axes apart it would be above 0.8


def test_autocast_leaves_it_alone() -> None:
    """Under mixed precision an image at strength zero is still itself."""
    images = torch.randn(2, 1, 28, 28)
    augmentation = Augmentation(ada, 0.0)
    with torch.autocast("cpu", torch.bfloat16):
        found = augmentation(images, {}, 0, noise_of(0))
    torch.testing.assert_close(found, images, atol=2e-5, rtol=0)
