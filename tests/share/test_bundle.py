"""A bundle is the source that is needed, with every name meaning what it meant."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sparring.errors import UsageError
from sparring.share.bundle import Bundle, bundle

Modules = Callable[..., list[Any]]


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Modules:
    """Write modules, import them, and give the `root` of each."""

    def write(**sources: str) -> list[Any]:
        monkeypatch.syspath_prepend(tmp_path)
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        importlib.invalidate_caches()
        found = []
        for name in sources:
            monkeypatch.delitem(sys.modules, name, raising=False)
        for name in sources:
            monkeypatch.setitem(sys.modules, name, importlib.import_module(name))
            found.append(sys.modules[name].root)
        return found

    return write


def run_text(text: Bundle) -> dict[str, Any]:
    scope: dict[str, Any] = {"__name__": "bundled"}
    exec(text.imports + "\n\n" + text.body, scope)
    return scope


def test_what_is_not_reached_is_left_behind(modules):
    roots = modules(
        one='LEFT = 1\nimport json\n\n# Why two.\nKEPT = 2\n"""Says what it is."""\n\n'
        "def other():\n    return json\n\ndef root():\n    return _kept()\n\ndef _kept():\n    return KEPT  # noqa: X\n"
    )
    text = bundle(roots, allowed=[])
    assert run_text(text)["root"]() == 2
    assert "other" not in text.body
    assert "LEFT" not in text.body
    assert "json" not in text.imports
    assert '# Why two.\nKEPT = 2\n"""Says what it is."""' in text.body
    assert "noqa" not in text.body


def test_names_that_two_modules_share_are_kept_apart(modules):
    roots = modules(
        one="from math import floor as f\nX = 'é'\ndef _help(): return 'one', f(1.5), X\ndef root(): return _help()\n",
        two="from math import ceil as f\ndef _help(): return 'twö', f(1.5)\nclass root:\n    é = 1; helped = _help()\n",
    )
    text = bundle(roots, allowed=[])
    assert text.names == ("root", "two_root")
    scope = run_text(text)
    assert scope["root"]() == ("one", 1, "é")
    assert scope["two_root"].helped == ("twö", 2)


def test_aliases_and_re_exports_are_followed(modules):
    *_, root = modules(
        depth="def root(): return 'deep'\n",
        middle="from depth import root as bottom\ndef root(): return 'middle'\n",
        top="from middle import bottom as below\nimport os.path\ndef root(): return below(), os.path.sep\n",
    )
    text = bundle([root, sys.modules["depth"].root, sys.modules["middle"].root], allowed=[])
    assert run_text(text)["root"]()[0] == "deep"


def test_a_statement_of_two_names_is_written_once(modules):
    text = bundle(modules(one="A, B = 1, 2\ndef root(): return A + B\n"), allowed=[])
    assert run_text(text)["root"]() == 3
    assert text.body.count("A, B = 1, 2") == 1


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import numpy\ndef root(): return numpy\n", "imports numpy"),
        ("from sparring.networks import layers\ndef root(): return layers\n", "imports a whole module as 'layers'"),
        ("import sparring.errors as e\ndef root(): return e\n", "imports a whole module as 'e'"),
        ("def make():\n    def root(): return 1\n    return root\nroot = make()\n", "top level"),
    ],
)
def test_what_cannot_be_bundled_is_refused(modules, source, words):
    roots = modules(one=source)
    with pytest.raises(UsageError, match=words):
        bundle(roots, allowed=["torch"])


def test_a_renamed_name_that_a_parameter_hides_is_refused(modules):
    roots = modules(
        one="def _help(): return 1\ndef root(): return _help()\n",
        two="def _help(): return 2\ndef root(): return (lambda _help: _help)(_help)\n",
    )
    with pytest.raises(UsageError, match="hides a name"):
        bundle(roots, allowed=[])


def test_no_source_no_bundle(modules, monkeypatch):
    roots = modules(one="def root(): return 1\n")
    monkeypatch.delitem(sys.modules, "one")
    with pytest.raises(UsageError, match="without its source"):
        bundle(roots, allowed=[])
