"""What a game shows of its reals: pieces and positions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from sparring import recipes
from sparring.errors import ShapeError, UsageError
from sparring.games.views import Pieces

Draw = Callable[[int, int, str], Tensor]


def numbered(n: int, *shape: int) -> Tensor:
    return torch.arange(n * torch.Size(shape).numel()).view(n, *shape).float()


def always(*values: float) -> Draw:
    return lambda n, dim, kind: torch.tensor(values).expand(n, dim)


def random(seed: int) -> Draw:
    source = torch.Generator().manual_seed(seed)
    return lambda n, dim, kind: torch.rand(n, dim, generator=source) * 2 - 1


def test_without_a_side_or_turns_all_is_shown() -> None:
    images = numbered(3, 2, 4, 6)
    assert torch.equal(Pieces()(images, random(0)), images)
    assert Pieces().shape((2, 4, 6)) == (2, 4, 6)


@pytest.mark.parametrize(
    ("corner", "rows", "columns"),
    [
        ((-1.0, -1.0), slice(0, 3), slice(0, 3)),
        ((1.0, 1.0), slice(2, 5), slice(5, 8)),
        ((0.0, -1.0), slice(1, 4), slice(0, 3)),
    ],
)
def test_a_piece_is_cut_where_the_draw_says(corner: tuple[float, float], rows: slice, columns: slice) -> None:
    images = numbered(2, 3, 5, 8)
    assert torch.equal(Pieces(3)(images, always(*corner)), images[:, :, rows, columns])


def test_each_image_has_a_corner_of_its_own_and_every_corner_is_as_likely() -> None:
    images = numbered(1, 1, 4, 5).expand(6000, -1, -1, -1)
    first = Pieces(3)(images, random(1))[:, 0, 0, 0]
    values, counts = first.unique(return_counts=True)
    assert values.tolist() == [0, 1, 2, 5, 6, 7]
    assert ((counts - 1000).abs() < 4 * (6000 / 6 * 5 / 6) ** 0.5).all()


def test_turned_squares_are_in_four_positions_and_the_mirrored_ones_in_the_others() -> None:
    image = numbered(1, 2, 3, 3)
    shown = Pieces(turned=True)(image.expand(4000, -1, -1, -1), random(2))
    positions = [image, image.flip(2), image.transpose(2, 3), image.flip(2).transpose(2, 3)]
    shares = [(shown == position).flatten(1).all(1).double().mean().item() for position in positions]
    assert sum(shares) == pytest.approx(1)
    assert shares == pytest.approx([0.25] * 4, abs=0.03)
    mirrored_first = Pieces(turned=True)(image.flip(3).expand(100, -1, -1, -1), random(2))
    assert len(torch.cat([shown, mirrored_first]).flatten(1).unique(dim=0)) == 8


def test_others_are_only_turned_upside_down() -> None:
    image = numbered(1, 1, 2, 3)
    shown = Pieces(turned=True)(image.expand(100, -1, -1, -1), random(3))
    upside = (shown == image.flip(2)).flatten(1).all(1)
    assert ((shown == image).flatten(1).all(1) ^ upside).all()
    assert 20 < upside.sum() < 80


def test_stretched_images_keep_their_size_and_show_a_piece() -> None:
    """Half again as large, by a closed form: Keys' bicubic interpolation keeps what is linear, but for the borders."""
    ramp = torch.linspace(-0.5, 0.5, 12).expand(2, 3, 8, 12)
    shown = Pieces(stretch=1.5)(ramp, always(0.0, 0.0))
    assert shown.shape == ramp.shape
    middle = ((torch.arange(18) + 0.5) / 1.5 - 0.5)[3:15] / 11 - 0.5  # half-pixel centres; 3 of the 6 columns too many
    torch.testing.assert_close(shown[0, 0, 0], middle.float())
    image = random(4)(1, 3 * 8 * 12, "uniform").view(1, 3, 8, 12)
    larger = interpolate(image, size=(12, 18), mode="bicubic", antialias=True).clamp(-1, 1)
    assert torch.equal(Pieces(stretch=1.5)(image, always(-1.0, 1.0)), larger[:, :, :8, 6:])
    assert torch.equal(Pieces(5, stretch=1.5)(image, always(-1.0, 1.0)), larger[:, :, :5, 13:])
    assert Pieces(stretch=1.5).shape((3, 8, 12)) == (3, 8, 12)


def test_the_jitter_of_pairs_cuts_both_alike() -> None:
    image = random(5)(4, 64, "uniform").view(4, 1, 8, 8)
    first, second = Pieces(stretch=1.25)(torch.cat([image, -image], 1), random(6)).chunk(2, 1)
    assert torch.equal(first, -second)
    assert first.abs().max() <= 1


def test_what_cannot_be_cut_is_said() -> None:
    with pytest.raises(UsageError, match=r"a piece of -1 pixels cannot be; give a positive number"):
        Pieces(-1)
    for jitter in (0.5, 5.0, float("nan")):
        with pytest.raises(UsageError, match=r"times cannot be; give a number from 1 \(as they are\) to 4"):
            recipes.cyclegan(jitter=jitter)
    with pytest.raises(ShapeError, match=r"images of 16x32 hold no piece of 24x24; give larger images"):
        Pieces(24).shape((3, 16, 32))
    with pytest.raises(UsageError, match=r"crop 18 is no multiple of scale 4; give 16 or 20"):
        recipes.esrgan(crop=18)
    with pytest.raises(ShapeError, match=r"multiple"):
        recipes.esrgan(crop=16, eyes="grey28").bind((1, 66, 66), 0, 100, 1000)
