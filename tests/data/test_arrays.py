"""Arrays in files: axes, ranges, labels, and what is refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sparring.data import open_data
from sparring.errors import DataError


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.RandomState(seed).randint(0, 256, shape, dtype=np.uint8)


LAYOUTS = {
    # name: (array shape, data shape)
    "grey": ((5, 12, 10), (1, 12, 10)),
    "colour last": ((5, 12, 10, 3), (3, 12, 10)),
    "colour first": ((5, 3, 12, 10), (3, 12, 10)),
    "two channels": ((5, 12, 10, 2), (2, 12, 10)),
    "five channels first": ((5, 5, 12, 10), (5, 12, 10)),
    "alpha": ((5, 12, 10, 4), (4, 12, 10)),
    "tiny": ((5, 2, 2, 1), (1, 2, 2)),
}


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_axes(name: str, suffix: str, tmp_path: Path) -> None:
    given, shape = LAYOUTS[name]
    array = noise(*given)
    path = tmp_path / f"set{suffix}"
    np.savez(path, images=array) if suffix == ".npz" else np.save(path, array)
    data = open_data(path)
    assert (len(data), data.shape) == (5, shape)
    expected = array.reshape(5, *shape) if given[1:] == shape or len(given) == 3 else array.transpose(0, 3, 1, 2)
    assert torch.equal(data.images(np.arange(5)), torch.from_numpy(np.ascontiguousarray(expected)))


RANGES = {
    # name: (values, the bytes they become (by hand), part of the note)
    "float 0..1": (np.array([0.0, 0.5, 1.0], np.float32), [0, 128, 255], "[0, 1]"),
    "float -1..1": (np.array([-1.0, 0.0, 1.0], np.float64), [0, 128, 255], "[-1, 1]"),
    "float 0..255": (np.array([0.0, 99.6, 255.0], np.float16), [0, 100, 255], "[0, 255]"),
    "bool": (np.array([False, True, True]), [0, 255, 255], "0 and 1"),
    "bytes 0 and 1": (np.array([0, 1, 0], np.uint8), [0, 255, 0], "0 and 1"),
    "int64": (np.array([0, 7, 255], np.int64), [0, 7, 255], ""),
    "16 bit": (np.array([0, 257, 65535], np.uint16), [0, 1, 255], "16-bit"),
}


@pytest.mark.parametrize("name", RANGES)
def test_ranges(name: str, tmp_path: Path) -> None:
    values, expected, note = RANGES[name]
    np.save(tmp_path / "set.npy", np.broadcast_to(values, (4, 2, 3)))
    data = open_data(tmp_path / "set.npy")
    assert data.images(np.array([2]))[0, 0, 0].tolist() == expected
    assert note in str(data.report)


def test_labels_and_their_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=noise(6, 8, 8), y=np.array([2, 0, 2, 0, 2, 2]), label_names=["a", "b", "c"])
    data = open_data(tmp_path / "set.npz")
    assert data.classes == ("a", "c")
    assert data.labels is not None
    assert data.labels.tolist() == [1, 0, 1, 0, 1, 1]


def test_labels_are_guessed_from_the_first_integers(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "set.npz",
        images=noise(6, 8, 8),
        identity=np.arange(6),
        weight=np.ones(6),
        attr_hat=np.array([0, 1, 0, 1, 0, 1], np.uint8),
        names_hat=np.array(["none", "top"]),
    )
    data = open_data(tmp_path / "set.npz")
    assert data.classes == ("none", "top")
    assert "attr_hat" in str(data.report)


@pytest.mark.parametrize("trailing", [(), (1,)])
@pytest.mark.parametrize(
    "names", [("x_train", "y_train", "x_test", "y_test"), ("train_images", "train_labels", "a", "b")]
)
def test_of_several_sets_in_a_file_the_one_for_training_is_taken(
    names: tuple[str, ...], trailing: tuple[int, ...], tmp_path: Path
) -> None:
    """As Keras and MedMNIST save theirs, the test set first; a column of labels as well."""
    images, labels, fewer, others = names
    arrays = {fewer: noise(4, 8, 8), others: np.zeros((4, *trailing), np.int64)}
    arrays |= {images: noise(6, 8, 8), labels: np.array([0, 1, 2, 0, 1, 2]).reshape(6, *trailing)}
    np.savez(tmp_path / "set.npz", **arrays)
    data = open_data(tmp_path / "set.npz")
    assert (len(data), data.classes) == (6, ("0", "1", "2"))
    assert f"Images are taken from {images}. Labels are taken from {labels}." in " ".join(data.report.lines())


def test_names_as_bytes_and_names_that_do_not_fit(tmp_path: Path) -> None:
    labels = np.array([1, 2, 1, 2])
    np.savez(tmp_path / "set.npz", images=noise(4, 8, 8), y=labels, label_names=np.array([b"none", b"cat", b"dog"]))
    assert open_data(tmp_path / "set.npz").classes == ("cat", "dog")
    np.savez(tmp_path / "few.npz", images=noise(4, 8, 8), y=labels, label_names=["cat", "dog"])
    data = open_data(tmp_path / "few.npz")
    assert data.classes == ("1", "2")
    assert "Labels go from 1 to 2, so that the 2 names given do not fit them." in str(data.report)


def test_several_files_are_joined(tmp_path: Path) -> None:
    for index in range(3):
        np.savez(tmp_path / f"part{index}.npz", images=noise(4, 8, 8, 3, seed=index), labels=np.array([0, 1, 0, index]))
    data = open_data(tmp_path)
    assert (len(data), data.classes) == (12, ("0", "1", "2"))


def test_loose_npy_files_belong_together(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    np.save(folder / "images.npy", noise(4, 8, 8))
    np.save(folder / "labels.npy", np.array([0, 1, 1, 0]))
    data = open_data(folder)
    assert data.classes == ("0", "1")


@pytest.mark.parametrize(("channels", "shape"), [(1, (1, 8, 8)), (3, (3, 8, 8)), (4, (4, 8, 8)), ("auto", (3, 8, 8))])
def test_channels_of_opaque_rgba(channels: int, shape: tuple[int, ...], tmp_path: Path) -> None:
    images = noise(4, 8, 8, 4)
    images[..., 3] = 255
    np.save(tmp_path / "set.npy", images)
    data = open_data(tmp_path / "set.npy", channels=channels)  # type: ignore[arg-type]
    assert data.shape == shape
    if channels in (3, 4):
        assert np.array_equal(data.images(np.arange(4))[:, :3], images[..., :3].transpose(0, 3, 1, 2))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_resizing_arrays(channels: int, tmp_path: Path) -> None:
    images = np.full((3, 20, 30, channels), 90, np.uint8)
    np.save(tmp_path / "set.npy", images)
    data = open_data(tmp_path / "set.npy", size=10)
    assert data.shape == (channels, 10, 10)
    assert (data.images(np.arange(3)) == 90).all()


def objects(path: Path) -> None:
    np.savez(path, images=np.array([{"a": 1}, None], dtype=object))


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("images.npy", "w") as member:
        header = io.BytesIO()
        facts = {"descr": "|u1", "fortran_order": False, "shape": (2**31, 64, 64)}
        np.lib.format.write_array_header_1_0(header, facts)
        member.write(header.getvalue() + b"\0" * 2**20)


def infinite(path: Path) -> None:
    images = np.zeros((5, 4, 4), np.float32)
    images[3, 1, 1] = np.inf
    np.savez(path, images=images)


def cut(path: Path) -> None:
    np.savez(path, images=noise(5, 64, 64))
    path.write_bytes(path.read_bytes()[:9000])


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "objects": (objects, "Python objects, which are never loaded"),
    "bomb": (bomb, "cannot be read"),
    "not finite": (infinite, "image 3 .* not finite"),
    "cut": (cut, "cannot be read"),
    "text": (lambda path: path.write_text("hello"), "cannot be read"),
    "no images": (lambda path: np.savez(path, a=np.arange(4)), r"holds no images \(a \(4,\)\)"),
    "words": (lambda path: np.savez(path, images=np.full((3, 4, 4), "x")), "not numbers"),
    "one": (lambda path: np.savez(path, images=noise(1, 4, 4)), "only 1 usable image"),
    "none": (lambda path: np.savez(path, images=noise(0, 4, 4)), "no set of images"),
    "flat": (lambda path: np.savez(path, images=noise(9, 784)), "no set of images"),
    "unclear axes": (lambda path: np.savez(path, images=noise(2, 40, 40, 40)), "neither 40 nor 40 can be channels"),
    "wild range": (lambda path: np.savez(path, images=np.full((3, 4, 4), 900.0)), "from 900 to 900"),
    "labels missing": (
        lambda path: np.savez(path, images=noise(4, 4, 4), labels=np.array([0, 1])),
        "4 images and 2 labels",
    ),
    "labels in words": (
        lambda path: np.savez(path, images=noise(4, 4, 4), labels=np.array(list("abab"))),
        r"labels in set.npz holds <U1 values of shape \(4,\); give one integer for each image",
    ),
    "labels in two axes": (
        lambda path: np.savez(path, images=noise(4, 4, 4), labels=np.eye(4)),
        "one integer for each image",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    make, sentence = REFUSED[name]
    make(tmp_path / "set.npz")
    with pytest.raises(DataError, match=sentence):
        open_data(tmp_path / "set.npz")


@pytest.mark.parametrize(
    "header",
    ["{'descr': (", "{1: 2, 'a': 3}", "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999, 4)}"],
)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_headers_that_break_the_parser(header: str, suffix: str, tmp_path: Path) -> None:
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + b"\0" * 64
    if suffix == "npy":
        (tmp_path / "set.npy").write_bytes(data)
    else:
        with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
            archive.writestr("images.npy", data)
    with pytest.raises(DataError, match=r"cannot be read .* save it again with numpy"):
        open_data(tmp_path / f"set.{suffix}")


def test_what_is_no_array_in_an_npz_is_left_out(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=noise(4, 8, 8))
    with zipfile.ZipFile(tmp_path / "set.npz", "a") as archive:
        archive.writestr("README.txt", "words")
    assert len(open_data(tmp_path / "set.npz")) == 4


@pytest.mark.parametrize("name", ["SET.NPZ", "SET.NPY"])
def test_suffixes_in_capitals(name: str, tmp_path: Path) -> None:
    images = noise(4, 8, 8)
    with (tmp_path / name).open("wb") as file:
        np.savez(file, images=images) if name.endswith("Z") else np.save(file, images)
    assert len(open_data(tmp_path / name)) == len(open_data(tmp_path)) == 4


def test_npy_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "set.npy").write_bytes(b"\x80\x04N.")
    with pytest.raises(DataError, match=r"no \.npy file"):
        open_data(tmp_path / "set.npy")


def test_npy_of_objects(tmp_path: Path) -> None:
    np.save(tmp_path / "set.npy", np.array([{"a": 1}, None], dtype=object))
    with pytest.raises(DataError, match="Python objects, which are never loaded; save arrays of numbers"):
        open_data(tmp_path / "set.npy")


def test_channels_without_colour_cannot_be_forced(tmp_path: Path) -> None:
    np.save(tmp_path / "set.npy", noise(4, 8, 8, 5))
    with pytest.raises(DataError, match="5 channels cannot become 3"):
        open_data(tmp_path / "set.npy", channels=3)


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=noise(4, 8, 8))
    np.savez(tmp_path / "b.npz", images=noise(4, 9, 9))
    with pytest.raises(DataError, match="must agree"):
        open_data(tmp_path)
