"""Zips: the same as folders, and nothing in them reaches the disk or exhausts the machine."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from sparring.data import open_data
from sparring.errors import DataError

Photo = Callable[..., Image.Image]


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_zip_equals_folder(tmp_path: Path, photo: Photo) -> None:
    for name, seed in (("cat", 1), ("dog", 5)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in (seed, seed + 1):
            photo(number).save(tmp_path / "set" / name / f"{number}.png")
    files = sorted((tmp_path / "set").rglob("*.png"))
    whole = {f"wrap\\{file.relative_to(tmp_path / 'set')}".replace("/", "\\"): file.read_bytes() for file in files}
    archive = zipped(tmp_path / "set.zip", {**whole, "__MACOSX/wrap/._0.png": b"clutter"})
    ours, theirs = open_data(tmp_path / "set"), open_data(archive)
    assert theirs.classes == ("cat", "dog")
    assert theirs.fingerprint == ours.fingerprint


def test_zip_with_hostile_members(tmp_path: Path, folder: Path) -> None:
    good = {file.name: file.read_bytes() for file in folder.iterdir()}
    hostile = {
        "../up.png": good["0.png"],
        "/etc/abs.png": good["0.png"],
        "C:\\abs.png": good["0.png"],
        "zeros.bmp": b"BM" + b"\0" * 2**21,
    }
    path = zipped(tmp_path / "set.zip", good | hostile)
    link = zipfile.ZipInfo("link.png")
    link.external_attr = 0o120777 << 16
    before = set(tmp_path.rglob("*"))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("more.png", good["1.png"])
        archive.writestr("more2.png", good["2.png"])
    data = open_data(path)
    assert len(data) == 6
    assert {one.name: one.reason for one in data.report.skipped} == {
        "../up.png": "name that leads out of the archive",
        "/etc/abs.png": "name that leads out of the archive",
        "C:/abs.png": "name that leads out of the archive",
        "link.png": "link inside an archive",
        "zeros.bmp": "packed more than 200 times; images are not",
    }
    assert not {p for p in set(tmp_path.rglob("*")) - before if "cache" not in p.parts}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_is_skipped_however_it_was_packed(method: int, tmp_path: Path, folder: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w", method) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
        places = {info.filename: (info.header_offset, info.compress_size) for info in archive.infolist()}
    data = bytearray((tmp_path / "set.zip").read_bytes())
    start, length = places["0.png"]
    data[start + 60 : start + length] = b"\x55" * (length - 60)
    (tmp_path / "set.zip").write_bytes(data)
    opened = open_data(tmp_path / "set.zip")
    assert len(opened) == 3
    assert [one.name for one in opened.report.skipped] == ["0.png"]
    assert "damaged in the archive" in opened.report.skipped[0].reason


def zip_damaged(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04" + b"\0" * 100)


def zip_of_bombs(path: Path) -> None:
    zipped(path, {f"{index}.bmp": b"BM" + b"\0" * (2**20 - 2) for index in range(60)})


def zip_of_zips(path: Path) -> None:
    zipped(path, {"inner.zip": b"PK\x03\x04" + b"\0" * 100, "inner.png": b"PK\x03\x04"})


def zip_announcing_millions(path: Path) -> None:
    zipped(path, {"a.png": b"x"})
    data = bytearray(path.read_bytes())
    data[-10:-6] = (2**31).to_bytes(4, "little")  # the size of the directory, by the zip specification
    path.write_bytes(data)


def zip_announcing_millions_twice(path: Path) -> None:
    """A large record beside a modest end record: zipfile reads the large one."""
    zipped(path, {"a.png": b"x"})
    data = path.read_bytes()
    count, length, start = 1_000_000, *struct.unpack("<2L", data[-10:-2])
    large = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(data) - 22, 1)
    path.write_bytes(data[:-22] + large + locator + data[-22:])


def zip_of_more_than_it_announces(path: Path) -> None:
    """Half a million entries and a few, of which the end record tells the number modulo 65,536, as old writers do."""
    count, entry = 500_010, b"PK\x01\x02" + b"\0" * 24 + (1).to_bytes(2, "little") + b"\0" * 16 + b"a"
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count % 2**16, count % 2**16, count * len(entry), 0, 0)
    path.write_bytes(entry * count + end)


HOPELESS_ZIPS = {
    "damaged": (zip_damaged, "not a readable zip"),
    "bombs": (zip_of_bombs, "would unpack"),
    "nested": (zip_of_zips, "ZIP"),
    "announces millions": (zip_announcing_millions, "has a list of files of 2,048 MB; the limit is"),
    "announces millions in its large record": (zip_announcing_millions_twice, "lists 1,000,000 files; the limit"),
    "more than announced": (zip_of_more_than_it_announces, "lists 500,010 files; the limit for a zip is 500,000"),
    "empty": (lambda path: zipped(path, {}), "no images"),
}


@pytest.mark.parametrize("name", HOPELESS_ZIPS)
def test_hopeless_zips(name: str, tmp_path: Path) -> None:
    make, sentence = HOPELESS_ZIPS[name]
    make(tmp_path / "set.zip")
    with pytest.raises(DataError, match=sentence):
        open_data(tmp_path / "set.zip")
