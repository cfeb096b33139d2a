"""Every word of a command reaches the function that it is meant for."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from sparring.cli import main
from sparring.comparison import Setting


class Named:
    """Stands in for a generator with two classes."""

    names, shape, style_layers = ("cat", "dog"), (3, 8, 8), 4


class Called(Exception):  # noqa: N818 - no error: what was asked for is there
    """What a command gave to its function."""


GENERATOR = Named()
CALLS: dict[str, tuple[str, str, tuple[Any, ...], dict[str, Any]]] = {
    "sample": (
        "sample RUN -n 3 --seed 5 --class dog --truncation 0.7 --out drawn",
        "share.sheets:write_samples",
        (GENERATOR, Path("drawn")),
        {"n": 3, "seed": 5, "classes": ["dog"], "truncation": 0.7},
    ),
    "interpolate": (
        "interpolate RUN --seeds 1,2 --steps 5 --how linear --class cat --truncation 0.7",
        "latent.interpolate:interpolate",
        (GENERATOR, [1, 2]),
        {"steps": 5, "how": "linear", "classes": ["cat"], "truncation": 0.7},
    ),
    "mix": (
        "mix RUN --rows 1,2 --cols 4,5,6 --layers 0-1 --class cat --truncation 0.7",
        "latent.mix:mix",
        (GENERATOR, [1, 2], [4, 5, 6], [0, 1]),
        {"classes": ["cat"], "truncation": 0.7},
    ),
    "translate": (
        "translate RUN photos made --seed 3 --tile 64",
        "share.translations:translate",
        (GENERATOR, Path("photos"), Path("made")),
        {"seed": 3, "tile": 64},
    ),
    "export": (
        "export RUN --to onnx --licence MIT --direction BtoA --out kept",
        "share.export:export",
        ("Run('RUN')", Path("kept")),
        {"to": ("onnx",), "licence": "MIT", "player": "b_to_a"},
    ),
    "modes": (
        "modes ring8 --recipes gan,r3gan --protocol own --rounds 9 --seeds 3 --first-seed 4 --jobs 2 --threads 3 "
        "--out O --work W",
        "modes:run_modes",
        ("ring8", ["gan", "r3gan"]),
        {"protocol": "own", "rounds": 9, "seeds": range(4, 7), "out": Path("O"), "work": Path("W"), "digits": None,
         "jobs": 2, "threads": 3},
    ),
    "compare": (
        "compare gan r3gan --data D --size 8x9 --images 2k --subset 7 --seeds 3 --first-seed 4 -n 11 --features grey28 "
        "--jobs 2 --threads 3 --out O --work W",
        "comparison:compare",
        (("gan", "r3gan"),),
        {"setting": Setting("D", (8, 9), "2k", None, 7, 11, "grey28"), "seeds": range(4, 7), "out": Path("O"),
         "work": Path("W"), "jobs": 2, "threads": 3},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_every_word_arrives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words, where, arguments, keywords = CALLS[name]
    module, _, function = where.partition(":")

    def called(*given: Any, **named: Any) -> None:
        raise Called(given, {key: word for key, word in named.items() if key != "say"})

    load = import_module("sparring.share.load")
    monkeypatch.setattr(load, "load", lambda run, trust: GENERATOR)
    monkeypatch.setattr(load, "load_translator", lambda run, player, trust: GENERATOR)
    monkeypatch.setattr(import_module(f"sparring.{module}"), function, called)
    with pytest.raises(Called) as caught:
        main(words.split())
    given, named = caught.value.args
    assert tuple(repr(one) if name == "export" and one is given[0] else one for one in given) == arguments
    assert named == keywords
