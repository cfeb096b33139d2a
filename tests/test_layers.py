"""Imports point down only: the house of DESIGN, checked on the syntax tree, lazy imports included."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "sparring"

FLOORS = [
    {"__main__", "cli", "__init__", "studio"},
    {"training", "modes", "comparison", "lab"},
    {"evaluation", "diagnosis", "latent", "share", "report", "trials"},
    {"recipes"},
    {"engine", "games"},
    {"recipe", "recipe_file", "game", "fitting", "binding"},
    {"objectives", "augment", "networks", "data", "metrics", "features"},
    {"schedule", "names", "paths", "tensorfile", "chance", "pictures", "console", "tracking"},
    {"errors"},
]
FLOOR = {unit: floor for floor, units in enumerate(FLOORS) for unit in units}
SIDEWAYS = {
    ("recipe_file", "recipe"), ("recipe", "fitting"), ("game", "fitting"), ("game", "recipe"), ("recipe", "game"),
    ("recipe", "binding"), ("binding", "recipe"), ("binding", "game"), ("__main__", "cli"), ("metrics", "features"),
}  # fmt: skip
FILES = sorted(SOURCE.rglob("*.py"))


def unit_of(path: Path) -> str:
    """The file or folder right under the package that a file belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The units of sparring that a file imports anywhere, type checking included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [
                f"{node.module}.{alias.name}" if node.module == "sparring" else node.module or ""
                for alias in node.names
            ]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("sparring.")}
    return found - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    here = unit_of(path)
    for other in imports(path) - {here}:
        lower = FLOOR[here] < FLOOR[other]
        assert lower or (here, other) in SIDEWAYS, f"{here} may not import {other}"


def test_networks_stand_alone() -> None:
    """An exported generator carries its own source, so networks import torch, each other and the errors."""
    assert {unit for path in (SOURCE / "networks").glob("*.py") for unit in imports(path)} <= {"networks", "errors"}


def test_only_devices_knows_accelerate() -> None:
    knowing = [path.name for path in FILES if "import Accelerator" in path.read_text()]
    assert knowing == ["devices.py"]


def test_only_names_imports_by_name() -> None:
    knowing = [str(path.relative_to(SOURCE)) for path in FILES if "importlib.import_module" in path.read_text()]
    assert knowing == ["__init__.py", "names.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400, f"{path.name} has found a second subject"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert length <= 60, f"{path.name}: {node.name} has {length} lines"
