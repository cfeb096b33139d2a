"""Penalties beyond R1 and R2 against closed forms, in float64."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.utils import parametrizations

from conftest import noise_of
from sparring.networks.modifiers import MinibatchDiscrimination
from sparring.objectives import penalties
from sparring.objectives.losses import least_squares, non_saturating
from sparring.objectives.paths import path_lengths
from sparring.objectives.penalties import PenaltyFunction, PenaltyInputs
from sparring.objectives.weights import historical_averaging, orthogonal

SLOPE = torch.arange(1.0, 5.0, dtype=torch.double)


def quadratic(images: Tensor) -> Tensor:
    """D(x) = a . x + x . x, whose gradient is a + 2 x."""
    flat = images.flatten(1)
    return flat @ SLOPE + flat.square().sum(1)


def drawn(value: float) -> Callable[[int, int, str], Tensor]:
    """Draws that are all the same, in [-1, 1]."""
    return lambda n, dim, kind: torch.full((n, dim), value, dtype=torch.double)


def inputs(judge: Callable[[Tensor], Tensor] = quadratic, **more: object) -> PenaltyInputs:
    source = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(3, 1, 2, 2, dtype=torch.double, generator=source) for _ in range(2))
    return PenaltyInputs(judge, real, fake, judge(real), judge(fake), **more)  # type: ignore[arg-type]


def test_wgan_gp_between_reals_and_fakes() -> None:
    """Draws of 0.5 in [-1, 1] are shares of 0.75: x^ = 0.75 x + 0.25 G(z)."""
    given = inputs(draw=drawn(0.5))
    between = (0.75 * given.real + 0.25 * given.fake).flatten(1)
    expected = ((SLOPE + 2 * between).norm(dim=1) - 1).square()
    torch.testing.assert_close(penalties.wgan_gp(given, {})[0], expected)
    centred = PenaltyFunction(partial(penalties.interpolated_gradient, target=0.0))
    torch.testing.assert_close(centred(given, {})[0], (SLOPE + 2 * between).square().sum(1))


def test_the_one_sided_penalty_leaves_small_gradients_alone() -> None:
    def flat(images: Tensor) -> Tensor:
        return images.flatten(1) @ (SLOPE / 10)  # a gradient of norm 0.55

    one_sided = PenaltyFunction(partial(penalties.interpolated_gradient, one_sided=True))
    assert float(one_sided(inputs(flat, draw=drawn(0.5)), {})[0].detach().abs().max()) == 0
    assert float(penalties.wgan_gp(inputs(flat, draw=drawn(0.5)), {})[0].detach().min()) > 0
    steep = inputs(lambda images: images.flatten(1) @ SLOPE, draw=drawn(0.5))  # |(1, 2, 3, 4)|^2 = 30
    expected = torch.full((3,), (30**0.5 - 1) ** 2, dtype=torch.double)
    torch.testing.assert_close(one_sided(steep, {})[0].detach(), expected)


def test_dragan_around_reals() -> None:
    """Draws of 0: e = u = 1/2, so the step is 1/2 of 1/2 of half the batch's standard deviation."""
    given = inputs(draw=drawn(0.0))
    step = 0.5 * 0.5 * 0.5 * given.real.std(correction=0)
    expected = ((SLOPE + 2 * (given.real.flatten(1) + step)).norm(dim=1) - 1).square()
    torch.testing.assert_close(penalties.dragan(given, {})[0], expected)


def test_lecam_follows_the_other_side() -> None:
    """Two rounds by hand; the running means take a hundredth of each new one."""
    first = inputs()
    value, state = penalties.lecam(first, {})
    real, fake = first.real_logits, first.fake_logits
    torch.testing.assert_close(value, (real - fake.mean()).square() + (fake - real.mean()).square().mean())
    second = inputs(lambda images: quadratic(images) + 5)
    value, state = penalties.lecam(second, state)
    anchors = {side: 0.99 * mean + 0.01 * (mean + 5) for side, mean in (("real", real.mean()), ("fake", fake.mean()))}
    expected = (real + 5 - anchors["fake"]).square() + (fake + 5 - anchors["real"]).square().mean()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(state["real"], anchors["real"])


def test_consistency_is_zero_for_what_d_does_not_see() -> None:
    """A D of the mean brightness does not see flips; one that looks left does."""
    blind = inputs(lambda images: images.mean((1, 2, 3)), draw=noise_of(0))
    assert float(penalties.consistency(blind, {})[0].abs().max()) < 1e-20
    given = inputs(lambda images: images[:, 0, :, 0].sum(1), draw=drawn(-1.0))  # every image flipped, none moved
    flipped = (given.real.flip(3) - given.real)[:, 0, :, 0].sum(1).square()
    flipped_fake = (given.fake.flip(3) - given.fake)[:, 0, :, 0].sum(1).square()
    torch.testing.assert_close(penalties.consistency(given, {})[0], (flipped.mean() + flipped_fake.mean())[None])


