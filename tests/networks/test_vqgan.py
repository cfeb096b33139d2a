"""The codec of VQGAN and its quantiser: golden answers of public reference code, formulas by hand, any shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from golden.filling import sparse
from golden.vqgan import CASES, LOSSES, Case, key, member, said
from sparring.errors import ShapeError, UsageError
from sparring.networks.quantiser import Quantiser
from sparring.networks.vqgan import Codec

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "vqgan.json").read_text())["answers"]
BOTH = pytest.mark.parametrize("how", ["gradient", "average"])


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize(
    ("case", "loss"), [(case, loss) for case in CASES for loss in LOSSES[case.how]], ids=lambda part: str(part)
)
def test_answers_and_gradients_are_the_references(case: Case, loss: str, mode: str) -> None:
    """Recorded by `tests/golden/parity_vqgan.py` from the repository and commit that the file names."""
    known = GOLDEN[key(case, mode, loss)]
    found = said(member(case).train(mode == "train"), case, loss)
    assert found.keys() == known.keys()
    for name, golden in known.items():
        assert sparse(found[name]) == pytest.approx(golden, abs=1e-9 * max(map(abs, golden))), name


def toy(shape: tuple[int, int, int] = (3, 8, 12), **more: Any) -> Codec:
    torch.manual_seed(0)
    return Codec(shape, **{"width": 4, "multipliers": (1, 2, 3), "blocks": 1, "codes": 6, "dim": 5, **more})


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 24), (4, 20, 4), (5, 4, 4)], ids=str)
@BOTH
def test_any_shape(shape: tuple[int, int, int], how: str) -> None:
    codec = toy(shape, quantiser=how, latent=3)
    x = torch.rand(2, *shape) * 2 - 1
    indices = codec.codes_of(x)
    assert indices.dtype == torch.int64
    assert indices.shape == (2, shape[1] // 4, shape[2] // 4)
    assert codec.encode(x).shape == (2, 5, *indices.shape[1:])
    assert codec(x).shape == codec.image_of(indices).shape == x.shape
    assert torch.equal(codec.eval()(x), codec.image_of(codec.codes_of(x)))
    wider = torch.rand(1, shape[0], 12, 20)  # sizes other than the one it was made for
    assert codec(wider).shape == wider.shape


@pytest.mark.parametrize("width", [4, 33, 48, 64])
def test_groups_divide_the_channels(width: int) -> None:
    groups = {m.num_groups for m in toy(width=width, multipliers=(1,)).modules() if isinstance(m, nn.GroupNorm)}
    assert groups == {{4: 4, 33: 11, 48: 24, 64: 32}[width]}  # the largest divisors up to 32, by hand


@pytest.mark.parametrize(
    ("size", "nearest"),
    [((30, 8), ((28, 8), (32, 8))), ((3, 8), ((4, 8),)), ((8, 9), ((8, 8), (8, 12))), ((3, 9), ((4, 8), (4, 12)))],
)
def test_sides_that_do_not_halve_are_refused(size: tuple[int, int], nearest: tuple[tuple[int, int], ...]) -> None:
    for attempt in (lambda: toy((3, *size)), lambda: toy()(torch.zeros(1, 3, *size))):
        with pytest.raises(ShapeError, match=r"not multiples of 4, the side that a code .*--size") as caught:
            attempt()
        assert caught.value.nearest == nearest


def test_attention_is_where_it_is_asked_for() -> None:
    def attending(codec: Codec) -> set[str]:
        return {name.partition(".attentions")[0] for name, _ in codec.named_parameters() if ".attentions" in name}

    assert attending(toy()) == {"encoder.levels.2", "decoder.levels.2"}
    assert attending(toy(attention=False)) == set()
    assert attending(toy(attention=(0, 1))) == {f"{c}coder.levels.{k}" for c in ("en", "de") for k in (0, 1)}
    with pytest.raises(UsageError, match="from 0 to 2"):
        toy(attention=(3,))


def test_what_a_game_needs_of_it() -> None:
    codec = toy()
    assert (codec.multiple, codec.scale, codec.reach, codec.channels, codec.codes) == (4, 1, None, 3, 6)
    made = codec(torch.rand(2, 3, 8, 8))
    (slope,) = torch.autograd.grad(made.square().mean(), codec.last_layer)
    assert slope.shape == (3, 4, 3, 3)
    assert slope.abs().sum() > 0


def filled(how: str = "gradient", **more: Any) -> Quantiser:
    """Three codes on a line: (0, 0), (1, 0), (4, 0)."""
    quantiser = Quantiser(3, 2, how=how, **more).double()  # type: ignore[arg-type]
    codes = torch.tensor([[0.0, 0.0], [1.0, 0.0], [4.0, 0.0]], dtype=torch.double)
    with torch.no_grad():
        quantiser.codebook.copy_(codes)
        if how == "average":
            quantiser.sums.copy_(codes)
    return quantiser


MAPS = torch.tensor([[0.2, 1.4], [3.0, 9.0], [0.6, -1.0], [2.0, 0.9]], dtype=torch.double)
"""Four images of two places; second components are 0.5. Their codes, by hand: 0 1, 2 2, 1 0, 1 1."""


def line() -> torch.Tensor:
    """The maps `[4, 2, 1, 2]` of MAPS."""
    return torch.stack([MAPS, torch.full_like(MAPS, 0.5)], 1)[:, :, None]


def test_gradients_by_hand() -> None:
    """Images' go straight through; commitment's are 2 (z - e) / numbers, the codebook's -2 sum (z - e) / numbers."""
    quantiser, maps = filled(), line().requires_grad_()
    found = quantiser(maps)
    assert found.indices.flatten(1).tolist() == [[0, 1], [2, 2], [1, 0], [1, 1]]
    chosen = torch.tensor([[0.0, 1.0], [4.0, 4.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.double)
    assert found.maps[:, 0, 0].tolist() == chosen.tolist()
    assert found.maps[:, 1].abs().max() < 1e-12
    torch.testing.assert_close(quantiser.lookup(found.indices), found.maps)
    weight = torch.randn(found.maps.shape, dtype=torch.double)
    straight = torch.autograd.grad((found.maps * weight).sum(), [maps, quantiser.codebook], allow_unused=True)
    assert torch.equal(straight[0], weight)  # type: ignore[arg-type]
    assert straight[1] is None
    away = maps.detach() - found.maps.detach()
    pulled = torch.autograd.grad(found.commitment, [maps, quantiser.codebook], allow_unused=True)
    torch.testing.assert_close(pulled[0], 2 * away / 16)
    assert pulled[1] is None
    moved = torch.autograd.grad(found.codebook, [maps, quantiser.codebook], allow_unused=True)
    assert moved[0] is None
    sums = torch.stack([away.transpose(0, 1)[:, found.indices == code].sum(1) for code in range(3)])
    torch.testing.assert_close(moved[1], -2 * sums / 16)
    for loss in (found.codebook, found.commitment):
        torch.testing.assert_close(loss.detach(), away.square().mean())


def test_a_moving_average_by_hand() -> None:
    """Appendix A of van den Oord et al.: N and m in fair shares, 3 codes over 2 places; 4 images chose 2, 4 and 2."""
    quantiser = filled("average", decay=0.9, epsilon=1e-3).train()
    assert not list(quantiser.parameters())
    quantiser(line())
    share = 3 / 2 / 4
    counts = [0.9 + 0.1 * share * n for n in (2, 4, 2)]
    sums = [0.1 * share * (0.2 - 1.0), 0.9 + 0.1 * share * (1.4 + 0.6 + 2.0 + 0.9), 3.6 + 0.1 * share * 12.0]
    smooth = [(n + 1e-3) / (sum(counts) + 3e-3) * sum(counts) for n in counts]
    assert quantiser.usage.tolist() == pytest.approx(counts)
    assert quantiser.sums[:, 0].tolist() == pytest.approx(sums)
    assert quantiser.sums[:, 1].tolist() == pytest.approx([0.1 * share * 0.5 * n for n in (2, 4, 2)])
    assert quantiser.codebook[:, 0].tolist() == pytest.approx([m / n for m, n in zip(sums, smooth, strict=True)])


@BOTH
def test_nothing_moves_in_evaluation(how: str) -> None:
    quantiser = filled(how).eval()
    before = {name: tensor.clone() for name, tensor in quantiser.state_dict().items()}
    quantiser(line())
    assert all(torch.equal(tensor, before[name]) for name, tensor in quantiser.state_dict().items())
    quantiser.train()(line())
    assert not torch.equal(quantiser.usage, before["usage"])
    assert torch.equal(quantiser.codebook, before["codebook"]) == (how == "gradient")


@BOTH
def test_processes_that_share_a_batch_move_alike(how: str) -> None:
    """Halves of a batch, with the mean over both, do what the batch does; also at another batch size."""
    whole, half, twice = (filled(how).train() for _ in range(3))
    whole(line())
    twice(line().repeat(2, 1, 1, 1))
    rows = []
    filled(how).train()(line()[2:], mean=lambda x: rows.append(x) or x.mean(0))
    half(line()[:2], mean=lambda x: torch.cat([x, rows.pop(0)]).mean(0))
    for other in (half, twice) if how == "gradient" else (twice,):
        assert other.state_dict().keys() == whole.state_dict().keys()
        for name, tensor in whole.state_dict().items():
            torch.testing.assert_close(other.state_dict()[name], tensor)
    torch.testing.assert_close(half.usage, whole.usage)
    if how == "average":
        torch.testing.assert_close(half.codebook, whole.codebook)


@BOTH
def test_half_precision_around_it_does_not_reach_it(how: str) -> None:
    """Distances, losses and averages are as wide as the codebook under autocast."""
    plain, cast = Quantiser(9, 4, how=how), Quantiser(9, 4, how=how)  # type: ignore[arg-type]
    cast.load_state_dict(plain.state_dict())
    maps = torch.randn(3, 4, 5, 2).bfloat16()
    expected = plain.train()(maps.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = cast.train()(maps)
    for name in ("maps", "indices", "codebook", "commitment"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    assert all(torch.equal(tensor, cast.state_dict()[name]) for name, tensor in plain.state_dict().items())


@BOTH
def test_codes_that_nobody_chooses_are_revived(how: str) -> None:
    quantiser = filled(how, decay=0.5).train()
    with torch.no_grad():
        quantiser.codebook[0] = -100.0
        if how == "average":
            quantiser.sums[0] = -100.0
    assert float(quantiser.used) == 1.0
    for _ in range(4):
        quantiser(line())
    assert quantiser.usage[0] == pytest.approx(0.5**4)
    assert float(quantiser.used) == pytest.approx(2 / 3)  # the threshold is 0.1
    others, usage = quantiser.codebook[1:].clone(), quantiser.usage[1:].clone()
    quantiser.revive(quantiser.drawn(line(), torch.rand(3)), 0.01)
    assert quantiser.usage[0] == pytest.approx(0.5**4)
    quantiser.revive(
        quantiser.drawn(line(), torch.tensor([0.51, 0.0, 0.0])), 0.1
    )  # 0.51 of 8 vectors: number 4, image 2, place 0
    assert quantiser.codebook[0].tolist() == [0.6, 0.5]
    assert quantiser.usage[0] == 1.0
    assert torch.equal(quantiser.codebook[1:], others)
    assert torch.equal(quantiser.usage[1:], usage)
    if how == "average":
        assert quantiser.sums[0].tolist() == [0.6, 0.5]
        quantiser(line())
        assert quantiser.codebook[0].norm() < 3  # its average begins where it is
    assert quantiser.nearest(line())[2, 0, 0] == 0
    quantiser.revive(quantiser.drawn(line(), torch.ones(3)), 99.0)  # noise at its end is the last vector
    assert quantiser.codebook.tolist() == [[0.9, 0.5]] * 3


@BOTH
def test_codes_begin_small_and_are_learnt(how: str) -> None:
    """Uniform in 1 / codes around 0, as the reference's; a few steps bring codes nearer to what they stand for."""
    torch.manual_seed(0)
    quantiser = Quantiser(8, 2, how=how).train()  # type: ignore[arg-type]
    assert 0.06 < quantiser.codebook.detach().abs().max() <= 1 / 8
    maps = torch.randn(16, 2, 4, 4)
    optimiser = torch.optim.Adam(quantiser.parameters(), 0.05) if how == "gradient" else None
    losses = []
    for _ in range(100):
        found = quantiser(maps)
        losses.append(float(found.codebook.detach()))
        if optimiser is not None:
            optimiser.zero_grad()
            found.codebook.backward()
            optimiser.step()
    assert losses[-1] < losses[0] / 2
