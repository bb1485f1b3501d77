"""Names the code that no test imports or names, the most complex first."""

from __future__ import annotations

import sys
from posixpath import basename

from common import Record, place, plural, publish, read_results, table
from tree import is_test


def main() -> None:
    """Prints the files without tests."""
    imports, functions, tests = read_results(sys.argv[1:], "imports", "functions", "tests")
    reached = reached_by_tests(imports, tests["tests"]) | set(tests["named"])
    untested = [
        {"path": path, "complexity": facts["complexity"], "functions": facts["functions"]}
        for path, facts in functions["files"].items()
        if path not in reached and not is_test(path)
    ]
    untested.sort(key=lambda file: (-file["complexity"], file["path"]))
    code = sum(not is_test(path) for path in functions["files"])
    text = [
        "# Code without tests",
        "",
        f"{len(untested):,} of {plural(code, 'file')} with functions: no test imports them (directly, or "
        "through one package), names them, or is named after them. This is read from the source; nothing was "
        "run.",
        "",
        *table(("complexity", "functions", "file"), [_row(file) for file in untested]),
    ]
    publish("untested", text, {"tests": len(tests["tests"]), "files": untested[:1000]})


def reached_by_tests(imports: Record, tests: list[str]) -> set[str]:
    """What the tests import; of a package (`__init__`, `index`) also what that imports."""
    direct = {target for path in tests for target in _targets(imports, path)}
    packages = [path for path in direct if basename(path).startswith(("__init__.", "index."))]
    return direct | {target for path in packages for target in _targets(imports, path)}


def _targets(imports: Record, path: str) -> list[str]:
    return [*imports["early"].get(path, []), *imports["late"].get(path, [])]


def _row(file: Record) -> tuple[int, int, str]:
    return file["complexity"], file["functions"], place(file["path"])


if __name__ == "__main__":
    main()
