"""Tiles, pairs and sides: what becomes of image files that are read in another way than one by one."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sparring.data import Dataset, open_data, pictures
from sparring.data.options import Options, Reading
from sparring.data.single import read_picture
from sparring.errors import DataError, UsageError

Photo = Callable[..., Image.Image]


def put(root: Path, images: dict[str, Image.Image]) -> Path:
    for name, image in images.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(root / name)
    return root


def packed(root: Path) -> Path:
    """The same as a zip, wrapped in a folder and with an entry for each folder, as archivers make them."""
    path = root.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for inside in sorted(root.rglob("*")):
            archive.write(inside, Path("wrap") / inside.relative_to(root))
    return path


def as_tensor(*images: Image.Image) -> torch.Tensor:
    """Images one after the other along the channels."""
    planes = [np.atleast_3d(np.asarray(image)).transpose(2, 0, 1) for image in images]
    return torch.from_numpy(np.concatenate(planes))


def beside(left: Image.Image, right: Image.Image) -> Image.Image:
    both = Image.new("RGB", (left.width + right.width, left.height))
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    return both


def everything(data: Dataset) -> torch.Tensor:
    return data.images(torch.arange(len(data)))


def skipped(data: Dataset) -> dict[str, str]:
    return {one.name: one.reason for one in data.report.skipped}


@pytest.fixture
def two(tmp_path: Path, photo: Photo) -> Path:
    """Folders A and B of three images each, 20 wide and 16 high, that pair up."""
    names = ("0", "1", "deep/2")
    first = {f"A/{name}.png": photo(seed, (20, 16)) for seed, name in enumerate(names)}
    second = {f"B/{name}.bmp": photo(10 + seed, (20, 16)) for seed, name in enumerate(names)}
    return put(tmp_path / "two", first | second)


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
