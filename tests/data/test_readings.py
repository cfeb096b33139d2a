"""Tiles and sides, what cannot be read as tiles, pairs or sides, and what holds for every reading."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from image_files import as_tensor, everything, packed, put
from sparring.data import open_data, pictures
from sparring.data.options import Options, Reading
from sparring.data.single import read_picture
from sparring.errors import DataError, UsageError

Photo = Callable[..., Image.Image]


def no_partners(root: Path, photo: Photo) -> None:
    put(root, {"A/1.png": photo(1), "A/2.png": photo(2), "B/3.png": photo(3)})


def empty_side(root: Path, photo: Photo) -> None:
    put(root, {"A/1.png": photo(1), "A/2.png": photo(2)})
    (root / "B").mkdir()


def odd_widths(root: Path, photo: Photo) -> None:
    put(root, {"1.png": photo(1, (31, 16)), "2.png": photo(2, (33, 16))})


def one_pair(root: Path, photo: Photo) -> None:
    put(root, {"A/1.png": photo(1), "B/1.png": photo(2)})


def small(root: Path, photo: Photo) -> None:
    put(root, {"1.png": photo(1, (200, 95)), "2.png": photo(2, (95, 200))})


def words(root: Path, photo: Photo) -> None:
    root.mkdir()
    (root / "a.txt").write_text("words")


def flat(root: Path, photo: Photo) -> None:
    put(root, {"1.png": photo(1), "2.png": photo(2)})


def three(root: Path, photo: Photo) -> None:
    put(root, {f"{name}/1.png": photo(1) for name in ("x", "y", "z")})


def no_train_b(root: Path, photo: Photo) -> None:
    put(root, {"trainA/1.png": photo(1), "testA/1.png": photo(1)})


def empty_train_b(root: Path, photo: Photo) -> None:
    put(root, {f"{name}/1.png": photo(1) for name in ("trainA", "testA", "testB")})
    (root / "trainB").mkdir()
    (root / "trainB/readme.txt").write_text("words")


def damaged_side(root: Path, photo: Photo) -> None:
    put(root, {"A/1.png": photo(1), "A/2.png": photo(2), "B/1.png": photo(3)})
    (root / "B/1.png").write_bytes((root / "B/1.png").read_bytes()[:200])


def numbers(root: Path, photo: Photo) -> None:
    root.mkdir()
    np.savez(root / "set.npz", images=np.zeros((6, 8, 8), np.uint8), labels=[0, 1, 2] * 2)


def idx(root: Path, photo: Photo) -> None:
    root.mkdir()
    (root / "train-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, 2, 8, 8) + bytes(2 * 8 * 8))


IMPOSSIBLE: dict[str, tuple[Callable[[Path, Photo], None], Reading, str]] = {
    "no partners": (
        no_partners, "pairs",
        r"no image in A has the name and the size of one in B \(A/1.png: no image of this name in B\); give the two",
    ),
    "an empty side": (empty_side, "pairs", "the folder B has no images; put the partners of the images in A there"),
    "odd widths": (odd_widths, "pairs", "none of the 2 images has an even width"),
    "one pair": (one_pair, "pairs", "only 1 usable pair in"),
    "no pairs at all": (words, "pairs", "no images in .* among 1 other files"),
    "too small for tiles": (small, "tiles", "all 2 images are smaller than 96x96; give larger images, or a smaller"),
    "nothing to cut": (words, "tiles", "no images in"),
    "no folders": (flat, "sides", "it holds no folders; put the images of one side into trainA"),
    "three folders": (three, "sides", "it holds the folders x, y, z; put"),
    "no trainB": (no_train_b, "sides", "it holds the folders testA, trainA; put .* into trainB"),
    "empty trainB": (empty_train_b, "sides", r"the folders testA, testB, trainA, trainB \(without images\)"),
    "a damaged side": (damaged_side, "sides", "none of the images of side B in .* can be used"),
    "three classes": (numbers, "sides", "set.npz has 3 classes, not two sides"),
    "an array of tiles": (numbers, "tiles", "holds an array of images, which cannot be read as tiles; give a folder"),
    "an array of pairs": (idx, "pairs", "holds an array of images, which cannot be read as pairs; give a folder"),
    "an array without classes": (idx, "sides", "has no classes, not two sides"),
}  # fmt: skip


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_cannot_be_read_so_gets_one_sentence(name: str, tmp_path: Path, photo: Photo, cache: Path) -> None:
    make, reading, sentence = IMPOSSIBLE[name]
    make(tmp_path / "set", photo)
    with pytest.raises(DataError, match=sentence) as caught:
        open_data(tmp_path / "set", reading=reading)
    assert "\n" not in str(caught.value)
    assert not list(cache.glob("*"))


def test_an_empty_folder_of_a_zip_is_known(tmp_path: Path, photo: Photo) -> None:
    empty_side(tmp_path / "set", photo)
    with pytest.raises(DataError, match="the folder B has no images"):
        open_data(packed(tmp_path / "set"), reading="pairs")


@pytest.mark.parametrize("reading", ["tiles", "pairs", "sides"])
def test_points_are_only_points(reading: Reading) -> None:
    with pytest.raises(DataError, match=f"ring8 are points, which cannot be read as {reading}"):
        open_data("ring8", reading=reading)


def test_unknown_reading() -> None:
    with pytest.raises(UsageError, match="'pair' cannot be; give one of images, tiles, pairs, sides"):
        Options(reading="pair")  # type: ignore[arg-type]


SIDES = {
    # name: (folders, the two in order, their classes, what the report leaves out)
    "CycleGAN": (["testA", "testB", "trainA", "trainB"], ["trainA", "trainB"], ("A", "B"), "testA, testB"),
    "any case": (["TRAINA", "trainb", "other"], ["TRAINA", "trainb"], ("A", "b"), "other"),
    "trainA before A": (["A", "B", "trainA", "trainB"], ["trainA", "trainB"], ("A", "B"), "A, B"),
    "A and B": (["A", "B", "C"], ["A", "B"], ("A", "B"), "C"),
    "any two": (["zebras", "horses"], ["horses", "zebras"], ("horses", "zebras"), None),
    "training": (["training", "test"], ["test", "training"], ("test", "training"), None),
    "a long name": (["trainHorse", "trainZebra"], ["trainHorse", "trainZebra"], ("Horse", "Zebra"), None),
}


@pytest.mark.parametrize("name", SIDES)
def test_which_folders_are_sides(name: str, tmp_path: Path, photo: Photo) -> None:
    folders, chosen, classes, left_out = SIDES[name]
    images = {f"{folder}/{i}.png": photo(10 * k + i) for k, folder in enumerate(folders) for i in range(2)}
    source = put(tmp_path / "set", images)
    (source / "empty").mkdir()
    data = open_data(source, reading="sides")
    assert (len(data), data.classes, data.shape) == (4, classes, (3, 32, 32))
    assert data.labels is not None
    for label, folder in enumerate(chosen):
        expected = torch.stack([as_tensor(images[f"{folder}/{i}.png"]) for i in range(2)])
        assert torch.equal(everything(data)[data.labels == label], expected)
    report = str(data.report)
    assert f"Side {classes[0]} has 2 images, side {classes[1]} has 2; they do not pair up." in report
    assert (f"Left out: {left_out}." in report) == (left_out is not None)
    assert ("Left out" in report) == (left_out is not None)
    assert open_data(packed(source), reading="sides").fingerprint == data.fingerprint


def test_images_beside_the_sides_are_left_out(tmp_path: Path, photo: Photo) -> None:
    source = put(tmp_path / "set", {"A/1.png": photo(1), "B/1.png": photo(2), "preview.png": photo(3, (50, 40))})
    data = open_data(source, reading="sides")
    assert (len(data), data.shape) == (2, (3, 32, 32))
    assert "Left out: the images beside the folders." in str(data.report)


def test_an_array_of_two_classes_has_sides(tmp_path: Path) -> None:
    images = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8)
    np.savez(tmp_path / "set.npz", images=images, labels=[3, 7, 3, 7])
    data = open_data(tmp_path / "set.npz", reading="sides")
    assert (data.classes, len(data)) == (("3", "7"), 4)


def test_tiles_lie_on_a_centred_grid(tmp_path: Path) -> None:
    """11 high, 14 wide, tiles of 4x5: 2 rows and 2 columns, 3 rows and 4 columns left over, so from (1, 2) on."""
    pixels = np.arange(11 * 14, dtype=np.uint8).reshape(11, 14)
    source = put(tmp_path / "set", {"a.png": Image.fromarray(pixels), "b.png": Image.fromarray(pixels[:4, :5])})
    put(source, {"sub/c.png": Image.fromarray(pixels[:3])})
    data = open_data(source, reading="tiles", size=(4, 5))
    corners = [(1, 2), (1, 7), (5, 2), (5, 7)]
    expected = [pixels[y : y + 4, x : x + 5] for y, x in corners] + [pixels[:4, :5]]
    assert (data.shape, data.labels, data.classes) == ((1, 4, 5), None, ())
    assert torch.equal(everything(data)[:, 0], torch.from_numpy(np.stack(expected)))
    assert data.report.lines()[:4] == [
        "5 tiles used. Cut to 4x5 without scaling.",
        "1 files skipped:",
        "  sub/c.png: 3 high and 14 wide, too small for a tile of 4x5",
        "2 images became 5 tiles.",
    ]
    assert open_data(packed(source), reading="tiles", size=(4, 5)).fingerprint == data.fingerprint


def test_tiles_are_96_pixels_and_one_photograph_is_enough(tmp_path: Path, photo: Photo) -> None:
    source = put(tmp_path / "set", {"a.jpg": photo(0, (960, 768))})
    data = open_data(source, reading="tiles")
    assert (len(data), data.shape) == (80, (3, 96, 96))
    whole = read_picture(source / "a.jpg", 3)
    assert torch.equal(everything(data)[79], whole[:, -96:, -96:])


def test_most_images_may_be_too_small_for_tiles(tmp_path: Path, photo: Photo) -> None:
    images = {f"{i}.png": photo(i, (40, 40)) for i in range(5)}
    data = open_data(put(tmp_path / "set", images | {"large.png": photo(9, (200, 96))}), reading="tiles")
    assert (len(data), len(data.report.skipped)) == (2, 5)


def test_little_memory_changes_nothing(two: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    readings: tuple[Reading, ...] = ("images", "tiles", "pairs", "sides")
    prints = [open_data(two, reading=reading, size=(8, 8)).fingerprint for reading in readings]
    monkeypatch.setattr(pictures, "_BLOCK_BYTES", 1)
    again = [open_data(two, reading=reading, size=(8, 8), cache=tmp_path / "other").fingerprint for reading in readings]
    assert again == prints


def test_readings_have_their_own_entries(two: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readings: tuple[Reading, ...] = ("images", "tiles", "pairs", "sides")
    first = [open_data(two, reading=reading, size=(8, 8)) for reading in readings]
    assert len(list(cache.iterdir())) == 4

    def forbidden(*given: object, **named: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(pictures, "decode", forbidden)
    second = [open_data(two, reading=reading, size=(8, 8)) for reading in readings]
    assert [data.report for data in second] == [data.report for data in first]
    assert [data.fingerprint for data in second] == [data.fingerprint for data in first]


def test_plain_images_are_what_they_were(tmp_path: Path) -> None:
    """The fingerprint was taken before there were other readings, at ef58fc2."""
    ramp = np.arange(3 * 16 * 16 * 3, dtype=np.uint8).reshape(3, 16, 16, 3)
    images = {f"{name}/{i}.png": Image.fromarray(ramp[i]) for name in "ab" for i in range(3)}
    data = open_data(put(tmp_path / "set", images))
    assert data.fingerprint == "f16e9a169213033fb393de0234eaf603180c5b2271fc2b36ac5b082460af1c21"
