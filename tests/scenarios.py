"""What the real claude program is made to meet: a scripted API, a plan, and what must come of it, by name.

The tests in `real/` play all of them; `realclaude.py --scenario NAME` plays one by hand.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Literal

from api_answers import (
    Answer,
    cut_short,
    dropped,
    empty,
    error,
    refusal,
    stalled,
    stream_error,
    text,
    tool,
    window,
)
from api_requests import Request, Script
from msgspec import Struct

DONE = text("All of it is done.")
RESETS_IN = 6.0
"""Seconds until the usage limit of the scenarios resets: short for a test, longer than a worker's start."""

STORM, SERVED_AT_ONCE = 20, 4
NUMBER_SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


class Scenario(Struct, frozen=True, kw_only=True):
    """One of them.

    `tasks` and `plan` (its other keys) make the plan, `options` are those of `run`; `script` makes the API's script
    anew for each play. What must come: the status that `run` `exits` with, the `statuses` of the tasks, and the
    `outcomes` of the attempts of the first one. `oldest`: worth playing with the oldest supported version too.
    """

    shows: str
    script: Callable[[], Script]
    tasks: tuple[dict[str, Any], ...]
    exits: int
    statuses: dict[str, str]
    outcomes: tuple[str, ...]
    plan: dict[str, Any] = {}
    options: tuple[str, ...] = ()
    login: Literal["key", "token", "none"] = "key"
    environment: dict[str, str] = {}
    most_at_once: int | None = None
    retry_after: float | None = None
    oldest: bool = False

    @property
    def expects(self) -> str:
        """What it shows and what must come of it, for a person."""
        statuses = ", ".join(f"{name} {status}" for name, status in list(self.statuses.items())[:3])
        rest = f" and {len(self.statuses) - 3} more" if len(self.statuses) > 3 else ""
        return f"{self.shows}: exit {self.exits}; {statuses}{rest} ({', '.join(self.outcomes)})"


def task(name: str = "T-01", **more: Any) -> dict[str, Any]:
    """A task for the claude program that has one attempt."""
    return {
        "id": name,
        "title": f"work on {name}",
        "description": f"Do the work of {name}.",
        "attempts": 1,
        **more,
    }


def one(
    shows: str,
    script: Callable[[], Script],
    status: str,
    *outcomes: str,
    exits: int,
    oldest: bool = False,
    login: Literal["key", "token", "none"] = "key",
    **of_task: Any,
) -> Scenario:
    """A scenario of one task."""
    return Scenario(
        shows=shows, script=script, tasks=(task(**of_task),), exits=exits, statuses={"T-01": status},
        outcomes=outcomes, oldest=oldest, login=login,
    )  # fmt: skip


def always(answer: Answer) -> Callable[[], Script]:
    """The same for every request."""
    return lambda: answer


def in_turn(*answers: Answer) -> Callable[[], Script]:
    """One after the other, whatever the session; the last one again and again."""

    def script() -> Script:
        return lambda request: answers[min(request.number, len(answers)) - 1]

    return script


def limited_for(seconds: float) -> Callable[[], Script]:
    """A subscription at its usage limit, until `seconds` after the first request."""

    def script() -> Script:
        resets: list[int] = []

        def answer(request: Request) -> Answer:
            if not resets:
                resets.append(math.ceil(request.time + seconds))
            if time.time() < resets[0]:
                return error(429, "limit", headers=window("rejected", resets=resets[0]))
            return DONE.but(headers=window("allowed", resets=resets[0] + 18_000, used=0.01))

        return answer

    return script


def _nearly_limited() -> Script:
    return DONE.but(headers=window("allowed_warning", resets=time.time() + 3600, used=0.92))


FAILED_BY_STATUS = {
    f"http-{status}": one(
        f"every request is answered {status}",
        always(error(status, "as the script says")),
        "failed", "error", exits=1, oldest=status == 500,
    )
    for status in (400, 403, 404, 413, 500)
}  # fmt: skip

SUCCEEDING = {
    "success": one("a worker answers", always(DONE), "completed", "success", exits=0, oldest=True),
    "tools": one(
        "a worker writes a file, and it is there",
        in_turn(tool("Write", file_path="out.txt", content="words"), DONE),
        "completed", "success", exits=0, oldest=True, artifacts=["out.txt"],
    ),
    "schema": one(
        "a worker gives the structured output that was asked for",
        always(tool("StructuredOutput", n=3)),
        "completed", "success", exits=0, oldest=True, output_schema=NUMBER_SCHEMA,
    ),
    "two-tasks": Scenario(
        shows="a task waits for what it needs",
        script=always(DONE),
        tasks=(task(), task("T-02", needs=["T-01"])),
        exits=0, statuses={"T-01": "completed", "T-02": "completed"}, outcomes=("success",),
    ),
}  # fmt: skip

