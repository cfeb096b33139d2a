"""Folders and zips as people have them: classes, odd files, odd names, and what is said about them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from image_files import packed
from sparring.data import Dataset, open_data
from sparring.errors import DataError

Photo = Callable[..., Image.Image]


def fill(folder: Path, images: list[Image.Image]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(images):
        image.save(folder / f"{index:03}.png")
    return folder


def skipped(data: Dataset) -> dict[str, str]:
    return {one.name: one.reason for one in data.report.skipped}


def test_flat_folder(folder: Path) -> None:
    data = open_data(folder)
    assert (len(data), data.shape, data.classes, data.labels) == (4, (3, 32, 32), (), None)
    expected = np.stack([np.asarray(Image.open(folder / f"{i}.png")) for i in range(4)]).transpose(0, 3, 1, 2)
    assert torch.equal(data.images(torch.arange(4)), torch.from_numpy(expected))
    assert "Kept at 32x32" in str(data.report)


def test_classes_are_top_folders_with_all_below(tmp_path: Path, photo: Photo) -> None:
    fill(tmp_path / "set/dog/a/b", [photo(1)])
    fill(tmp_path / "set/cat", [photo(2), photo(3)])
    fill(tmp_path / "set/dog", [photo(4)])
    (tmp_path / "set/README.md").write_text("words")
    (tmp_path / "set/empty").mkdir()
    data = open_data(tmp_path / "set")
    assert data.classes == ("cat", "dog")
    assert data.labels is not None
    assert data.labels.tolist() == [0, 0, 1, 1]
    assert data.labels.dtype == torch.int64


def test_one_class_folder_is_unlabelled(tmp_path: Path, photo: Photo) -> None:
    fill(tmp_path / "set/only", [photo(1), photo(2)])
    data = open_data(tmp_path / "set")
    assert data.labels is None
    assert "Only one sub-folder (only)" in str(data.report)


def test_images_beside_folders_mean_no_classes(folder: Path, photo: Photo) -> None:
    fill(folder / "old", [photo(8)])
    fill(folder / "new", [photo(9)])
    data = open_data(folder)
    assert (len(data), data.labels) == (6, None)
    assert "beside 2 sub-folders" in str(data.report)


@pytest.mark.parametrize("start", [b"%PDF-1.4", b"PK\x03\x04", b"8BPS", b"\x93NUMPY"])
def test_other_files_beside_folders_do_not_matter(start: bytes, tmp_path: Path, photo: Photo) -> None:
    for name, seed in (("cat", 1), ("dog", 5)):
        fill(tmp_path / "set" / name, [photo(seed), photo(seed + 1)])
    (tmp_path / "set" / "README").write_bytes(start + b" and so on")
    assert open_data(tmp_path / "set").classes == ("cat", "dog")


def test_class_without_usable_image_is_dropped(tmp_path: Path, photo: Photo) -> None:
    for name in ("a", "c"):
        fill(tmp_path / "set" / name, [photo(1), photo(2)])
    (tmp_path / "set/b").mkdir()
    (tmp_path / "set/b/broken.png").write_bytes(b"")
    data = open_data(tmp_path / "set")
    assert data.classes == ("a", "c")
    assert data.labels is not None
    assert data.labels.tolist() == [0, 0, 1, 1]
    assert "Class b has no usable image" in str(data.report)


def odd_text(folder: Path) -> None:
    (folder / "text.png").write_text("I say I am an image")


def odd_empty(folder: Path) -> None:
    (folder / "zero.jpg").write_bytes(b"")


def odd_truncated(folder: Path) -> None:
    whole = (folder / "0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])


def odd_fifo(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")


def odd_link_out(folder: Path) -> None:
    outside = folder.parent / "secret.png"
    outside.write_bytes((folder / "0.png").read_bytes())
    (folder / "out.png").symlink_to(outside)


def odd_dangling(folder: Path) -> None:
    (folder / "gone.png").symlink_to(folder / "nothing.png")


def odd_loop(folder: Path) -> None:
    (folder / "loop").symlink_to(folder)


def odd_self(folder: Path) -> None:
    (folder / "self.png").symlink_to(folder / "self.png")


def odd_tiff(folder: Path) -> None:
    Image.new("RGB", (8, 8)).save(folder / "scan.tif", "TIFF")


def odd_bomb(folder: Path) -> None:
    Image.new("1", (16_385, 1)).save(folder / "long.png")


ODD = {
    "text renamed": (odd_text, "text.png", "not an image"),
    "zero bytes": (odd_empty, "zero.jpg", "empty file"),
    "truncated": (odd_truncated, "cut.png", "ends early"),
    "pipe": (odd_fifo, "pipe.png", "not a regular file"),
    "link out": (odd_link_out, "out.png", "leads out"),
    "dangling link": (odd_dangling, "gone.png", "cannot be read"),
    "link to a folder": (odd_loop, "loop", "link to a folder"),
    "link to itself": (odd_self, "self.png", ""),
    "another format": (odd_tiff, "scan.tif", "TIFF"),
    "too long": (odd_bomb, "long.png", "a side"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_file_is_named_skipped_and_counted(name: str, folder: Path) -> None:
    make, file, reason = ODD[name]
    make(folder)
    data = open_data(folder)
    assert len(data) == 4
    assert list(skipped(data)) == [file]
    assert reason in skipped(data)[file]
    assert "1 files skipped" in str(data.report)


def test_links_inside_the_folder_are_followed(folder: Path) -> None:
    (folder / "again.png").symlink_to(folder / "0.png")
    data = open_data(folder)
    assert (len(data), data.report.duplicates) == (5, 1)


@pytest.mark.parametrize("name", ["two\nlines.png", "rtl\u202egnp.png", "naïve 猫.png", "<b>x.png", "x" * 251 + ".png"])
def test_any_name_is_text(name: str, folder: Path) -> None:
    (folder / name).write_text("no image")
    (reported,) = skipped(open_data(folder))
    assert reported.isprintable()


def test_undecodable_name(folder: Path) -> None:
    (folder / "0.png").rename(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.png"))
    assert len(open_data(folder)) == 4
    assert len(open_data(folder)) == 4  # from the cache


def test_other_files_are_ignored_not_lost(folder: Path) -> None:
    for index in range(20):
        (folder / f"{index}.json").write_text("{}")
    (folder / ".hidden.png").write_text("clutter")
    data = open_data(folder)
    assert (len(data), data.report.ignored, data.report.skipped) == (4, 20, ())


def test_content_not_suffix(folder: Path) -> None:
    (folder / "0.png").rename(folder / "picture")
    Image.open(folder / "1.png").save(folder / "1.jpg", "GIF")
    data = open_data(folder)
    assert (len(data), data.report.skipped) == (5, ())


def hopeless(tmp_path: Path, photo: Photo) -> dict[str, tuple[Path, str]]:
    empty = tmp_path / "empty"
    empty.mkdir()
    words = tmp_path / "words"
    words.mkdir()
    (words / "a.txt").write_text("a")
    one = fill(tmp_path / "one", [photo(1)])
    most = fill(tmp_path / "most", [photo(1), photo(2)])
    for index in range(3):
        (most / f"bad{index}.png").write_bytes(b"bad")
    return {
        "empty": (empty, "no images in"),
        "only words": (words, "among 1 other files"),
        "one image": (one, "only 1 usable image"),
        "most lost": (most, r"3 of 5 files .* cannot be used \(bad0.png: not an accepted format"),
        "missing": (tmp_path / "nowhere", "there is no"),
        "a pipe": (tmp_path / "pipe", "neither a folder nor a file"),
        "one file": (one / "000.png", r"single file \(PNG\)"),
        "a text": (words / "a.txt", "no file of images"),
        "a name no file can have": (Path("a\0b"), "there is no|cannot be read"),
        "a name too long": (tmp_path / ("x" * 300), "cannot be read"),
    }


@pytest.mark.parametrize(
    "name",
    [
        "empty",
        "only words",
        "one image",
        "most lost",
        "missing",
        "a pipe",
        "one file",
        "a text",
        "a name no file can have",
        "a name too long",
    ],
)
def test_hopeless_sources_get_one_sentence(name: str, tmp_path: Path, photo: Photo, cache: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    source, sentence = hopeless(tmp_path, photo)[name]
    with pytest.raises(DataError, match=sentence) as caught:
        open_data(source)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    assert not list(cache.glob("*"))


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_forbidden_folder(folder: Path) -> None:
    folder.chmod(0)
    try:
        with pytest.raises(DataError, match="permission"):
            open_data(folder)
    finally:
        folder.chmod(0o700)


def test_file_removed_while_reading(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sparring.data import pictures

    def measured_then_gone(*given: object) -> object:
        verdict = measured(*given)
        (folder / "2.png").unlink(missing_ok=True)
        return verdict

    measured = pictures._measured
    monkeypatch.setattr(pictures, "_measured", measured_then_gone)
    data = open_data(folder)
    assert len(data) == 3
    assert "cannot be read" in skipped(data)["2.png"]


CHANNELS = {
    # name: (modes of four images, asked, channels)
    "colour": (["RGB", "RGB", "RGB", "RGB"], "auto", 3),
    "grey": (["L", "L", "L", "L"], "auto", 1),
    "grey stored as colour": (["grey RGB", "L", "grey RGB", "L"], "auto", 1),
    "one in colour": (["L", "L", "L", "RGB"], "auto", 3),
    "alpha in most": (["holes", "holes", "holes", "RGB"], "auto", 4),
    "alpha in half": (["holes", "holes", "RGB", "RGB"], "auto", 3),
    "alpha that hides nothing": (["RGBA", "RGBA", "RGBA", "RGBA"], "auto", 3),
    "forced grey": (["RGB", "RGB", "holes", "L"], 1, 1),
    "forced colour": (["L", "L", "L", "L"], 3, 3),
    "forced alpha": (["RGB", "L", "L", "L"], 4, 4),
}


@pytest.mark.parametrize("name", CHANNELS)
def test_channels(name: str, tmp_path: Path, photo: Photo) -> None:
    modes, asked, channels = CHANNELS[name]
    images = []
    for seed, mode in enumerate(modes):
        image = photo(seed, mode="L" if mode == "grey RGB" else "RGB").convert(mode if mode in ("L", "RGBA") else "RGB")
        if mode == "holes":
            image.putalpha(Image.new("L", image.size, 0))
        images.append(image)
    data = open_data(fill(tmp_path / "set", images), channels=asked, background=(0, 255, 0))
    assert data.shape == (channels, 32, 32)
    holes = [index for index, mode in enumerate(modes) if mode == "holes"]
    if holes and channels == 3:
        assert data.images(np.array(holes))[0, :, 5, 5].tolist() == [0, 255, 0]
        assert data.report.conversions["transparency flattened onto the background colour"] == len(holes)


SIZES = {
    # name: (sizes (width, height), asked (h, w), max_side, result, part of the rule)
    "one size": ([(48, 20)] * 3, None, 64, (20, 48), "Kept"),
    "one size too large": ([(300, 300)] * 3, None, 64, (64, 64), "cropped"),
    "mixed": ([(100, 70), (80, 90), (120, 75)], None, 64, (64, 64), "cropped"),
    "mixed and small": ([(40, 50), (33, 60), (100, 35)], None, 64, (32, 32), "cropped"),
    "mixed and tiny": ([(8, 9), (9, 8), (10, 10)], None, 64, (16, 16), "cropped"),
    "mixed, more allowed": ([(300, 200), (280, 210), (290, 205)], None, 128, (128, 128), "cropped"),
    "panoramas": ([(300, 50), (200, 40), (250, 60)], None, 64, (32, 32), "padded"),
    "asked": ([(100, 70), (80, 90), (120, 75)], (24, 40), 64, (24, 40), "cropped"),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes(name: str, tmp_path: Path, photo: Photo) -> None:
    sizes, asked, max_side, result, rule = SIZES[name]
    data = open_data(fill(tmp_path / "set", [photo(i, s) for i, s in enumerate(sizes)]), size=asked, max_side=max_side)
    assert data.shape[1:] == data.report.size == result
    assert rule in data.report.rule


def test_crop_is_central_and_scale_keeps_proportions(tmp_path: Path) -> None:
    """Three vertical stripes, red, green, blue, 96x32: the middle third is what a square crop keeps."""
    image = Image.new("RGB", (96, 32), (255, 0, 0))
    image.paste((0, 255, 0), (32, 0, 64, 32))
    image.paste((0, 0, 255), (64, 0, 96, 32))
    data = open_data(fill(tmp_path / "set", [image, image]), size=(32, 32))
    assert (data.images(np.array([0]))[0].float().mean(dim=(1, 2)) == torch.tensor([0.0, 255.0, 0.0])).all()


def test_enlarging_is_warned_of(folder: Path) -> None:
    assert "enlarged more than 2 times" in str(open_data(folder, size=(65, 65)).report)
    assert "enlarged" not in str(open_data(folder, size=(64, 64)).report)


@pytest.mark.parametrize("size", [(468, 1), (1, 468), (64, 1), (32, 1)])
def test_a_thin_line_is_not_padded_away(size: tuple[int, int], tmp_path: Path) -> None:
    images = [Image.new("L", one, 0) for one in [(100, 40), (120, 40), (90, 40), size]]
    data = open_data(fill(tmp_path / "set", images), size=None)
    assert "padded to 32x32" in data.report.rule
    seen = data.images(np.array([3]))[0, 0]
    assert int(seen.min()) < 128
    assert sorted(((seen < 128).any(dim=dim).sum().item()) for dim in (0, 1)) == [1, 32]


def test_padding_uses_the_background(tmp_path: Path) -> None:
    images = [Image.new("L", size, 0) for size in [(100, 20), (120, 20), (90, 20)]]
    data = open_data(fill(tmp_path / "set", images), background=(200, 200, 200))
    assert data.shape == (1, 16, 16)
    assert data.images(np.array([0]))[0, 0, 0].tolist() == [200] * 16


@pytest.mark.parametrize(("labels", "classes"), [([2, 0, 2, 0], ("0", "2")), (None, ())])
def test_label_file_of_stylegan(
    labels: list[int] | None, classes: tuple[str, ...], tmp_path: Path, photo: Photo
) -> None:
    fill(tmp_path / "set/00000", [photo(0), photo(1)])
    fill(tmp_path / "set/00001", [photo(2), photo(3)])
    names = [f"0000{i // 2}/{i % 2:03}.png" for i in range(4)]
    table = None if labels is None else [list(pair) for pair in zip(names, labels, strict=True)]
    (tmp_path / "set/dataset.json").write_text(json.dumps({"labels": table}))
    data = open_data(tmp_path / "set")
    assert data.classes == classes
    assert (data.labels is None) == (labels is None)
    if data.labels is not None:
        assert data.labels.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("label", [[0.5, 1.0], 1e999, "cat", None])
def test_label_file_without_numbers_makes_no_classes(label: object, tmp_path: Path, photo: Photo) -> None:
    """Neither of what it holds nor of its numbered folders."""
    fill(tmp_path / "set/00000", [photo(0), photo(1)])
    fill(tmp_path / "set/00001", [photo(2), photo(3)])
    (tmp_path / "set/dataset.json").write_text(json.dumps({"labels": [["00000/000.png", label]]}))
    data = open_data(tmp_path / "set")
    assert (len(data), data.classes, data.labels) == (4, (), None)
    assert "does not give one number for each image" in str(data.report)


def test_a_label_file_of_other_images_says_so(tmp_path: Path, photo: Photo) -> None:
    fill(tmp_path / "set/images", [photo(i) for i in range(4)])
    (tmp_path / "set/dataset.json").write_text(json.dumps({"labels": [["000.png", 0], ["001.png", 1]]}))
    data = open_data(tmp_path / "set")
    assert (len(data), data.classes) == (4, ())
    assert "dataset.json names none of the images (its first is 000.png)" in str(data.report)


def test_images_that_the_label_file_does_not_name_are_counted(tmp_path: Path, photo: Photo) -> None:
    fill(tmp_path / "set", [photo(i) for i in range(5)])
    (tmp_path / "set/README.md").write_text("words")
    (tmp_path / "set/dataset.json").write_text(json.dumps({"labels": [["000.png", 0], ["003.png", 7]]}))
    data = open_data(tmp_path / "set")
    assert (len(data), data.classes) == (2, ("0", "7"))
    assert "Labels from dataset.json; 3 images without one are left out." in str(data.report)


@pytest.mark.parametrize("text", ['{"labels": [["00000/000.png", 1]', '{"licence": "mine"}', "[1]"])
def test_a_label_file_that_lists_nothing_is_passed_over_aloud(text: str, tmp_path: Path, photo: Photo) -> None:
    fill(tmp_path / "set/cats", [photo(0), photo(1)])
    fill(tmp_path / "set/dogs", [photo(2), photo(3)])
    (tmp_path / "set/dataset.json").write_text(text)
    data = open_data(tmp_path / "set")
    assert data.classes == ("cats", "dogs")
    assert "dataset.json is damaged or lists no labels, so it is passed over." in str(data.report)


def test_a_label_file_within_the_only_folder_of_a_zip(tmp_path: Path, photo: Photo) -> None:
    fill(tmp_path / "set/00000", [photo(i) for i in range(4)])
    (tmp_path / "set/dataset.json").write_text(json.dumps({"labels": [[f"00000/{i:03}.png", i % 2] for i in range(4)]}))
    data = open_data(packed(tmp_path / "set"))
    assert data.classes == ("0", "1")
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1, 0, 1]


def test_pictures_and_arrays_in_one_folder_are_not_guessed_about(tmp_path: Path, photo: Photo) -> None:
    fill(tmp_path / "set", [photo(i) for i in range(3)])
    np.savez(tmp_path / "set/features.npz", features=np.zeros((3, 8)))
    with pytest.raises(DataError, match=r"set holds 3 pictures and arrays \(features.npz\), and only one can be meant"):
        open_data(tmp_path / "set")
    (tmp_path / "set/features.npz").unlink()
    assert len(open_data(tmp_path / "set")) == 3


def test_one_picture_beside_arrays_is_no_data_set(tmp_path: Path, photo: Photo) -> None:
    fill(tmp_path / "set", [photo(0)])
    np.savez(tmp_path / "set/all.npz", images=np.zeros((3, 8, 8), np.uint8))
    assert len(open_data(tmp_path / "set")) == 3


@pytest.mark.parametrize("name", ["", "  "])
def test_an_empty_name_is_not_the_present_folder(name: str) -> None:
    with pytest.raises(DataError, match="an empty name is no data"):
        open_data(name)