def test_shifts_reflect() -> None:
    """Shares of 1 move 16 pixels by two down and right; what comes in is mirrored at the border pixel."""
    images = torch.arange(16.0).view(1, 1, 1, 16).expand(1, 1, 16, 16)
    moved = penalties.flipped_and_shifted(images, lambda n, dim, kind: torch.ones(n, dim))
    assert moved[0, 0, 5].tolist() == [2, 1, *range(14)]


@pytest.mark.parametrize("smoothing", [0.1, 0.3])
def test_label_smoothing_is_the_smoothed_loss(smoothing: float) -> None:
    """Cross-entropy with target 1 - a (torch's), and least squares towards it but for a constant."""
    given = inputs()
    real, none = given.real_logits, torch.zeros(3, dtype=torch.double)
    term = smoothing * penalties.label_smoothing(given, {})[0]
    smooth = binary_cross_entropy_with_logits(real, torch.full_like(real, 1 - smoothing), reduction="none")
    torch.testing.assert_close(non_saturating.discriminator(real, none - 1e9) + term, smooth)
    gap = least_squares.discriminator(real, none) + term - (real - (1 - smoothing)).square() / 2
    torch.testing.assert_close(gap, gap[:1].expand(3))


def test_drift_by_hand() -> None:
    given = inputs()
    torch.testing.assert_close(penalties.drift(given, {})[0], given.real_logits.square())


def test_orthogonal_by_hand() -> None:
    """W = [[1, 2], [3, 4]]: the off-diagonal products are 11, twice; rotations, norms and biases cost nothing."""
    layer = nn.Linear(2, 2).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert float(orthogonal(inputs(network=layer), {})[0].detach()) == pytest.approx(2 * 11**2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 0.0], [0.0, -5.0]]))
    assert float(orthogonal(inputs(network=layer), {})[0].detach()) == 0


def test_transposed_convolutions_have_a_row_for_each_output() -> None:
    """Weights are stored [in, out, ...] there: two equal output filters of one entry 1 have the product 1, twice."""
    layer = nn.ConvTranspose2d(3, 2, 1, bias=False).double()
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0] = 1.0
    assert float(orthogonal(inputs(network=layer), {})[0].detach()) == pytest.approx(2.0)


def test_minibatch_discrimination_has_a_row_for_each_output() -> None:
    """T is `[features, outputs]`: columns that stand apart cost nothing, two equal ones of length 1 cost 2."""
    layer = MinibatchDiscrimination(3, 2, 1).double()
    with torch.no_grad():
        layer.tensor.copy_(torch.tensor([[1.0, 1.0], [1.0, -1.0], [0.0, 0.0]]))
    assert float(orthogonal(inputs(network=layer), {})[0].detach()) == 0
    with torch.no_grad():
        layer.tensor.copy_(torch.tensor([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]))
    assert float(orthogonal(inputs(network=layer), {})[0].detach()) == pytest.approx(2.0)


@pytest.mark.parametrize("layer", [nn.ConvTranspose2d(3, 2, 1, bias=False), nn.Embedding(2, 3)])
def test_orthogonality_knows_a_layer_under_spectral_norm(layer: nn.Module) -> None:
    """The rows that a layer has, before they are divided by its norm; none of a table of embeddings."""
    with torch.no_grad():
        layer.weight.fill_(1.0)  # type: ignore[operator, union-attr]
    expected = float(orthogonal(inputs(network=layer.double()), {})[0].detach())
    assert expected == (0.0 if isinstance(layer, nn.Embedding) else 2 * 3.0**2)
    parametrizations.spectral_norm(layer)
    assert float(orthogonal(inputs(network=layer), {})[0].detach()) == pytest.approx(expected)


def test_historical_averaging_by_hand() -> None:
    """Weights 1, then 3, then 5: no distance, 2 from the mean 1, 3 from the mean 2."""
    layer = nn.Linear(1, 1, bias=False).double()
    state: dict[str, Tensor] = {}
    for weight, distance in ((1.0, 0.0), (3.0, 2.0), (5.0, 3.0)):
        with torch.no_grad():
            layer.weight.fill_(weight)
        value, found = historical_averaging(inputs(network=layer), state)
        state = dict(found)
        assert float(value.detach()) == pytest.approx(distance**2)
    assert float(state["weight"]) == pytest.approx(3.0)


