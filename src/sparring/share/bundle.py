"""The source of a few functions and classes as one stand-alone text: all that they reach, and nothing else.

Top-level definitions are followed by name, from module to module; imports of bundled modules disappear, imports of the
standard library and of the allowed packages are gathered at the top. The text is that of the modules, comments and
docstrings included; a name is changed only where two modules use it for different things.
"""

from __future__ import annotations

import ast
import builtins
import graphlib
import inspect
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

from sparring.errors import UsageError

__all__ = ["Bundle", "bundle"]


@dataclass(frozen=True)
class Bundle:
    """A stand-alone text in two parts, and what the roots are called in it."""

    imports: str
    body: str
    names: tuple[str, ...]


def bundle(roots: Sequence[Callable[..., Any]], *, allowed: Sequence[str]) -> Bundle:
    """The source of functions and classes and of everything they reach in `sparring` and in their own modules.

    `allowed` are the packages that the text may import besides the standard library. The first root's module opens
    the text. Raises UsageError where something else would be needed, or where there is no source.

    >>> from sparring.chance import latents
    >>> text = bundle([latents], allowed=["torch"])
    >>> "def seed_of(" in text.body, "def permutation(" in text.body, text.imports.splitlines()[-1]
    (True, False, 'from torch import Tensor')
    """
    collector = _Collector({root.__module__ for root in roots}, allowed)
    names = tuple(collector.reach(root.__module__, root.__qualname__) for root in roots)
    return Bundle(collector.imports(), collector.body(first=roots[0].__module__), names)


@final
class _Collector:
    """What was reached so far: members of bundled modules, and names imported from elsewhere."""

    def __init__(self, homes: set[str], allowed: Sequence[str]) -> None:
        self._homes, self._packages = homes, allowed
        self._sources: dict[str, _Source] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._needs: dict[str, dict[str, None]] = {}  # modules by module; a dict, because its order is fixed

    def reach(self, module: str, name: str) -> str:
        """Take in a top-level name of a bundled module with all it needs; give its name in the text."""
        source = self._source(module)
        if name in source.imports:
            return self._import(module, *source.imports[name], wanted=name)
        if name not in source.definitions:
            raise UsageError(f"{module}.{name} cannot be bundled; define it at the top level of its file")
        key = (module, name)
        if key not in self._names:
            self._names[key] = self._free(module, name)
            for used in source.uses(name):
                self.reach(module, used)
        return self._names[key]

    def imports(self) -> str:
        """The import lines, sorted: the standard library first."""
        plain: list[str] = []
        members: dict[str, list[str]] = {}
        for (module, member), name in self._names.items():
            if module in self._sources:
                continue
            if member:
                members.setdefault(module, []).append(member if name == member else f"{member} as {name}")
            else:
                plain.append(f"import {module}" if name == module else f"import {module} as {name}")
        lines = sorted(plain)
        lines += [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(members.items())]
        standard = [line for line in lines if line.split()[1].split(".")[0] in sys.stdlib_module_names]
        others = [line for line in lines if line not in standard]
        return "\n".join(["from __future__ import annotations", "", *standard, "", *others])

    def body(self, *, first: str) -> str:
        """The definitions, module by module: what a definition needs at once stands above it.

        The `first` module may stand before what it needs, because functions look their names up when they run.
        """
        order = [first, *(m for m in graphlib.TopologicalSorter(self._needs).static_order() if m != first)]
        return "\n\n\n".join(self._section(module) for module in order)

    def _section(self, module: str) -> str:
        source = self._sources[module]
        reached = {node: name for name, node in source.definitions.items() if (module, name) in self._names}
        texts = []
        for name in reached.values():  # one name of each statement: `a, b = 1, 2` is written once
            new = {used: self.reach(module, used) for used in [name, *source.uses(name)]}
            texts.append(source.text(name, {old: now for old, now in new.items() if old != now}))
        title = f"# ---- {module} "
        return title.ljust(120, "-") + "\n\n" + "\n\n\n".join(texts)

    def _source(self, module: str) -> _Source:
        if module not in self._sources:
            self._sources[module] = _Source(module)
            self._needs[module] = {}
        return self._sources[module]

    def _import(self, importer: str, module: str, member: str, *, wanted: str) -> str:
        """A name that a module imports: followed into bundled modules, otherwise kept as an import."""
        if module in self._homes or module.split(".")[0] == "sparring":
            if not member or f"{module}.{member}" in sys.modules:
                raise UsageError(f"{importer} imports a whole module as {wanted!r}; import its members, to be bundled")
            if module != importer:
                self._needs[importer][module] = None
            return self.reach(module, member)
        if module.split(".")[0] not in {*self._packages, *sys.stdlib_module_names}:
            raise UsageError(
                f"{importer} imports {module}, but a stand-alone script has only the standard library and "
                f"{' and '.join(self._packages)}; write that part without it"
            )
        key = (module, member)
        if key not in self._names:
            self._names[key] = self._free(module, wanted)
        return self._names[key]

    def _free(self, module: str, name: str) -> str:
        """The name itself, or one made with the module's name where it is taken."""
        taken = {*self._names.values(), *dir(builtins)}
        candidate = name
        while candidate in taken:
            candidate = f"{'_' * name.startswith('_')}{module.rpartition('.')[2]}_{candidate.lstrip('_')}"
        return candidate