FAILING = {
    **FAILED_BY_STATUS,
    "refusal": one("the model refuses", always(refusal()), "failed", "error", exits=1, oldest=True),
    "max-tokens": one("every answer is cut short", always(cut_short()), "failed", "error", exits=1),
    "empty": one("the model says nothing", always(empty()), "failed", "empty", exits=1, oldest=True),
    "dropped": one("every connection is cut", always(dropped()), "failed", "error", exits=1),
    "idle": one(
        "an answer begins and never goes on", always(stalled()), "failed", "stalled", exits=1, idle_timeout="2s"
    ),
    "timeout": one(
        "a worker takes longer than it may", always(stalled()), "failed", "timeout", exits=1, timeout="2s"
    ),
    "max-turns": one(
        "a worker takes more turns than it may",
        always(tool("Read", file_path="notes.txt")),
        "failed", "ceiling", exits=1, max_turns=2, oldest=True,
    ),
    "max-budget": one(
        "one answer costs more than the task may", always(DONE),
        "failed", "ceiling", exits=1, budget_usd=0.001, oldest=True,
    ),
    "schema-invalid": one(
        "the structured output never matches",
        always(tool("StructuredOutput", n="three")),
        "failed", "invalid output", exits=1, output_schema=NUMBER_SCHEMA, oldest=True,
    ),
    "schema-absent": one(
        "the model never gives the structured output",
        always(text('{"n": 3}')),
        "failed", "invalid output", exits=1, output_schema=NUMBER_SCHEMA, oldest=True,
    ),
    "artifact-missing": one(
        "a worker says done, and the file is not there", always(DONE),
        "failed", "unverified", exits=1, artifacts=["out.txt"], oldest=True,
    ),
    "verify-fails": one(
        "a worker says done, and the check says no",
        in_turn(tool("Write", file_path="out.txt", content="wrong"), DONE),
        "failed", "unverified", exits=1, verify=["grep right out.txt"],
    ),
    "nothing-done": one(
        "a worker that was to write says done without one tool call", always(DONE),
        "failed", "unverified", exits=1, writes=["out.txt"],
    ),
    "denied": one(
        "a worker is denied the tool that it wanted",
        in_turn(tool("Bash", command="touch /nowhere"), text("I was not allowed to.")),
        "blocked", "denied", exits=3, tools=["Bash(ls *)"], oldest=True,
    ),
}  # fmt: skip

RECOVERING = {
    "rate-limited": one(
        "three requests are answered 429: waited for, no attempt is used up",
        in_turn(*[error(429, "slow down")] * 3, DONE),
        "completed", "rate limited", "success", exits=0, oldest=True,
    ),
    "overloaded": one(
        "three requests are answered 529: waited for, no attempt is used up",
        in_turn(*[error(529, "Overloaded")] * 3, DONE),
        "completed", "overloaded", "success", exits=0, oldest=True,
    ),
    "hiccup": one(
        "the program itself gets over two errors",
        in_turn(error(500, "hiccup"), error(529, "Overloaded"), DONE),
        "completed", "success", exits=0,
    ),
    "broken-stream": one(
        "a stream breaks, and the program asks again without one",
        in_turn(stream_error(), dropped(), DONE),
        "completed", "success", exits=0,
    ),
    "feedback": one(
        "a worker is told what was missing and continues its session",
        in_turn(DONE, tool("Write", file_path="out.txt", content="right"), DONE),
        "completed", "unverified", "success", exits=0, attempts=2, artifacts=["out.txt"], oldest=True,
    ),
    "usage-limit": Scenario(
        shows="a subscription is at its usage limit: all launches park until it resets",
        script=limited_for(RESETS_IN),
        tasks=tuple(task(f"T-{number:02}") for number in range(1, 4)),
        exits=0, statuses={f"T-{number:02}": "completed" for number in range(1, 4)},
        outcomes=("usage limited", "success"), login="token", oldest=True,
    ),
    "usage-warning": one(
        "a subscription nears its usage limit", lambda: _nearly_limited(),
        "completed", "success", exits=0, login="token", oldest=True,
    ),
    "storm": Scenario(
        shows=f"{STORM} tasks at an API that serves {SERVED_AT_ONCE} at once and answers 429 to the others",
        script=always(DONE.but(delay=0.3)),
        tasks=tuple(task(f"T-{number:02}") for number in range(1, STORM + 1)),
        plan={"limits": {"parallelism": 8}}, most_at_once=SERVED_AT_ONCE,
        exits=0, statuses={f"T-{number:02}": "completed" for number in range(1, STORM + 1)}, outcomes=("success",),
    ),
}  # fmt: skip

HALTING = {
    "http-401": Scenario(
        shows="the key is refused: nothing more is launched",
        script=always(error(401, "invalid x-api-key")),
        tasks=tuple(task(f"T-{number:02}") for number in range(1, 6)),
        plan={"limits": {"parallelism": 2}},
        exits=5, statuses={f"T-{number:02}": "pending" for number in range(3, 6)},
        outcomes=("authentication",), oldest=True,
    ),
    "not-logged-in": one(
        *("there is no login", always(DONE), "retrying", "authentication", "authentication"),
        exits=5, login="none", oldest=True,
    ),
    "no-credit": one(
        "there is no credit",
        always(error(400, "Your credit balance is too low to access the Anthropic API.")),
        "retrying", "no credit", exits=5,
    ),
}  # fmt: skip

SCENARIOS = {**SUCCEEDING, **FAILING, **RECOVERING, **HALTING}