def test_path_lengths_are_those_of_the_jacobian() -> None:
    """For G(z) = A z the length is |A^T y| / sqrt(h w), its running mean begins at 0 and takes a hundredth."""
    matrix = torch.randn(3 * 2 * 4, 5, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    z = torch.randn(6, 5, dtype=torch.double).requires_grad_()
    fake = (z @ matrix.t()).view(6, 3, 2, 4)
    empty = fake.detach()[:0]
    none = empty.flatten()

    def draw(n: int, dim: int, kind: str) -> Tensor:
        return noise_of(2)(n, dim, kind).double()

    given = PenaltyInputs(lambda images: images.sum((1, 2, 3)), empty, fake, none, none, latents=z, draw=draw)
    value, state = path_lengths(given, {})
    lengths = (draw(6, 24, "normal") @ matrix / 8**0.5).norm(dim=1)
    torch.testing.assert_close(state["mean"], 0.01 * lengths.mean())
    torch.testing.assert_close(value.detach(), (lengths - 0.01 * lengths.mean()).square())


@pytest.mark.parametrize("before", [torch.bfloat16, torch.float32])
def test_the_mean_of_path_lengths_is_kept_wide(before: torch.dtype) -> None:
    """Under autocast styles are narrow, in which a mean would stand still; a run may go on where they are not."""
    styles = torch.ones(6, 3, 5, dtype=torch.bfloat16, requires_grad=True)
    fake = styles.sum((1, 2))[:, None, None, None].expand(6, 1, 2, 2)
    empty = fake.detach()[:0]
    given = PenaltyInputs(
        lambda images: images.sum((1, 2, 3)), empty, fake, empty.flatten(), empty.flatten(),
        latents=styles, draw=noise_of(2),
    )  # fmt: skip
    value, state = path_lengths(given, {"mean": torch.ones((), dtype=before)})
    assert state["mean"].dtype == value.dtype == torch.float32


def test_path_lengths_of_styles_are_averaged_over_the_layers() -> None:
    """For G(w) = A_1 w_1 + A_2 w_2 + ... the squared length is the mean of |A_l^T y|^2 / (h w) over the layers l."""
    matrices = torch.randn(3, 2 * 4, 5, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    styles = torch.ones(6, 3, 5, dtype=torch.double, requires_grad=True)
    fake = torch.einsum("lpd,nld->np", matrices, styles).view(6, 1, 2, 4)
    noise = noise_of(2)(6, 8, "normal").double()
    empty = fake.detach()[:0]
    given = PenaltyInputs(
        lambda images: images.sum((1, 2, 3)), empty, fake, empty.flatten(), empty.flatten(),
        latents=styles, draw=lambda n, dim, kind: noise,
    )  # fmt: skip
    before = torch.tensor(2.0, dtype=torch.double)
    value, state = path_lengths(given, {"mean": before})
    squared = sum((noise @ matrix / 8**0.5).square().sum(1) for matrix in matrices) / 3
    mean = 0.99 * before + 0.01 * squared.sqrt().mean()
    torch.testing.assert_close(state["mean"], mean)
    torch.testing.assert_close(value.detach(), (squared.sqrt() - mean).square())


def test_consistency_flips_and_shifts_each_image_in_its_own_way() -> None:
    images = torch.arange(256.0).view(1, 1, 16, 16).expand(3, 1, 16, 16)
    drawn = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [-1.0, 0.0, 0.0]])
    down, right, flipped = penalties.flipped_and_shifted(images, lambda n, dim, kind: drawn)[:, 0]
    assert torch.equal(down[2:], images[0, 0, :14])
    assert torch.equal(down[:2], images[0, 0, [2, 1]])
    assert torch.equal(right[:, 2:], images[0, 0, :, :14])
    assert torch.equal(flipped, images[0, 0].flip(1))


@pytest.mark.parametrize("penalty", [penalties.wgan_gp, penalties.dragan])
def test_a_d_that_is_flat_spreads_no_nan(penalty: PenaltyFunction) -> None:
    weight = torch.zeros(4, requires_grad=True)

    def judge(images: Tensor, _: object = None) -> Tensor:
        return images.flatten(1) @ weight

    real, fake = torch.randn(3, 1, 2, 2), torch.randn(3, 1, 2, 2)
    inputs = PenaltyInputs(
        judge, real, fake, judge(real), judge(fake), draw=lambda n, dim, kind: torch.full((n, dim), 0.5)
    )
    value, _ = penalty(inputs, {})
    value.mean().backward()
    assert torch.equal(value.detach(), torch.ones(3))
    assert weight.grad is not None
    assert torch.equal(weight.grad, torch.zeros(4))
