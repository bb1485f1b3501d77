"""What `plan` shows, as typed."""

from __future__ import annotations

import pytest
from project import Project, claude

pytestmark = pytest.mark.real


def test_workers_that_may_use_the_same_are_told_in_one_line(project: Project) -> None:
    project.plan(
        *(claude(f"T-{n}", "answer", verify=["make all", f"make {n}"]) for n in range(8)),
        claude("R", "answer", worker="code-analyzer"),
    )
    shown = project.do("plan", "plan.yaml").out.splitlines()
    assert [line for line in shown if line.startswith("tools of ") or " also: " in line] == [
        "tools of T-0, T-1, T-2, T-3, T-4, T-5, T-6, T-7: Read, Grep, Glob, Edit, Write, Bash(make all) "
        "(general, answer, acceptEdits)",
        *(f"    T-{n} also: Bash(make {n})" for n in range(5)),
        "    3 more tasks also: what their own `allow` and `verify` name",
        "tools of R: Read, Grep, Glob (code-analyzer, answer, dontAsk)",
    ]
