"""The stream of reals: what every class gets, and that it is a function of its cursor."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from conftest import noise_loader
from sparring.chance import generator
from sparring.data.loader import Loader
from sparring.errors import UsageError


class Rows:
    """Image k is the number k; 7 of class 0, 2 of class 1, none of class 2, 1 of class 3."""

    def __init__(self, labels: Tensor | None) -> None:
        self.labels = labels

    def images(self, indices: Tensor) -> Tensor:
        return indices.float()[:, None, None, None]


LABELS = torch.tensor([0, 0, 1, 0, 0, 3, 0, 0, 1, 0])


def stream(loader: Loader, begin: int, n: int) -> tuple[list[int], list[int]]:
    images, labels = loader.draw(begin, n, slice(0, n))
    assert labels is not None
    return images.flatten().int().tolist(), labels.tolist()


def test_balanced_reals_show_every_class_equally_often() -> None:
    loader = Loader(Rows(LABELS), torch.arange(10), seed=3, balanced=True)
    images, labels = stream(loader, 0, 42)
    assert all(sorted(labels[k : k + 3]) == [0, 1, 3] for k in range(0, 42, 3))
    assert [LABELS[image] for image in images] == labels
    first = [image for image, label in zip(images, labels, strict=True) if label == 0]
    assert sorted(first[:7]) == sorted(first[7:]) == [0, 1, 3, 4, 6, 7, 9]  # epochs of its own, each in another order
    assert first[:7] != first[7:]
    assert [labels[k] for k in (0, 3, 6, 9, 12, 15)] != [labels[0]] * 6  # and classes in no fixed order


def test_balanced_reals_are_a_function_of_the_cursor() -> None:
    loader = Loader(Rows(LABELS), torch.arange(10), seed=3, balanced=True)
    whole = stream(loader, 0, 50)
    again = Loader(Rows(LABELS), torch.arange(10), seed=3, balanced=True)
    for begin, n in ((40, 10), (7, 5), (0, 13), (29, 1)):
        assert stream(again, begin, n) == (whole[0][begin : begin + n], whole[1][begin : begin + n])
    images, _ = loader.draw(5, 10, slice(2, 6))
    assert images.flatten().int().tolist() == whole[0][7:11]


def test_labels_for_fakes_are_as_frequent_as_the_reals() -> None:
    plain = Loader(Rows(LABELS), torch.arange(10), seed=3)
    shares = torch.bincount(plain.labels(generator("a"), 20_000), minlength=4) / 20_000
    torch.testing.assert_close(shares, torch.tensor([0.7, 0.2, 0.0, 0.1]), atol=0.02, rtol=0)
    balanced = Loader(Rows(LABELS), torch.arange(10), seed=3, balanced=True)
    shares = torch.bincount(balanced.labels(generator("a"), 20_000), minlength=4) / 20_000
    torch.testing.assert_close(shares, torch.tensor([1 / 3, 1 / 3, 0.0, 1 / 3]), atol=0.02, rtol=0)


def test_data_without_labels_have_no_classes_to_balance() -> None:
    with pytest.raises(UsageError, match="classes cannot be balanced"):
        Loader(Rows(None), torch.arange(10), seed=0, balanced=True)
    with pytest.raises(UsageError, match="all images to train on are of one"):
        Loader(Rows(LABELS), (LABELS == 0).nonzero().flatten(), seed=0, balanced=True)
    with pytest.raises(UsageError, match="these data have no labels"):
        Loader(Rows(None), torch.arange(10), seed=0).labels(generator("a"), 3)


def test_mirrored_parts_are_parts_of_the_mirrored_batch() -> None:
    loader = noise_loader((1, 4, 4), mirror=True)
    whole = loader.draw(0, 16, slice(0, 16))[0]
    assert torch.equal(torch.cat([loader.draw(0, 16, slice(k, k + 4))[0] for k in range(0, 16, 4)]), whole)
