"""What SKILL.md says, and the fault that is found where it is not so."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stage import ROOT, Call, Stage

PLAN_FILE = ".orchestrator/plan.yaml"


class Fault(Exception):
    """Something is not as SKILL.md says; the message says what."""


def expect(so: object, what: str) -> None:
    """Raise `Fault` unless it is so."""
    if not so:
        raise Fault(what)


def page() -> str:
    """SKILL.md without its front matter."""
    return (ROOT / "SKILL.md").read_text(encoding="utf-8").split("---\n", 2)[2].strip()


def description() -> str:
    """What SKILL.md's front matter says that the skill is for."""
    found = re.search(r"^description: (.+)$", (ROOT / "SKILL.md").read_text(encoding="utf-8"), re.M)
    if found is None:
        raise Fault("SKILL.md has no description")
    return found[1]


def sample_plan() -> str:
    """The plan that SKILL.md shows."""
    found = re.search(r"^```yaml\n(.*?)^```$", page(), re.M | re.S)
    if found is None:
        raise Fault("SKILL.md shows no plan")
    return found[1]


def expect_statuses(there: Stage, wanted: Sequence[int | tuple[int, ...]]) -> None:
    found = there.calls()
    told = [
        f"`{_asked(call)}` ended with {call.status}, not {allowed}: {call.output[:300]}"
        for call, allowed in zip(found, wanted, strict=False)
        if call.status not in (allowed if isinstance(allowed, tuple) else (allowed,))
    ]
    expect(not told, "; ".join(told))
    expect(len(found) == len(wanted), f"{len(found)} of {len(wanted)} steps were done")


def _asked(call: Call) -> str:
    return str(call.input.get("command") or f"{call.tool} {call.input.get('file_path', '')}")
