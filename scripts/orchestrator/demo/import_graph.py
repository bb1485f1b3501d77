"""Draws the import graph: which file of this folder imports which other one."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from posixpath import dirname, join, normpath

from common import place, plural, publish, table
from syntax import UnparsableError, parse
from tree import File, bytes_of, is_minified, project_files, text_of

SCRIPT_LANGUAGES = frozenset({"JavaScript", "TypeScript", "Vue", "Svelte"})
SCRIPT_IMPORT = re.compile(
    r"""
    ^[ \t]*(?:import|export)\b(?P<types>\s+type\b)?[^'"`;()]{0,2000}?\bfrom\s*["'](?P<whole>[^"'\n]+)["']
    |^[ \t]*import\s*["'](?P<bare>[^"'\n]+)["']
    |\b(?:require|import)\s*\(\s*["'](?P<call>[^"'\n]+)["']\s*\)
    """,
    re.MULTILINE | re.VERBOSE,
)
SCRIPT_ENDINGS = (
    "",
    ".ts",
    ".tsx",
    ".js",
    ".jsx",
    ".mjs",
    ".cjs",
    ".mts",
    ".cts",
    ".d.ts",
    ".vue",
    ".svelte",
)
SCRIPT_FILES = (*SCRIPT_ENDINGS, *(f"/index{ending}" for ending in SCRIPT_ENDINGS[1:]))


@dataclass(frozen=True)
class Import:
    """A name as written (`a.b`, `..a`, `./a`); `late` ones do not run when the file is loaded."""

    name: str
    late: bool = False
    member: str = ""


@dataclass
class Graph:
    """Paths to paths: imports that run at load time, the others, and the packages from outside."""

    early: dict[str, list[str]] = field(default_factory=dict)
    late: dict[str, list[str]] = field(default_factory=dict)
    outside: Counter[str] = field(default_factory=Counter)
    entries: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def edges(self) -> set[tuple[str, str]]:
        """All pairs of importer and imported."""
        return {(a, b) for kind in (self.early, self.late) for a, targets in kind.items() for b in targets}


def main() -> None:
    """Prints the import graph of the current folder."""
    graph, python = draw(project_files().code)
    data = {"early": graph.early, "late": graph.late, "entries": graph.entries, "python": python}
    publish("imports", describe(graph), data)


def draw(files: list[File]) -> tuple[Graph, list[str]]:
    """The graph, and the paths of all Python files."""
    graph, paths = Graph(), {file.path for file in files}
    python = PythonFiles([file.path for file in files if file.language == "Python"])
    for file in files:
        if file.language == "Python":
            read_python(file.path, bytes_of(file), python, graph)
        elif file.language in SCRIPT_LANGUAGES:
            read_script(file.path, text_of(file), paths, graph)
    return graph, sorted(python.paths)


def describe(graph: Graph) -> list[str]:
    """The graph for people."""
    edges = graph.edges()
    importers, imports = Counter(target for _, target in edges), Counter(path for path, _ in edges)
    unread = [f"{plural(len(graph.unread), 'file')} could not be read or parsed."] if graph.unread else []
    return [
        "# Import graph",
        "",
        f"{plural(len(edges), 'import')} between files of this folder, from {plural(len(imports), 'file')}. "
        "Python is parsed; JavaScript and TypeScript are matched by regular expressions (relative imports).",
        *unread,
        "",
        "## Most imported files",
        "",
        *table(("importers", "file"), _ranked(importers)),
        "",
        "## Files that import most",
        "",
        *table(("imports", "file"), _ranked(imports)),
        "",
        "## Packages from outside",
        "",
        *table(("files", "package"), _ranked(graph.outside)),
    ]


class PythonFiles:
    """Finds the file behind a module's name, as Python would from the importer's place."""

    def __init__(self, paths: list[str]) -> None:
        self.paths = set(paths)
        self.packages = {dirname(path) for path in paths if path.endswith("/__init__.py")}
        self.by_name: dict[str, list[str]] = {}
        for path in sorted(paths):
            root = self.root_of(path)
            name = path[len(root) :].strip("/").removesuffix(".py").removesuffix("/__init__")
            self.by_name.setdefault(name.replace("/", "."), []).append(path)

    def root_of(self, path: str) -> str:
        """The nearest folder above `path` that is not a package."""
        folder = dirname(path)
        while folder in self.packages:
            folder = dirname(folder)
        return folder

    def find(self, importer: str, name: str) -> str | None:
        """The file that `importer` gets for an absolute module name; None for one from outside."""
        folder = self.root_of(importer)
        while True:
            found = self.at(join(folder, *name.split(".")))
            if found or not folder:
                break
            folder = dirname(folder)
        if found or name.partition(".")[0] in sys.stdlib_module_names:
            return found
        candidates = self.by_name.get(name, [])
        return candidates[0] if len(candidates) == 1 else None

    def at(self, stem: str) -> str | None:
        """The module or package at a path without its ending."""
        return next((path for path in (f"{stem}.py", f"{stem}/__init__.py") if path in self.paths), None)

    def resolve(self, importer: str, wanted: Import) -> str | None:
        """The file behind an import, `from a import b` being `a/b.py` before `a`."""
        level = len(wanted.name) - len(wanted.name.lstrip("."))
        if not level:
            member = f"{wanted.name}.{wanted.member}"
            return (wanted.member and self.find(importer, member)) or self.find(importer, wanted.name)
        folder = dirname(importer)
        for _ in range(level - 1):
            folder = dirname(folder)
        stem = join(folder, *filter(None, wanted.name[level:].split(".")))
        return (wanted.member and self.at(join(stem, wanted.member))) or self.at(stem)


def read_python(path: str, source: bytes | None, files: PythonFiles, graph: Graph) -> None:
    """Adds the imports of one Python file to the graph."""
    try:
        tree = parse(source or b"")
    except UnparsableError:
        graph.unread.append(path)
        return
    outside = set()
    for wanted in python_imports(tree):
        target = files.resolve(path, wanted)
        top = wanted.name.partition(".")[0]
        if target:
            _add(graph, path, target, wanted.late)
        elif top and top not in sys.stdlib_module_names:
            outside.add(top)
    graph.outside.update(outside)
    if source and (b"__main__" in source or source.startswith(b"#!")):
        graph.entries.append(path)


def python_imports(tree: ast.Module) -> Iterator[Import]:
    """Yields all imports; those in functions and under `if TYPE_CHECKING` are late."""
    pending: list[tuple[ast.AST, bool]] = [(tree, False)]
    while pending:
        node, late = pending.pop()
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            yield from (Import(start, late, alias.name) for alias in node.names)
        elif isinstance(node, ast.stmt | ast.Module | ast.ExceptHandler | ast.match_case):
            late = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            late = late or (isinstance(node, ast.If) and _is_type_checking(node.test))
            pending += [
                (child, late) for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)
            ]


def read_script(path: str, text: str | None, paths: set[str], graph: Graph) -> None:
    """Adds the imports of one JavaScript or TypeScript file to the graph."""
    if text is None or is_minified(text):
        graph.unread.append(path)
        return
    outside = set()
    for name, late in script_imports(text):
        if name.startswith("."):
            target = find_script(path, name, paths)
            if target:
                _add(graph, path, target, late)
        elif not name.startswith(("/", "@/", "~", "#")):
            outside.add("/".join(name.split("/")[: 2 if name.startswith("@") else 1]))
    graph.outside.update(outside)
    if text.startswith("#!"):
        graph.entries.append(path)


def script_imports(text: str) -> Iterator[tuple[str, bool]]:
    """Yields the name and whether the import is late: types only, or a call."""
    for match in SCRIPT_IMPORT.finditer(text):
        late = bool(match["types"]) or match[0].startswith("import(")
        yield match["whole"] or match["bare"] or match["call"], late


def find_script(importer: str, name: str, paths: set[str]) -> str | None:
    """The file behind a relative import; `./a.js` may be written `a.ts`."""
    stem = normpath(join(dirname(importer), name))
    stems = (stem, re.sub(r"\.[mc]?js$", "", stem))
    return next((each + ending for each in stems for ending in SCRIPT_FILES if each + ending in paths), None)


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _add(graph: Graph, importer: str, target: str, late: bool) -> None:
    targets = (graph.late if late else graph.early).setdefault(importer, [])
    if target != importer and target not in targets:
        targets.append(target)


def _ranked(counts: Counter[str]) -> list[tuple[int, str]]:
    return [
        (count, place(name)) for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


if __name__ == "__main__":
    main()