@final
class _Source:
    """A module's text: its top-level definitions, and where its imported names come from (module, member or '')."""

    def __init__(self, module: str) -> None:
        try:
            text = inspect.getsource(sys.modules[module])
        except (KeyError, OSError, TypeError) as error:
            raise UsageError(f"{module} cannot be bundled without its source; install it as files") from error
        self._module, self._lines = module, text.splitlines()
        self.definitions: dict[str, ast.stmt] = {}
        self.imports: dict[str, tuple[str, str]] = {}
        self._notes: dict[ast.stmt, ast.stmt] = {}  # the docstring below an assignment
        body = ast.parse(text).body
        for statement, following in zip(body, [*body[1:], None], strict=True):
            self._read(statement)
            if isinstance(statement, ast.Assign | ast.AnnAssign) and _is_string(following):
                assert following is not None
                self._notes[statement] = following

    def uses(self, name: str) -> list[str]:
        """The top-level names of this module that a definition mentions, in alphabetical order."""
        known = self.definitions.keys() | self.imports.keys()
        used = {node.id for node in ast.walk(self.definitions[name]) if isinstance(node, ast.Name)}
        return sorted((used & known) - {name})

    def text(self, name: str, renamed: dict[str, str]) -> str:
        """The lines of a definition and of the comment above it, with names changed and without checkers' marks."""
        node = self.definitions[name]
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) - 1
        while first and self._lines[first - 1].startswith("#"):
            first -= 1
        last = self._notes.get(node, node).end_lineno
        assert last is not None
        lines = [line.encode() for line in self._lines]  # the parser counts bytes
        for row, column, old in sorted(self._places(node, renamed), reverse=True):
            line = lines[row]
            lines[row] = line[:column] + renamed[old].encode() + line[column + len(old.encode()) :]
        return "\n".join(re.sub(r"  # (type: ignore|noqa|fmt:).*$", "", line.decode()) for line in lines[first:last])

    def _places(self, node: ast.stmt, renamed: dict[str, str]) -> list[tuple[int, int, str]]:
        """(row, byte column, name) of every mention to change."""
        places = []
        for part in ast.walk(node):
            if isinstance(part, ast.arg) and part.arg in renamed:
                raise UsageError(f"{self._module} cannot be bundled: parameter {part.arg!r} hides a name; rename it")
            if isinstance(part, ast.Name) and part.id in renamed:
                line, name = self._lines[part.lineno - 1].encode(), part.id.encode()
                if line[part.col_offset : part.col_offset + len(name)] != name:  # in f-strings, before Python 3.12
                    raise UsageError(f"{self._module} cannot be bundled: {part.id!r} is in an f-string; move it out")
                places.append((part.lineno - 1, part.col_offset, part.id))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in renamed:
            opening = self._lines[node.lineno - 1]
            places.append((node.lineno - 1, opening.index(node.name, opening.index(" ")), node.name))
        return places

    def _read(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            self.definitions[statement.name] = statement
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                names = (part.id for part in ast.walk(target) if isinstance(part, ast.Name))
                self.definitions |= {name: statement for name in names if name != "__all__"}
        elif isinstance(statement, ast.Import):
            for alias in statement.names:
                name = alias.asname or alias.name.split(".")[0]
                self.imports[name] = (alias.name if alias.asname else name, "")
        elif isinstance(statement, ast.ImportFrom) and statement.module != "__future__":
            if statement.level:
                raise UsageError(f"{self._module} has relative imports; write them in full, to be bundled")
            self.imports |= {a.asname or a.name: (statement.module or "", a.name) for a in statement.names}


def _is_string(statement: ast.stmt | None) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
