"""The second start: immediate, verified, and never worse than the first."""

from __future__ import annotations

import errno
import os
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sparring.data import Dataset, open_data, pictures
from sparring.data import cache as cache_module
from sparring.errors import DiskError


def forbid_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*given: object, **named: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(pictures, "decode", forbidden)


def same(one: Dataset, other: Dataset) -> bool:
    everything = np.arange(len(one))
    labels = one.labels is other.labels is None or torch.equal(one.labels, other.labels)
    return (
        one.fingerprint == other.fingerprint
        and labels
        and torch.equal(one.images(everything), other.images(everything))
    )


def test_second_start_decodes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "bad\n.png").write_text("bad")
    first = open_data(folder)
    forbid_decoding(monkeypatch)
    second = open_data(folder)
    assert same(first, second)
    assert first.report == second.report
    assert second.report.skipped[0].name == "bad\\n.png"


CHANGES: dict[str, Callable[[Path], object]] = {
    "added": lambda folder: Image.new("RGB", (32, 32)).save(folder / "new.png"),
    "removed": lambda folder: (folder / "0.png").unlink(),
    "renamed": lambda folder: (folder / "0.png").rename(folder / "9.png"),
    "touched": lambda folder: os.utime(folder / "0.png", (1, 1)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_any_change_of_files_is_seen(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_data(folder)
    CHANGES[name](folder)
    forbid_decoding(monkeypatch)
    with pytest.raises(AssertionError, match="decoded again"):
        open_data(folder)


def test_a_zip_packed_anew_is_seen(tmp_path: Path) -> None:
    """With other images of the same names and, as bitmaps are, of the same lengths."""
    for value in (10, 200):
        with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
            for index in range(2):
                with archive.open(f"{index}.bmp", "w") as member:
                    Image.new("L", (8, 8), value).save(member, "BMP")
        assert (open_data(tmp_path / "set.zip").images(np.arange(2)) == value).all()


@pytest.mark.parametrize("options", [{"size": (16, 16)}, {"channels": 1}, {"background": (0, 0, 0)}, {"max_side": 32}])
def test_options_have_their_own_entries(
    options: dict[str, object], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_data(folder)
    forbid_decoding(monkeypatch)
    with pytest.raises(AssertionError, match="decoded again"):
        open_data(folder, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("file", ["pixels.npy", "digests.npy", "labels.npy", "about.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "remove"])
def test_damaged_entry_is_rebuilt_silently(file: str, damage: str, folder: Path, cache: Path) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir()
    for index in range(4):
        (folder / f"{index}.png").rename(folder / "ab"[index % 2] / f"{index}.png")
    first = open_data(folder)
    expected = first.images(np.arange(4)), first.fingerprint
    del first
    (path,) = cache.glob(f"*/{file}")
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    changed = {"flip": bytes(content), "cut": bytes(content[:-7]), "empty": b""}
    path.unlink()
    if damage != "remove":
        path.write_bytes(changed[damage])
    again = open_data(folder)
    assert torch.equal(again.images(np.arange(4)), expected[0])
    assert again.fingerprint == expected[1]
    assert again.report.warnings == open_data(folder).report.warnings
    assert len(list(cache.iterdir())) == 1


def test_large_entries_are_verified_by_a_sample(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_VERIFIED_WHOLE_BYTES", 0)
    open_data(folder)
    with monkeypatch.context() as patch:
        forbid_decoding(patch)
        open_data(folder)
    (path,) = cache.glob("*/pixels.npy")
    content = bytearray(path.read_bytes())
    content[128] ^= 1
    path.write_bytes(content)
    forbid_decoding(monkeypatch)
    with pytest.raises(AssertionError, match="decoded again"):
        open_data(folder)


def test_unwritable_cache_means_memory_and_a_warning(folder: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    data = open_data(folder, cache=blocked / "cache")
    assert same(data, open_data(folder))
    assert "in memory only" in str(data.report)


@pytest.mark.parametrize("at", range(1, 7))
def test_full_disk_leaves_nothing(at: int, folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The n-th fsync or rename fails as on a full disk; six cover all of an entry and its end."""
    calls = 0

    def failing(call: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*given: object) -> object:
            nonlocal calls
            calls += 1
            if calls == at:
                raise OSError(errno.ENOSPC, "No space left on device")
            return call(*given)

        return wrapped

    monkeypatch.setattr(os, "fsync", failing(os.fsync))
    monkeypatch.setattr(Path, "rename", failing(Path.rename))
    data = open_data(folder)
    assert len(data) == 4
    failed = at <= 4  # three files of an unlabelled entry, one rename
    assert (len(list(cache.iterdir())) == 0) == failed
    assert ("No space left" in str(data.report)) == failed


def test_full_disk_while_decoding_is_a_disk_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, data: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            pass

    monkeypatch.setattr(pictures.tempfile, "SpooledTemporaryFile", lambda size: Full())
    with pytest.raises(DiskError, match="No space left") as caught:
        open_data(folder)
    assert caught.value.exit_code == 74


def test_many_at_once_make_one_entry(folder: Path, cache: Path) -> None:
    prints: list[str] = []
    threads = [threading.Thread(target=lambda: prints.append(open_data(folder).fingerprint)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(prints) == 6
    assert len(set(prints)) == 1
    assert len(list(cache.iterdir())) == 1


def test_what_a_killed_process_left_is_swept_after_a_day(folder: Path, cache: Path) -> None:
    old, young, foreign = cache / ".new-old", cache / ".new-young", cache / ".git-old"
    for path in (old, young, foreign):
        path.mkdir(parents=True)
    os.utime(old, (1, 1))
    os.utime(foreign, (1, 1))
    open_data(folder)
    assert (old.exists(), young.exists(), foreign.exists()) == (False, True, True)


@pytest.mark.parametrize(
    ("chosen", "variables", "expected"),
    [
        (Path("/a"), {"SPARRING_CACHE": "/b", "XDG_CACHE_HOME": "/c"}, "/a"),
        (None, {"SPARRING_CACHE": "/b", "XDG_CACHE_HOME": "/c"}, "/b"),
        (None, {"XDG_CACHE_HOME": "/c"}, "/c/sparring"),
        (None, {"HOME": "/d"}, "/d/.cache/sparring"),
    ],
)
def test_where_the_cache_is(
    chosen: Path | None, variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SPARRING_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_module.cache_folder(chosen) == Path(expected)
