"""`~` is a person's home wherever a path is taken, although no shell was there to say so (`--out=~/x`, or Python)."""

from __future__ import annotations

from pathlib import Path

import pytest

import sparring
from share.conftest import make_run, tiny
from share.test_published import published
from sparring.cli.commands import main
from sparring.data.single import read_picture
from sparring.tensorfile import serialise

WORDS = {
    "sample": "sample ~/runs/a -n 1 --out=~/s",
    "interpolate": "interpolate ~/runs/a --seeds 1,2 --steps 2 --out=~/w.png --film=~/w.gif",
    "export": "export ~/runs/a --out=~/e",
    "export beside": "export ~/runs/a",
    "train": "train ring8 --recipe gan --width 4 --images 64 --out=~/t",
    "compare": "compare gan lsgan --data ring8 --images 128 --seeds 2 --out=~/c",
    "modes": "modes ring8 --recipes gan --rounds 2 --seeds 1 --out=~/m",
}
WRITTEN = {
    "sample": ["s/seed-000000.png"],
    "interpolate": ["w.png", "w.gif"],
    "export": ["e/card.json"],
    "export beside": ["runs/a-export/card.json"],
    "train": ["t/recipe.json"],
    "compare": ["c/comparison.json"],
    "modes": ["m/summary.json"],
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a run in it; the working folder is elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    make_run(tmp_path / "home" / "runs" / "a", tiny("gan"))
    return tmp_path / "home"


@pytest.mark.parametrize("command", WORDS)
def test_commands_write_at_home(command: str, home: Path) -> None:
    with pytest.raises(SystemExit) as left:
        main(WORDS[command].split())
    assert left.value.code == 0
    assert all((home / name).is_file() for name in WRITTEN[command])
    assert list(Path().iterdir()) == []


def test_python_reads_and_writes_at_home(home: Path) -> None:
    (home / "theirs.safetensors").write_bytes(serialise(published("rrdb"), {}))
    assert sparring.import_weights("~/theirs.safetensors", "esrgan", "~/ours") == home / "ours"
    sparring.export("~/runs/a", "~/e")
    assert read_picture("~/e/samples.png", 1).shape[0] == 1
    sparring.translate(sparring.load_translator("~/ours"), "~/e/samples.png", "~/larger.png")
    assert (home / "larger.png").is_file()
    assert list(Path().iterdir()) == []
