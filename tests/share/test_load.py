"""Files from strangers are data: what is damaged, altered, newer or names other code is refused with a sentence."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sparring.errors import FileUnusableError
from sparring.share.export import export
from sparring.share.load import load
from sparring.tensorfile import serialise

Card = dict[str, Any]


@pytest.fixture(scope="module")
def original(run, tmp_path_factory) -> Path:
    return export(run, tmp_path_factory.mktemp("exported") / "out")


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "copy"))


def generator_part(card: Card) -> Card:
    part: Card = card["recipe"]["with"]["recipe"]["with"]["game"]["with"]["generator"]
    return part


def alter(folder: Path, change: Callable[[Card], object]) -> None:
    card = json.loads((folder / "card.json").read_text())
    change(card)
    (folder / "card.json").write_text(json.dumps(card))


CHANGES: dict[str, Callable[[Card], object]] = {
    "newer": lambda card: card.update(format=2),
    "foreign": lambda card: card.update(kind="business card"),
    "format is a word": lambda card: card.update(format="1"),
    "no files": lambda card: card.pop("files"),
    "files is a word": lambda card: card.update(files="generator.safetensors"),
    "no weights": lambda card: card["files"].pop("generator.safetensors"),
    "other hash": lambda card: card["files"].update({"generator.safetensors": "0" * 64}),
    "no recipe": lambda card: card.pop("recipe"),
    "recipe is a list": lambda card: card.update(recipe=[1, 2]),
    "recipe is another part": lambda card: card.update(recipe={"is": "sparring.networks.mlp:Generator"}),
    "other code": lambda card: generator_part(card).update(part="os:system"),
    "hidden code": lambda card: generator_part(card).update(part="sparring.networks.mlp:math.prod"),
    "wider": lambda card: generator_part(card)["with"].update(width=9),
    "impossible width": lambda card: generator_part(card)["with"].update(width="a"),
    "no width": lambda card: generator_part(card)["with"].update(width=0),
    "unknown argument": lambda card: generator_part(card)["with"].update(depth=3),
    "no game": lambda card: card["recipe"]["with"]["recipe"]["with"].update(game=None),
    "no such player": lambda card: card["recipe"]["with"]["recipe"]["with"].update(sampler="judge"),
    "other shape": lambda card: card["recipe"]["with"]["facts"]["with"].update(shape=[1, 14, 14]),
    "endless shape": lambda card: card["recipe"]["with"]["facts"]["with"].update(shape=[1, 10**9 + 1, 10**9 + 1]),
    "endless layers": lambda card: generator_part(card)["with"].update(layers=10**9),
    "layers for hours": lambda card: generator_part(card)["with"].update(layers=10**6),
    "no facts": lambda card: card["recipe"]["with"].update(facts=None),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_altered_card_is_refused(folder, change):
    alter(folder, change)
    with pytest.raises(FileUnusableError):
        load(folder)


def test_names_that_are_none_are_said_of_the_card(folder):
    alter(folder, lambda card: card["data"].update(classes="abc"))
    with pytest.raises(FileUnusableError, match=r"card\.json does not hold names of classes"):
        load(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_card_is_refused(folder, content):
    (folder / "card.json").write_bytes(content)
    with pytest.raises(FileUnusableError):
        load(folder)


def test_altered_weights_are_refused(folder):
    path = folder / "generator.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(FileUnusableError, match="SHA-256"):
        load(folder)


def test_missing_weights_are_refused(folder):
    (folder / "generator.safetensors").unlink()
    with pytest.raises(FileUnusableError, match="restore"):
        load(folder)


def test_weights_of_another_network_are_refused(folder):
    data = serialise({"layers.0.weight": torch.zeros(2)}, {})
    (folder / "generator.safetensors").write_bytes(data)
    alter(folder, lambda card: card["files"].update({"generator.safetensors": hashlib.sha256(data).hexdigest()}))
    with pytest.raises(FileUnusableError, match="do not fit"):
        load(folder)


def test_a_folder_that_is_neither(tmp_path):
    with pytest.raises(FileUnusableError, match="not a run"):
        load(tmp_path)


def test_a_runs_own_word_is_not_trust(run, tmp_path):
    copy = Path(shutil.copytree(run.path, tmp_path / "run"))
    card = json.loads((copy / "recipe.json").read_text())
    generator_part(card).update(part="evil:run")
    (copy / "recipe.json").write_text(json.dumps(card | {"trust": ["evil"]}))
    (tmp_path / "evil.py").write_text("raise SystemExit('code of the folder was run')")
    with pytest.raises(FileUnusableError, match=r"trust=\['evil'\]"):
        load(copy)
