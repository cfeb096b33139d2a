"""Every snippet of the README, the docs and the notebook runs; every link leads somewhere; the tables are current.

Blocks of one page run in order, in one folder and one Python namespace, as a reader would run them. To keep this short,
budgets become a few hundred images, 64 px become 16, and scores look at fewer images; nothing else is changed.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from sparring.cli import main
from sparring.engine.pace import Pace

ROOT = Path(__file__).parents[1]
WRITTEN_BY_PEOPLE = [page for page in sorted((ROOT / "docs").rglob("*.md")) if "results" not in page.parts]
PAGES = [ROOT / "README.md", *WRITTEN_BY_PEOPLE]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))

FEWER = {
    "sparring.evaluation._MANY": 64,
    "sparring.evaluation._FEW": 64,
    "sparring.training.session._CPU_MINUTES": 0.003,
    "sparring.training.keeper._GRIDS": 4,
}
"""Numbers that only cost time."""

NOT_RUN = re.compile(r"(make|pip|git|python -m (pip|venv)|\. \.venv)\b")
"""What needs a network, or would set up a second machine."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file it is to be saved as (or none), its text, and where it begins."""

    language: str
    title: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```(\S+)([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        title = re.search(r'title="([^"]+)"', found[2])
        yield Block(found[1], title[1] if title else "", found[3], text[: found.start()].count("\n") + 2)


def shorter(text: str) -> str:
    """The same text with small budgets and sizes, in Python or on a command line."""
    text = re.sub(r"--(minutes|images) [\w.]+", "--images 256", text)
    text = re.sub(r"(?m)^(.*--resume.*)--images 256", r"\1--images 320", text)
    text = re.sub(r"\b(minutes|images)=(\"[\d.]+[kM]?\"|[\d.]+)", "images=256", text)
    text = re.sub(r"(?m)^(.*resume=True.*)images=256", r"\1images=320", text)
    text = re.sub(r"--seeds \d+ --jobs \d+", "--seeds 2", re.sub(r" --rounds \d+", "", text))
    text = re.sub(r"(?m)^(sparring modes .*)$", r"\1 --rounds 3", text)
    return re.sub(r"(--size |\bsize=)64\b", r"\g<1>16", text)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with some photographs, where everything takes less time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, value in FEWER.items():
        monkeypatch.setattr(name, value)
    monkeypatch.setattr("sparring.training.session.measure_pace", lambda *_: Pace(1e-3, 1e6))
    for module in ("evaluation", "comparison"):
        monkeypatch.setattr(f"sparring.{module}.best_for", lambda shape: "grey28")
    source = np.random.default_rng(0)
    for folder, count in (("photos", 24), ("more-photos", 24)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            pixels = source.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{number}.png")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_snippet_runs(page: Path, desk: Path) -> None:
    namespace: dict[str, object] = {"__name__": "page"}
    before = set(sys.modules)
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        if block.title:
            (desk / block.title).write_text(block.text)
            importlib.invalidate_caches()
        elif block.language == "python":
            code = "\n" * (block.line - 1) + shorter(block.text)
            exec(compile(code, str(page), "exec"), namespace)
        elif block.language in ("bash", "console"):
            for line in commands(block.text):
                run_line(shorter(line), where)
        else:
            assert block.language in ("text", "json"), f"{where}: what is {block.language}?"
    for name in set(sys.modules) - before:  # a file of one page is not to be found by the next one
        if str(desk) in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]


def commands(text: str) -> list[str]:
    """The command lines of a block, without prompts, comments and what was answered."""
    lines = text.replace("\\\n", " ").splitlines()
    if any(line.startswith("$ ") for line in lines):
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    return [line for line in lines if line.strip() and not line.startswith("#")]


def run_line(line: str, where: str) -> None:
    """One command; `sparring` runs in this process, and must succeed."""
    words = shlex.split(line, comments=True)
    if words[:3] == ["python", "-m", "sparring"]:
        words = words[2:]
    if words[0] == "sparring":
        with pytest.raises(SystemExit) as stopped:
            main(words[1:])
        assert stopped.value.code == 0, f"{where}: {line}"
    elif words[0] == "python" and (ROOT / words[1]).is_file():
        return  # one of our own scripts: benchmarks take long, and the others have their tests
    elif words[0] == "python":
        done = subprocess.run([sys.executable, *words[1:]], check=False, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{where}: {line}\n{done.stderr}"
    else:
        assert NOT_RUN.match(line), f"{where}: the test does not know how to run {line!r}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target}"


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub names them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_on_the_map() -> None:
    linked = re.findall(r"\]\(([^)#]+\.md)", (ROOT / "docs" / "index.md").read_text(encoding="utf-8"))
    missing = {page for page in PAGES[1:] if page.name != "index.md"} - {(ROOT / "docs" / n).resolve() for n in linked}
    assert not missing


def test_the_tables_are_current() -> None:
    path = ROOT / "docs" / "make_tables.py"
    spec = importlib.util.spec_from_file_location("make_tables", path)
    assert spec is not None
    assert spec.loader is not None
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    assert tables.PAGE.read_text(encoding="utf-8") == tables.recipes_page(), "run: python docs/make_tables.py"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_every_notebook_runs(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert all(cell.outputs for cell in notebook.cells if cell.cell_type == "code"), "commit it with its outputs"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = shorter(cell.source)
    homes = sorted({name.rpartition(".")[0] for name in FEWER})
    code = [f"import {home}" for home in homes] + [f"{name} = {value!r}" for name, value in FEWER.items()]
    notebook.cells.insert(0, nbformat.v4.new_code_cell("\n".join(code)))
    with contextlib.chdir(tmp_path):
        NotebookClient(notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": "."}}).execute()
    assert os.listdir(tmp_path)
