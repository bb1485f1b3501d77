"""Which tests one worker of pytest-xdist takes one after the other: they look at something that is costly to make.

xdist 3.8 tells them by a mark that it adds to their names, and since pytest 9.2 these cannot be added to any more.
"""

from __future__ import annotations

from typing import Any

GROUPS = {
    "tests/edges/test_processes.py": "processes",
    "tests/real/test_real_aggregating.py": "shop",
    "tests/real/test_real_dynamic.py": "shop",
    "tests/test_packaging.py": "packaging",
}
"""The group of a file's tests; all others are on their own."""


def group_of(nodeid: str) -> str:
    """The tests of one group have the same."""
    return GROUPS.get(nodeid.partition("::")[0], nodeid)


def scheduler(config: Any, log: Any) -> object | None:
    """What hands the tests to the workers; None where they are not to be grouped."""
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class ByGroup(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return ByGroup(config, log)
