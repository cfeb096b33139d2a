"""Pairs of pictures, from the halves of a file or from two folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from image_files import as_tensor, everything, packed, put, skipped
from sparring.data import open_data

Photo = Callable[..., Image.Image]


def beside(left: Image.Image, right: Image.Image) -> Image.Image:
    both = Image.new("RGB", (left.width + right.width, left.height))
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    return both


def test_left_half_comes_first(tmp_path: Path, photo: Photo) -> None:
    halves = [(photo(seed, (20, 16)), photo(10 + seed, (20, 16))) for seed in range(3)]
    source = put(tmp_path / "set", {f"{i}.png": beside(*pair) for i, pair in enumerate(halves)})
    data = open_data(source, reading="pairs")
    assert (len(data), data.shape, data.labels, data.classes) == (3, (6, 16, 20), None, ())
    assert torch.equal(everything(data), torch.stack([as_tensor(*pair) for pair in halves]))
    assert repr(data) == "<Dataset set: 3 pairs, 6x16x20>"
    assert data.report.lines()[:2] == [
        "3 pairs used. Kept at 16x20.",
        "The left half of each image is the first of its pair, the right half the second.",
    ]
    assert open_data(packed(source), reading="pairs").fingerprint == data.fingerprint


def test_names_pair_up_across_two_folders(two: Path, photo: Photo) -> None:
    (two / "README.md").write_text("words")
    (two / "B/notes.txt").write_text("words")
    data = open_data(two, reading="pairs")
    expected = [as_tensor(photo(seed, (20, 16)), photo(10 + seed, (20, 16))) for seed in range(3)]
    assert (data.shape, data.labels, data.classes, data.report.skipped) == ((6, 16, 20), None, (), ())
    assert torch.equal(everything(data), torch.stack(expected))
    assert "The images in A are the first of their pairs, those of the same name in B the second." in str(data.report)
    assert open_data(packed(two), reading="pairs").fingerprint == data.fingerprint


def test_folders_may_have_any_two_names(two: Path) -> None:
    before = open_data(two, reading="pairs")
    (two / "A").rename(two / "zebra")  # now the second in order
    after = open_data(two, reading="pairs")
    assert torch.equal(everything(after), everything(before).roll(3, dims=1))


def lonely(two: Path, photo: Photo) -> None:
    photo(5, (20, 16)).save(two / "A/x.png")


def lonely_in_the_second(two: Path, photo: Photo) -> None:
    photo(5, (20, 16)).save(two / "B/x.png")


def unequal(two: Path, photo: Photo) -> None:
    photo(5, (20, 16)).save(two / "A/x.png")
    photo(5, (16, 18)).save(two / "B/x.png")


def twice(two: Path, photo: Photo) -> None:
    photo(5, (20, 16)).save(two / "A/1.webp")


def empty_file(two: Path, photo: Photo) -> None:
    (two / "A/x.png").write_bytes(b"")
    photo(5, (20, 16)).save(two / "B/x.png")


def cut_short(two: Path, photo: Photo) -> None:
    photo(5, (20, 16)).save(two / "A/x.png")
    photo(5, (20, 16)).save(two / "B/x.png")
    (two / "B/x.png").write_bytes((two / "B/x.png").read_bytes()[:200])


REFUSED_PAIRS = {
    "no partner": (lonely, "A/x.png", "no image of this name in B"),
    "no partner in the first": (lonely_in_the_second, "B/x.png", "no image of this name in A"),
    "another size": (unequal, "A/x.png", "16 high and 20 wide, but its partner B/x.png is 18 high and 16 wide"),
    "one name twice": (twice, "A/1.webp", "A/1.png has the same name"),
    "damaged": (empty_file, "A/x.png", "empty file"),
    "damaged behind the header": (cut_short, "B/x.png", "file ends early"),
}


@pytest.mark.parametrize("name", REFUSED_PAIRS)
def test_each_lost_pair_has_one_reason(name: str, two: Path, photo: Photo) -> None:
    expected = everything(open_data(two, reading="pairs"))
    spoil, file, reason = REFUSED_PAIRS[name]
    spoil(two, photo)
    data = open_data(two, reading="pairs")
    assert skipped(data) == {file: reason}
    assert torch.equal(everything(data), expected)


def test_odd_width_is_no_pair(tmp_path: Path, photo: Photo) -> None:
    widths = {"a": 20, "b": 21, "c": 20}
    source = put(tmp_path / "set", {f"{name}.png": photo(0, (width, 10)) for name, width in widths.items()})
    data = open_data(source, reading="pairs")
    assert data.shape == (6, 10, 10)
    assert skipped(data) == {"b.png": "21 pixels wide, which does not split into halves"}


def test_images_turned_by_exif_are_split_upright(tmp_path: Path) -> None:
    """Stored 8x16 (w, h), upper half black; orientation 8 turns a quarter against the clock: black comes left."""
    image = Image.new("L", (8, 16), 255)
    image.paste(0, (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = 8
    for name in "ab":
        (tmp_path / "set").mkdir(exist_ok=True)
        image.save(tmp_path / f"set/{name}.png", exif=exif)
    data = open_data(tmp_path / "set", reading="pairs")
    assert data.shape == (2, 8, 8)
    assert data.images(np.array([0]))[0].float().mean(dim=(1, 2)).tolist() == [0, 255]


@pytest.mark.parametrize(
    ("first", "second", "channels"),
    [("L", "L", 1), ("L", "RGB", 3), ("RGB", "holes", 3), ("holes", "holes", 4), ("L", "holes", 3)],
)
def test_both_pictures_have_the_same_channels(
    first: str, second: str, channels: int, tmp_path: Path, photo: Photo
) -> None:
    def made(seed: int, mode: str) -> Image.Image:
        image = photo(seed, (16, 16), "RGB" if mode == "holes" else mode)
        if mode == "holes":
            image.putalpha(255)
            image.putpixel((0, 0), (9, 9, 9, 0))
        return image

    images = {f"{side}/{i}.png": made(i, mode) for side, mode in (("A", first), ("B", second)) for i in range(3)}
    data = open_data(put(tmp_path / "set", images), reading="pairs", background=(1, 2, 3))
    assert data.shape == (2 * channels, 16, 16)
    if first == "L":
        assert torch.equal(everything(data)[0, :channels], as_tensor(photo(0, (16, 16), "L")).expand(channels, 16, 16))
    if second == "holes" and channels == 3:
        assert everything(data)[2, 3:, 0, 0].tolist() == [1, 2, 3]
        assert data.report.conversions == {"transparency flattened onto the background colour": 3}
    assert open_data(tmp_path / "set", reading="pairs", channels=1).shape == (2, 16, 16)


@pytest.mark.parametrize(
    ("sizes", "asked", "result", "rule"),
    [
        ([(300, 200)] * 2, None, (64, 64), "cropped"),
        ([(40, 50), (33, 60)], None, (32, 32), "cropped"),
        ([(40, 50), (33, 60)], (24, 20), (24, 20), "cropped"),
        ([(300, 50), (200, 40)], None, (32, 32), "padded"),
        ([(48, 20)] * 2, None, (20, 48), "Kept"),
    ],
)
def test_sizes_are_those_of_one_picture(
    sizes: list[tuple[int, int]], asked: tuple[int, int] | None, result: tuple[int, int], rule: str,
    tmp_path: Path, photo: Photo,
) -> None:  # fmt: skip
    """Both sources give the same, and a picture paired with itself stays equal to itself."""
    images = {f"{i}.png": photo(i, size) for i, size in enumerate(sizes)}
    halves = put(tmp_path / "halves", {name: beside(image, image) for name, image in images.items()})
    folders = put(tmp_path / "two", {f"{side}/{name}": image for side in "AB" for name, image in images.items()})
    data = [open_data(source, size=asked, reading="pairs") for source in (halves, folders)]
    assert data[0].shape[1:] == data[0].report.size == result
    assert rule in data[0].report.rule
    assert data[0].fingerprint == data[1].fingerprint
    assert torch.equal(everything(data[0])[:, :3], everything(data[0])[:, 3:])


def test_halves_of_large_photographs_do_not_mix(tmp_path: Path) -> None:
    """404 pixels are no multiple of 8: a JPEG decoded at an eighth of its size would mix the halves where they meet."""
    image = beside(Image.new("RGB", (404, 404), "black"), Image.new("RGB", (404, 404), "white"))
    source = put(tmp_path / "set", {"a.jpg": image, "b.jpg": image})
    data = everything(open_data(source, reading="pairs", size=(16, 16)))
    assert data[:, 0].max() <= 8
    assert data[:, 1].min() >= 247


def test_more_than_two_folders_are_halves_and_said_so(two: Path, photo: Photo) -> None:
    put(two, {"C/0.png": photo(1, (20, 16))})
    data = open_data(two, reading="pairs")
    assert (len(data), data.shape) == (7, (6, 16, 10))
    assert "There are 3 folders with images; only two folders with nothing beside them pair up" in str(data.report)


def test_square_images_raise_a_doubt(tmp_path: Path, photo: Photo) -> None:
    """They can be halved, but are hardly ever pairs; wide ones are not asked about."""
    square = put(tmp_path / "square", {f"{i}.png": photo(i, (32, 32)) for i in range(3)})
    doubt = "Halves are 32 high and 16 wide: if an image shows one picture, not two, these are no pairs."
    assert doubt in str(open_data(square, reading="pairs").report)
    wide = put(tmp_path / "wide", {f"{i}.png": photo(i, (64, 32)) for i in range(3)})
    assert "no pairs" not in str(open_data(wide, reading="pairs").report)
