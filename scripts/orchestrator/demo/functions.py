"""Measures every function: lines, and branches + 1 (cyclomatic complexity, nearly)."""

from __future__ import annotations

import ast
from dataclasses import asdict, dataclass

import braces
from common import Record, place, plural, publish, shown, table
from syntax import UnparsableError, parse
from tree import File, bytes_of, is_minified, project_files

# McCabe's own bound (1976), and what linters warn about by default.
COMPLEX = 10
LONG = 60

BRANCHES = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler)
LEAVES = (
    ast.Name,
    ast.Constant,
    ast.expr_context,
    ast.operator,
    ast.unaryop,
    ast.cmpop,
    ast.boolop,
    ast.alias,
)
MEASURED = (
    "Measured: `complexity` is 1 + if, elif, for, while, except, conditional expression, comprehension and "
    "its ifs, case (not `case _`) and each further operand of and/or; inner functions count for themselves. "
    "Python is parsed; languages with braces are matched by regular expressions, so their numbers are near, "
    "not exact."
)


@dataclass
class Function:
    """One function: where it stands, its length in lines, its complexity."""

    path: str
    line: int
    name: str
    lines: int
    complexity: int = 1


def main() -> None:
    """Prints the functions of the current folder that are hard to follow."""
    functions, broken = measure(project_files().code)
    hard = sorted(functions, key=lambda each: (-each.complexity, each.path, each.line))
    long = sorted(functions, key=lambda each: (-each.lines, each.path, each.line))
    text = [
        "# Functions",
        "",
        f"{plural(len(functions), 'function')}; "
        f"{sum(each.complexity > COMPLEX for each in functions):,} above complexity {COMPLEX}, "
        f"{sum(each.lines > LONG for each in functions):,} longer than {LONG} lines.",
        "",
        MEASURED,
        "",
        "## The most complex",
        "",
        *table(("complexity", "lines", "function", "where"), [_row(each) for each in hard[:15]]),
        "",
        "## The longest",
        "",
        *table(("complexity", "lines", "function", "where"), [_row(each) for each in long[:15]]),
        "",
        "## Files that do not parse",
        "",
        *table(
            ("where", "what Python says"),
            [(place(each["path"], each["line"]), each["error"]) for each in broken],
        ),
    ]
    publish("functions", text, {"files": by_file(functions), "broken": broken})


def measure(files: list[File]) -> tuple[list[Function], list[Record]]:
    """All functions of the files, and the Python files that do not parse."""
    functions: list[Function] = []
    broken: list[Record] = []
    for file in files:
        data = bytes_of(file)
        if data is None:
            continue
        try:
            functions += functions_of(file, data)
        except UnparsableError as problem:
            broken.append({"path": file.path, "line": problem.line, "error": str(problem)})
    return functions, broken


def functions_of(file: File, data: bytes) -> list[Function]:
    """The functions of one file; raises UnparsableError for Python that is none."""
    if file.language == "Python":
        return python_functions(file.path, data)
    text = data.decode("utf-8", "replace")
    if file.language not in braces.LANGUAGES or is_minified(text):
        return []
    found = braces.functions(text, file.language)
    return [Function(file.path, line, name, lines, count) for name, line, lines, count in found]


def python_functions(path: str, source: bytes) -> list[Function]:
    """The functions and methods of a Python source, inner ones under their dotted name."""
    tree = parse(source)
    functions: list[Function] = []
    pending: list[tuple[ast.AST, Function, str]] = [(tree, Function(path, 1, "", 0), "")]
    while pending:
        node, function, prefix = pending.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (child.end_lineno or child.lineno) - child.lineno + 1
                functions.append(Function(path, child.lineno, prefix + child.name, length))
                pending.append((child, functions[-1], f"{prefix}{child.name}."))
            elif isinstance(child, ast.ClassDef):
                pending.append((child, function, f"{prefix}{child.name}."))
            elif not isinstance(child, LEAVES):
                function.complexity += branches(child)
                pending.append((child, function, prefix))
    return functions


def branches(node: ast.AST) -> int:
    """How many ways through the code this node adds."""
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    if isinstance(node, ast.match_case):
        return 0 if isinstance(node.pattern, ast.MatchAs) and node.pattern.pattern is None else 1
    return int(isinstance(node, BRANCHES))


def by_file(functions: list[Function]) -> Record:
    """For each file: number of functions, sum of complexity, the most complex and the longest function."""
    groups: dict[str, list[Function]] = {}
    for function in functions:
        groups.setdefault(function.path, []).append(function)
    return {
        path: {
            "functions": len(group),
            "complexity": sum(each.complexity for each in group),
            "hardest": _record(max(group, key=lambda each: each.complexity)),
            "longest": _record(max(group, key=lambda each: each.lines)),
        }
        for path, group in groups.items()
    }


def _record(function: Function) -> Record:
    return {key: value for key, value in asdict(function).items() if key != "path"}


def _row(function: Function) -> tuple[int, int, str, str]:
    return function.complexity, function.lines, shown(function.name), place(function.path, function.line)


if __name__ == "__main__":
    main()
