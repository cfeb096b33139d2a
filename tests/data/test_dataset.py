"""Batches, fingerprints, held-out images, points, and options that cannot be meant."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from sparring.data import Dataset, IntakeReport, open_data, split_held_out
from sparring.data.cache import cache_folder
from sparring.data.points import MIXTURES, POINT_SETS
from sparring.data.split import recorded_split
from sparring.errors import DataError, DiskError, UsageError


def images(pixels: np.ndarray, labels: np.ndarray | None = None) -> Dataset:
    report = IntakeReport(used=len(pixels), size=(pixels.shape[2], pixels.shape[3]), rule="")
    return Dataset(pixels, name="made", report=report, labels=labels)


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 256, (count, 1, 4, 4), dtype=np.uint8)


@pytest.mark.parametrize("kind", [torch.int64, torch.int32, np.int64, np.uint8])
def test_batches(kind: torch.dtype | type) -> None:
    pixels = noise(9)
    at = [8, 0, 8]
    indices = torch.tensor(at, dtype=kind) if isinstance(kind, torch.dtype) else np.array(at, kind)
    batch = images(pixels).images(indices)
    assert batch.dtype == torch.uint8
    assert torch.equal(batch, torch.from_numpy(pixels[at]))
    batch.zero_()  # a copy: the data stay
    assert images(pixels).images(indices).any()


def test_batches_out_of_range() -> None:
    with pytest.raises(IndexError):
        images(noise(3)).images(np.array([3]))


def test_batches_by_a_mask() -> None:
    pixels = noise(5)
    mask = torch.tensor([False, True, False, False, True])
    assert (images(pixels).images(mask).numpy() == pixels[[1, 4]]).all()


def test_fingerprint_by_hand() -> None:
    pixels = noise(2)
    digests = b"".join(hashlib.sha256(one.tobytes()).digest() for one in pixels)
    assert images(pixels).fingerprint == hashlib.sha256(b"2 1x4x4 " + digests).hexdigest()


def test_fingerprint_sees_pixels_order_shape_and_labels() -> None:
    pixels = noise(4)
    changed = pixels.copy()
    changed[2, 0, 1, 1] ^= 1
    seen = {
        images(pixels).fingerprint,
        images(changed).fingerprint,
        images(pixels[::-1].copy()).fingerprint,
        images(pixels.reshape(4, 1, 2, 8)).fingerprint,
        images(pixels, np.array([0, 1, 0, 1])).fingerprint,
        images(pixels, np.array([0, 1, 1, 0])).fingerprint,
    }
    assert len(seen) == 6


@pytest.mark.parametrize(("count", "held"), [(2, 0), (199, 0), (200, 20), (1000, 100), (10_000, 1000), (12_000, 1000)])
def test_how_many_are_held_out(count: int, held: int) -> None:
    split = split_held_out(images(noise(count)))
    assert len(split.held_out) == held
    assert torch.equal(torch.cat([split.train, split.held_out]).sort().values, torch.arange(count))
    assert split.train.dtype == split.held_out.dtype == torch.int64


def test_the_choice_does_not_depend_on_order() -> None:
    pixels = noise(500)
    order = np.random.RandomState(1).permutation(500)
    one, other = split_held_out(images(pixels)), split_held_out(images(pixels[order]))
    assert {pixels[i].tobytes() for i in one.held_out} == {pixels[order][i].tobytes() for i in other.held_out}


def test_copies_stay_together() -> None:
    pixels = noise(300)
    repeated = np.concatenate([pixels, pixels[:150], pixels[:50], np.repeat(pixels[:1], 400, axis=0)])
    split = split_held_out(images(repeated))
    shown = [{repeated[i].tobytes() for i in side} for side in (split.train, split.held_out)]
    assert not shown[0] & shown[1]
    assert 85 <= len(split.held_out) <= 90


def test_nothing_but_copies_holds_nothing_out() -> None:
    assert len(split_held_out(images(np.zeros((300, 1, 2, 2), np.uint8))).held_out) == 0


def test_each_side_is_split_by_itself() -> None:
    """The same images are held out of a side as of a data set of its own; what both sides show is trained on."""
    pixels, twice = noise(900), noise(60, seed=1)
    pixels[:30], pixels[500:530] = twice[:30], twice[:30]
    labels = np.repeat(np.array([0, 1]), [500, 400])
    split = split_held_out(images(pixels, labels), reading="sides")
    held = split.held_out.numpy()
    assert [int((labels[held] == side).sum()) for side in (0, 1)] == [50, 40]
    assert not {pixels[i].tobytes() for i in held} & {image.tobytes() for image in twice[:30]}
    alone = split_held_out(images(pixels[500:])).held_out.numpy() + 500
    assert len(set(held[labels[held] == 1]) & set(alone)) > 30
    assert torch.equal(torch.cat([split.train, split.held_out]).sort().values, torch.arange(900))
    assert split_held_out(images(pixels, labels)).sides is None


def test_no_side_is_shown_without_the_other() -> None:
    """230 of one side and 5 of the other: the small side stays in training, and is shown from there."""
    data = images(noise(235), np.repeat(np.array([0, 1]), [230, 5]))
    split = split_held_out(data, reading="sides")
    assert len(split.held_out) == 23
    assert {230, 231, 232, 233, 234} <= set(split.train.tolist())
    places, said = split.shown()
    assert places.tolist() == [*split.held_out.tolist(), 230, 231, 232, 233, 234]
    assert said == "held out from training on one side, of the other the training images (none were held out)"
    assert split.shown(24)[0].tolist() == split.train.tolist()
    for held, shown, said in (
        ([*range(20), *range(230, 235)], [*range(20), *range(230, 235)], "held out from training"),
        (range(24), [*range(24), *range(230, 235)], "held out from training on one side"),
        ([0, 234], [*range(1, 234)], "the training images (none were held out)"),
    ):
        places, words = recorded_split(data, list(held), "sides").shown()
        assert places.tolist() == shown
        assert words.startswith(said)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_shares_that_cannot_be(share: float) -> None:
    with pytest.raises(UsageError, match="share"):
        split_held_out(images(noise(3)), share=share)


@pytest.mark.parametrize("name", POINT_SETS)
def test_points(name: str) -> None:
    data = open_data(name, count=5000, seed=3)
    assert (data.points, data.shape, len(data), data.labels) == (True, (2, 1, 1), 5000, None)
    assert data.images(np.arange(5)).dtype == torch.float32
    assert data.fingerprint == open_data(name, count=5000, seed=3).fingerprint
    assert data.fingerprint != open_data(name, count=5000, seed=4).fingerprint
    assert len(split_held_out(data).held_out) == 500
    assert data.images(np.arange(5000)).abs().max() < 5


@pytest.mark.parametrize(("name", "modes", "sigma"), [("ring8", 8, 0.01), ("grid25", 25, 0.05), ("grid100", 100, 0.05)])
def test_mixtures_have_their_modes_and_width(name: str, modes: int, sigma: float) -> None:
    """Nearest-centre assignment; spread and frequency within 5 standard errors."""
    count = 50_000
    points = open_data(name, count=count).images(np.arange(count)).reshape(-1, 2).double()
    centres = torch.from_numpy(MIXTURES[name].centres)
    assert len(centres) == modes
    distance, mode = torch.cdist(points, centres).min(dim=1)
    frequency = mode.bincount(minlength=modes) / count
    assert ((frequency - 1 / modes).abs() < 5 * (1 / modes / count) ** 0.5).all()
    # The squared distance of a round Gaussian has mean 2 sigma^2 and the same standard deviation.
    assert (distance**2).mean().item() == pytest.approx(2 * sigma**2, rel=5 / count**0.5)


def test_a_folder_wins_over_a_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.rename(folder.parent / "ring8")
    monkeypatch.chdir(folder.parent)
    assert not open_data("ring8").points


@pytest.mark.parametrize(
    "options",
    [{"size": (0, 8)}, {"size": (8, 5000)}, {"channels": 2}, {"background": (0, 0, 256)}, {"max_side": 8}],
)
def test_options_that_cannot_be_meant(options: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        open_data(**options)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2


def test_too_few_points() -> None:
    with pytest.raises(UsageError, match="1 points"):
        open_data("ring8", count=1)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_that_points_cannot_have(seed: int) -> None:
    with pytest.raises(UsageError, match=f"with seed {seed}; give one from 0 to 4294967295"):
        open_data("ring8", seed=seed)


def test_a_name_may_be_a_path() -> None:
    assert open_data(Path("ring8"), count=10).points


def test_a_home_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="there is no ~nosuchuser/photos"):
        open_data("~nosuchuser/photos")
    monkeypatch.delenv("SPARRING_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", str)
    with pytest.raises(DiskError, match="set SPARRING_CACHE"):
        cache_folder()


@pytest.mark.parametrize("size", [[4, 4], np.int64(4), (np.int64(4), 4)])
def test_sizes_that_are_as_good(size: object, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(3)[:, 0])
    assert open_data(tmp_path / "a.npy", size=size).shape == (1, 4, 4)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", ["4x4", 4.0, (4,), (4, 4, 1), (4.0, 4.0), 1])
def test_sizes_that_cannot_be(size: object, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(3)[:, 0])
    with pytest.raises(UsageError, match="cannot be; give a height and a width"):
        open_data(tmp_path / "a.npy", size=size)  # type: ignore[arg-type]


def test_an_array_is_no_place() -> None:
    with pytest.raises(DataError, match=r"a ndarray is no place of images; save arrays by numpy.save"):
        open_data(noise(3))  # type: ignore[arg-type]
