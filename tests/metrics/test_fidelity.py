"""Answers against those that were wanted, one by one: each measure by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sparring.errors import DataError, ShapeError
from sparring.features import FeatureNetwork, Features
from sparring.features.network import LayeredNetwork
from sparring.games.eyes import trained_against
from sparring.metrics.fidelity import fidelities, scored


def black(n: int = 2) -> Tensor:
    return torch.zeros(n, 3, 2, 2, dtype=torch.uint8)


class Layers(LayeredNetwork):
    """Four inner layers of two channels: of the ones at `places` all depends on the image, the others never change."""

    def __init__(self, places: tuple[int, ...]) -> None:
        super().__init__()
        self.places, self.weight = places, nn.Parameter(torch.ones(1))

    def forward(self, images: Tensor) -> Features:
        raise AssertionError("answers are compared layer by layer")

    def layers(self, x: Tensor) -> list[Tensor]:
        grey = x.mean(1, keepdim=True)
        both = torch.cat([1 + grey, 1 - grey], 1)  # a direction for white and another for black, at right angles
        return [both if place in self.places else torch.ones_like(both) for place in range(4)]


def eyes(*places: int) -> FeatureNetwork:
    return FeatureNetwork("toy", "0", 1, 3, "as is", None, Layers(places))


def test_the_absolute_error_is_a_share_of_white() -> None:
    """51 of 255 in half of the pixels is a tenth; one answer of two that is right halves it."""
    made = black()
    made[:, :, 0] = 51
    score = scored(fidelities()["absolute_error"], black(), made)
    assert score.value == pytest.approx(0.1)
    made[1] = 0
    assert scored(fidelities()["absolute_error"], black(), made).value == pytest.approx(0.05)
    assert not score.higher_is_better


def test_sharpness_is_that_of_the_answer_over_that_of_the_wanted_one() -> None:
    """A step of 50 where one of 100 was wanted is half as sharp."""
    wanted, made = black(), black()
    wanted[..., 0], made[..., 0] = 100, 50
    assert scored(fidelities()["sharpness"], wanted, made).value == pytest.approx(0.5)
    assert scored(fidelities()["sharpness"], made, wanted).value == pytest.approx(2.0)


def test_one_flat_image_does_not_decide_how_sharp_all_are() -> None:
    """An answer to it that is off by one grey level in one pixel is as flat."""
    wanted = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    made = wanted.clone()
    made[0, 0, 5, 5] = 1
    assert scored(fidelities()["sharpness"], wanted, made).value == 1


@pytest.mark.parametrize(("places", "distance"), [((0, 2), 0.0), ((1, 3), 2.0), ((1,), 1.0)])
def test_the_perceptual_distance_looks_where_no_loss_does(places: tuple[int, ...], distance: float) -> None:
    """Losses look at the first and the third layer. Two unit vectors at right angles are 2 apart, squared."""
    assert [place for place in range(4) if trained_against(place)] == [0, 2]
    score = scored(fidelities()["perceptual"], black(), 255 - black(), eyes(*places))
    assert score.value == pytest.approx(distance, abs=1e-6)


def test_answers_that_cannot_be_compared() -> None:
    psnr, perceptual = fidelities()["psnr"], fidelities()["perceptual"]
    with pytest.raises(ShapeError, match="cannot be compared with"):
        scored(psnr, black(2), black(3))
    with pytest.raises(DataError, match="one answer has no interval"):
        scored(psnr, black(1), black(1))
    with pytest.raises(ShapeError, match="needs a feature network"):
        scored(perceptual, black(), black())
