"""The source of the package as the guards in tests/project read it: each file parsed once.

A guard is a function that is given a :class:`Source` and gives a :class:`Fault` for whatever breaks its rule;
:func:`check` compares them with what is known and not yet put right.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

PACKAGE = "iotprovision"
ROOT = Path(__file__).parents[2] / PACKAGE


@dataclass(frozen=True, order=True)
class Fault:
    """Something that breaks a rule.

    :param text: as the lists of what is not yet put right have it, so without the number of a line
    :param where: file and line, or what else leads to it
    """

    text: str
    where: str = ""


@dataclass(frozen=True)
class Import:
    """One module that a file imports.

    :param name: the full name; of the module, where what is imported from a package is one
    :param is_deferred: not when the file is imported: inside a function, or for the types only
    """

    name: str
    line: int
    is_deferred: bool


@dataclass(frozen=True)
class Module:
    """One file of the package.

    :param path: below the folder of the package, ``steps/step.py``
    :param name: ``iotprovision.steps.step``; that of the package for an ``__init__.py``
    """

    path: str
    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def room(self) -> str:
        """The first folder below the package, or the module itself where it lies in none."""
        return self.path.split("/", maxsplit=1)[0].removesuffix(".py")

    def fault(self, what: str, node: ast.AST | None = None) -> Fault:
        """Something in this file that breaks a rule."""
        return Fault(f"{self.path} {what}", f"{PACKAGE}/{self.path}:{getattr(node, 'lineno', 1)}")

    @cached_property
    def docstrings(self) -> frozenset[int]:
        """The nodes of strings that are only there to be read, by their numbers."""
        statements = (node.value for node in ast.walk(self.tree) if isinstance(node, ast.Expr))
        return frozenset(id(value) for value in statements if isinstance(value, ast.Constant))

    def strings(self) -> Iterator[ast.Constant]:
        """The string constants of the code, also those in f-strings; no docstrings."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in self.docstrings:
                yield node


class Source:
    """A package and its modules, by their full names."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.modules: dict[str, Module] = {}
        for file in sorted(root.rglob("*.py")):
            path = file.relative_to(root)
            name = ".".join([PACKAGE, *path.with_suffix("").parts]).removesuffix(".__init__")
            self.modules[name] = Module(path.as_posix(), name, file.read_text(encoding="utf-8"))

    def __iter__(self) -> Iterator[Module]:
        return iter(self.modules.values())

    @cached_property
    def imports(self) -> Mapping[Module, list[Import]]:
        """What each file imports, of this package and of others."""
        return {module: list(self._imports_of(module, module.tree, is_deferred=False)) for module in self}

    def inner_imports(self) -> Iterator[tuple[Module, Module, Import]]:
        """Importer and imported, where both are of this package."""
        for module, imports in self.imports.items():
            for found in imports:
                if found.name in self.modules:
                    yield module, self.modules[found.name], found

    def _imports_of(self, module: Module, parent: ast.AST, is_deferred: bool) -> Iterator[Import]:
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.Import):
                yield from (Import(alias.name, node.lineno, is_deferred) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                origin = self._origin(module, node)
                for name in dict.fromkeys(self._module_of(origin, alias.name) for alias in node.names):
                    yield Import(name, node.lineno, is_deferred)
            elif (
                isinstance(node, ast.Call)
                and last_name(node.func) == "import_module"
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                yield Import(str(node.args[0].value), node.lineno, is_deferred=True)
            within = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or _is_for_types(node)
            yield from self._imports_of(module, node, is_deferred or within)

    def _module_of(self, origin: str, name: str) -> str:
        return f"{origin}.{name}" if f"{origin}.{name}" in self.modules else origin

    @staticmethod
    def _origin(module: Module, node: ast.ImportFrom) -> str:
        package = module.name if module.path.endswith("__init__.py") else module.name.rpartition(".")[0]
        above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
        return ".".join([*above, *filter(None, [node.module])])


def last_name(node: ast.expr) -> str:
    """``cloud`` of ``self._job.cloud`` and of ``_cloud``; empty for what has no name."""
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.lstrip("_")


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and last_name(node.test) == "TYPE_CHECKING"


@cache
def package_source() -> Source:
    """The source of the package itself."""
    return Source(ROOT)


def made_up(folder: Path, files: Mapping[str, str]) -> Source:
    """A package for the tests of the guards: texts by paths below it."""
    for path, text in files.items():
        file = folder / PACKAGE / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return Source(folder / PACKAGE)


def loops(graph: Mapping[str, Collection[str]]) -> list[tuple[str, ...]]:
    """For each node that leads back to itself the shortest way; each way once, from its first name on."""
    found = set()
    for start in graph:
        ways = {start: (start,)}
        pending = [start]
        for node in pending:
            for following in sorted(graph.get(node, ())):
                if following == start:
                    way = ways[node]
                    first = way.index(min(way))
                    found.add((*way[first:], *way[: first + 1]))
                    pending.clear()
                    break
                if following not in ways:
                    ways[following] = (*ways[node], following)
                    pending.append(following)
    return sorted(found)


def check(rule: str, faults: Iterable[Fault], not_yet: Collection[str] = ()) -> None:
    """Fail on what breaks a rule, and on what is said to break it and does not.

    :param not_yet: texts of faults that are known; they shall become none
    """
    places: dict[str, list[str]] = defaultdict(list)
    for fault in sorted(set(faults)):
        places[fault.text].append(fault.where)
    new = [f'    "{text}",  # {", ".join(where)}' for text, where in places.items() if text not in not_yet]
    stale = [f'    "{text}",' for text in sorted(set(not_yet) - set(places))]
    lines = [f"The rule: {rule}"]
    lines += ["Against it:", *new] if new else []
    lines += ["No longer against it, to be taken off the list:", *stale] if stale else []
    if new or stale:
        pytest.fail("\n".join(lines), pytrace=False)
