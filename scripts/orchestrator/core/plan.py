"""Plan, Task and Limits: what `plan.yaml` says, with every default filled in.

The same form stands in the file and in the journal: durations stay the text that a person wrote
(`30m`) and are turned into seconds where they are used.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args

from msgspec import Meta, Struct
from msgspec.structs import replace

# In Python a `$` alone would let a line break at the end pass.
ID_PATTERN = r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$(?!\n)"
DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$(?!\n)"
UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

WORKER_TYPES = (
    "general",
    "code-analyzer",
    "system-architect",
    "code-developer",
    "test-engineer",
    "documentation-writer",
    "performance-optimizer",
)

# What execve takes as one argument or environment string on Linux (MAX_ARG_STRLEN, 32 pages).
LONGEST_VARIABLE = 131_072 - 1

TaskId = Annotated[str, Meta(pattern=ID_PATTERN)]
Duration = Annotated[
    str, Meta(pattern=DURATION_PATTERN, description="a number and ms, s, m, h or d; sums: 1h30m")
]
Money = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Names = tuple[str, ...]
Priority = Literal["P0", "P1", "P2", "P3"]
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
Cli = Literal["claude", "shell", "session"]
Mode = Literal["default", "acceptEdits", "plan", "dontAsk", "auto", "bypassPermissions"]


class Task(Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """One atomic unit of a plan; the fields of design and documents, defaults included."""

    id: TaskId
    title: str = ""
    description: str = ""
    worker: str = "general"
    needs: Names = ()
    after: Names = ()
    inputs: dict[str, str] = {}
    expected_output: str = ""
    constraints: Names = ()
    steps: Names = ()
    priority: Priority = "P2"
    cli: Cli = "claude"
    run: str = ""
    model: str | None = None
    fallback_model: str | None = None
    tools: Names | None = None
    allow: Names = ()
    permission_mode: Mode | None = None
    timeout: Duration = "30m"
    idle_timeout: Duration | None = "15m"
    attempts: Count = 3
    on_failure: Literal["skip", "stop", "escalate"] = "skip"
    budget_usd: Money | None = None
    max_turns: Count | None = None
    setting_sources: tuple[Literal["user", "project", "local"], ...] | None = None
    estimate: Duration | None = None
    isolation: Literal["shared"] = "shared"
    writes: Names = ()
    artifacts: Names = ()
    verify: Names = ()
    output_schema: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """The title, or the id where there is none."""
        return self.title or self.id

    @property
    def declares_work(self) -> bool:
        """Whether something outside the answer is meant to come of this task."""
        return bool(self.artifacts or self.verify or self.writes)


class Limits(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """The bounds of a run."""

    parallelism: Count = 4
    budget_usd: Money | None = None
    deadline: Duration | None = None
    max_tasks: Count = 50
    max_rounds: Count = 10
    max_depth: Count = 4
    max_growth: Count = 10


class Plan(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Tasks and their dependencies; immutable, a revision makes the next one.

    `defaults` of the file are already part of each task here.
    """

    request: str
    tasks: tuple[Task, ...]
    success_criteria: Names = ()
    limits: Limits = Limits()
    replan: Literal["off", "ask", "auto"] = "off"
    verify: Names = ()


def only(plan: Plan, tasks: Sequence[Task]) -> Plan:
    """The plan with some of its tasks alone, which then wait for nothing else."""
    names = {task.id for task in tasks}
    return replace(plan, tasks=tuple(_among(names, task) for task in tasks))


def _among(names: set[str], task: Task) -> Task:
    if names.issuperset(task.needs) and names.issuperset(task.after):
        return task
    return replace(
        task,
        needs=tuple(name for name in task.needs if name in names),
        after=tuple(name for name in task.after if name in names),
    )


class TaskOutline(Struct, frozen=True, gc=False, kw_only=True):
    """As much of a task as its status depends on; a journal of 100,000 tasks is read with half the memory."""

    id: str
    title: str = ""
    worker: str = "general"
    needs: Names = ()
    after: Names = ()
    cli: Cli = "claude"
    timeout: str = "30m"
    attempts: int = 3
    on_failure: str = "skip"

    @property
    def name(self) -> str:
        """The title, or the id where there is none."""
        return self.title or self.id


class PlanOutline(Struct, frozen=True, kw_only=True):
    """As much of a plan as the status of its tasks depends on."""

    request: str
    tasks: tuple[TaskOutline, ...]
    limits: Limits = Limits()
    replan: str = "off"
    verify: Names = ()


@lru_cache(maxsize=4096)
def seconds(duration: str) -> float:
    """`1h30m` as 5400.0.

    Raises:
        ValueError: the text is not a duration.
    """
    if not re.fullmatch(DURATION_PATTERN, duration):
        raise ValueError(f"{duration!r} is not a duration such as 30m or 1h30m")
    parts = re.findall(r"([0-9.]+)(ms|s|m|h|d)", duration)
    return sum(float(number) * UNIT_SECONDS[unit] for number, unit in parts)


def variable_name(text: str) -> str:
    """`text` as the end of an environment variable's name: `_` for each character that no shell allows."""
    return re.sub(r"[^A-Za-z0-9_]", "_", text)
