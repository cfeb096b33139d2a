"""Named sets, with the network played by local files."""

from __future__ import annotations

import io
import struct
import tarfile
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torchvision.datasets
from torchvision.datasets import utils

from sparring.data import open_data
from sparring.data.downloads import SET_NAMES
from sparring.errors import DataError


def no_network(*given: object, **named: object) -> None:
    raise URLError("no route to host")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utils, "download_url", no_network)
    monkeypatch.setattr(torchvision.datasets.mnist, "download_and_extract_archive", no_network)


@pytest.mark.parametrize("name", SET_NAMES)
def test_without_network_there_is_one_sentence(name: str) -> None:
    with pytest.raises(DataError, match=f"{name} could not be downloaded; connect") as caught:
        open_data(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "label_bytes", "parts", "names_file"),
    [
        ("cifar10", 1, [f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)], None),
        ("cifar100", 2, ["cifar-100-binary/train.bin"], "cifar-100-binary/fine_label_names.txt"),
    ],
)
def test_cifar_records(
    name: str, label_bytes: int, parts: list[str], names_file: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records as the page of CIFAR describes them: label bytes, then red, green and blue planes."""
    rows = np.random.RandomState(0).randint(0, 9, (4, label_bytes + 3072), dtype=np.uint8)
    rows[:, label_bytes - 1] = [3, 1, 3, 1]

    def download(url: str, root: str, filename: str, md5: str) -> None:
        assert len(md5) == 32
        Path(root).mkdir(parents=True, exist_ok=True)
        with tarfile.open(Path(root) / filename, "w:gz") as archive:
            contents = dict.fromkeys(parts, rows.tobytes())
            if names_file is not None:
                contents[names_file] = b"apple\nbear\ncan\ndolphin\n"
            for member, content in contents.items():
                facts = tarfile.TarInfo(member)
                facts.size = len(content)
                archive.addfile(facts, io.BytesIO(content))

    monkeypatch.setattr(utils, "download_url", download)
    data = open_data(name)
    assert (len(data), data.shape) == (4 * len(parts), (3, 32, 32))
    assert data.classes == (("automobile", "cat") if names_file is None else ("bear", "dolphin"))
    assert np.array_equal(data.images(np.array([2]))[0], rows[2, label_bytes:].reshape(3, 32, 32))


def test_damaged_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(url: str, root: str, filename: str, md5: str) -> None:
        Path(root).mkdir(parents=True, exist_ok=True)
        (Path(root) / filename).write_bytes(b"no archive")

    monkeypatch.setattr(utils, "download_url", download)
    with pytest.raises(DataError, match="is damaged"):
        open_data("cifar10")


def test_mnist_goes_through_torchvision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The class of torchvision is asked to download, and the IDX files it leaves are read."""

    def leave_files(root: str, *, download: bool) -> None:
        assert download
        raw = Path(root) / "KMNIST" / "raw"
        raw.mkdir(parents=True)
        (raw / "train-images-idx3-ubyte").write_bytes(struct.pack(">BBBB3I", 0, 0, 8, 3, 2, 4, 4) + bytes(range(32)))

    monkeypatch.setattr(torchvision.datasets, "KMNIST", leave_files)
    data = open_data("kmnist")
    assert (len(data), data.shape, data.name) == (2, (1, 4, 4), "KMNIST")
