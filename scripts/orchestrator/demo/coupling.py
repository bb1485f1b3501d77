"""Finds import cycles, hubs and modules that nobody imports in the import graph."""

from __future__ import annotations

import sys
from collections import Counter, deque
from pathlib import PurePosixPath

from common import place, plural, publish, read_results, table
from tree import is_test

Edges = dict[str, list[str]]
STARTED_BY_NAME = frozenset(
    {"__init__.py", "__main__.py", "conftest.py", "setup.py", "noxfile.py", "manage.py", "conf.py"}
)


def main() -> None:
    """Prints what the import graph says about the structure."""
    (imports,) = read_results(sys.argv[1:], "imports")
    early: Edges = imports["early"]
    edges = {(a, b) for kind in (early, imports["late"]) for a, targets in kind.items() for b in targets}
    importers, imported = Counter(b for _, b in edges), Counter(a for a, _ in edges)
    knots = [sorted(knot) for knot in cycles(early)]
    knots.sort(key=lambda knot: (-len(knot), knot))
    hubs = sorted(importers, key=lambda path: (-importers[path], path))
    lonely = unimported(imports["python"], importers, imports["entries"])
    text = [
        "# Coupling",
        "",
        f"{plural(len(knots), 'import cycle')} (imports that run at load time), "
        f"{plural(len(lonely), 'Python module')} that nothing here imports.",
        "",
        "## Import cycles",
        "",
        *table(("files", "shortest way around"), [(len(knot), _around(knot, early)) for knot in knots]),
        "",
        "## Hubs",
        "",
        "A change in one of these reaches many files.",
        "",
        *table(("importers", "imports", "file"), [(importers[p], imported[p], place(p)) for p in hubs[:15]]),
        "",
        "## Python modules that nothing imports",
        "",
        "No tests, no scripts: dead, or loaded by name.",
        "",
        *table(("file",), [(place(path),) for path in lonely]),
    ]
    publish("coupling", text, {"cycles": knots, "importers": dict(importers.most_common())})


def cycles(edges: Edges) -> list[set[str]]:
    """The strongly connected components of more than one file (Kosaraju's two passes, without recursion)."""
    backwards: Edges = {}
    for path, targets in edges.items():
        for target in targets:
            backwards.setdefault(target, []).append(path)
    seen: set[str] = set()
    components = []
    for path in reversed(finishing_order(edges)):
        if path not in seen:
            component = {path}
            pending = [path]
            seen.add(path)
            while pending:
                new = [each for each in backwards.get(pending.pop(), []) if each not in seen]
                seen.update(new)
                component.update(new)
                pending += new
            components.append(component)
    return [component for component in components if len(component) > 1]


def finishing_order(edges: Edges) -> list[str]:
    """All files, each after everything that is reached from it first."""
    order: list[str] = []
    seen: set[str] = set()
    for root in edges:
        pending = [(root, False)]
        while pending:
            path, finished = pending.pop()
            if finished:
                order.append(path)
            elif path not in seen:
                seen.add(path)
                pending.append((path, True))
                pending += [(target, False) for target in edges.get(path, [])]
    return order


def shortest_cycle(start: str, edges: Edges) -> list[str]:
    """The shortest way from a file through its imports back to itself, both ends named."""
    before: dict[str, str] = {}
    queue = deque([start])
    while queue:
        path = queue.popleft()
        for target in edges.get(path, []):
            if target == start:
                way = [start, path]
                while way[-1] != start:
                    way.append(before[way[-1]])
                return way[::-1]
            if target not in before:
                before[target] = path
                queue.append(target)
    return []


def unimported(python: list[str], importers: Counter[str], entries: list[str]) -> list[str]:
    """Python modules without an importer that are neither tests nor started as programs."""
    started = set(entries)
    return [
        path
        for path in python
        if path not in importers
        and path not in started
        and PurePosixPath(path).name not in STARTED_BY_NAME
        and not is_test(path)
    ]


def _around(knot: list[str], edges: Edges) -> str:
    way = min((shortest_cycle(path, edges) for path in knot[:50]), key=len)
    return " -> ".join(place(path) for path in way[:8]) + (" -> ..." if len(way) > 8 else "")


if __name__ == "__main__":
    main()
