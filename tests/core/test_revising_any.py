from __future__ import annotations

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
from accounts import counted, recount, snapshot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from revisions_of import TYPES, run, tasks, work
from story import Story

from orchestrator.core import checks, events, growth, plandiff
from orchestrator.core.drafts import sameness
from orchestrator.core.plan import Limits, Task
from orchestrator.core.replanning import is_planning
from orchestrator.core.revising import Revised, revised
from orchestrator.core.revision import By, Revision, read
from orchestrator.core.state import RunState, fold
from orchestrator.core.workers import PLANNER

MODEST = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Choices by a seed that hypothesis picks: maps as deep as these, drawn one by one, are mostly small and mostly wrong.
RANDOMS = st.randoms(use_true_random=True)
NAMES = ("A", "B", "C", "D", "E", "t-07")
TITLES = ("Do A", "Do C", "Add login", "Add the login", "Write tests", "!!", "🎉", "Lone \ud800 half")
STRANGE = ("a", "x", "y", "z", "T-08", "T-09", "Plan-01", "new:000001", "nobody", "\udfff")
GARBAGE: tuple[Any, ...] = (
    None,
    True,
    7,
    10**30,
    0.5,
    "",
    "\ud800",
    [],
    [None],
    [{}],
    {},
    {"\ud800": ["\ud800"]},
    [["A"]],
    [10**30],
)
NEVER_BY_A_PLANNER = (
    "tools", "allow", "permission_mode", "run", "cli", "setting_sources", "budget_usd", "fallback_model", "inputs",
)  # fmt: skip
NOT_FOR_PLANNERS: tuple[dict[str, Any], ...] = (
    {"tools": ["Bash"]}, {"allow": ["Bash(*)"]}, {"permission_mode": "bypassPermissions"}, {"id": "A"},
    {"cli": "shell", "run": "rm -rf ."}, {"budget_usd": 100.0}, {"setting_sources": ["user"]}, {"title": None},
    {"attempts": 10**30}, {"output_schema": {"x": [10**30, "\ud800"]}}, {"\ud800": 1}, {"inputs": {"\ud800": "1"}},
)  # fmt: skip


KEYS = st.sampled_from(
    ["add", "split", "ask", "context", "analysis", "finish", "into", "task", "title", "\ud800"]
)
GARBAGE_OR_WORSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\ud800"),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(KEYS, one, max_size=3),
    max_leaves=8,
)
BY: tuple[By, ...] = ("planner", "planner", "person")


def word(random: Random) -> str:
    return random.choice(STRANGE if random.random() < 0.15 else NAMES)


def words(random: Random) -> list[str]:
    return [word(random) for _ in range(random.choice([0, 1, 1, 2]))]


def some(random: Random, **fields: Callable[[], Any]) -> dict[str, Any]:
    """Some of these fields, now and then with rubbish in one."""
    chosen = {key: make() for key, make in fields.items() if random.random() < 0.3}
    if chosen and random.random() < 0.05:
        chosen[random.choice(sorted(chosen))] = random.choice(GARBAGE)
    return chosen


def draft(random: Random) -> dict[str, Any]:
    usual = some(
        random, ref=lambda: random.choice(["x", "y", "z", "A"]), needs=lambda: words(random),
        after=lambda: words(random), before=lambda: words(random), of=lambda: word(random),
        priority=lambda: random.choice(["P0", "P1", "P2", "P3"]), reason=lambda: "because",
        worker=lambda: random.choice(["general", "code-developer", "orchestrator"]),
        verify=lambda: random.choices(["make check", "rm -rf ."], k=2),
        description=lambda: random.choice(["Do it.", ""]), writes=lambda: ["src/**"],
    )  # fmt: skip
    strange = random.choice(NOT_FOR_PLANNERS) if random.random() < 0.1 else {}
    title = random.choice(TITLES) if random.random() < 0.5 else f"Number {random.randint(1, 9)}"
    return {"title": title, **usual, **strange}


def changes(random: Random, **own: Callable[[], Any]) -> list[dict[str, Any]]:
    return [
        {"task": word(random), "reason": "so", **{key: make() for key, make in own.items()}}
        for _ in range(random.choice([0, 1, 1, 2]))
    ]


def tree(random: Random) -> dict[str, Any]:
    return some(
        random, add=lambda: [draft(random) for _ in range(random.randint(1, 6))],
        cancel=lambda: changes(random), accept=lambda: changes(random),
        reorder=lambda: changes(random, priority=lambda: random.choice(["P0", "P1", "P3"])),
        rewire=lambda: changes(random, needs=lambda: words(random), after=lambda: words(random)),
        split=lambda: changes(random, into=lambda: [draft(random) for _ in range(random.randint(1, 3))]),
        reassign=lambda: changes(random, worker=lambda: random.choice(["test-engineer", "code-developer"])),
        ask=lambda: changes(random, question=lambda: random.choice(["Which?", "Why?", ""])),
        finish=lambda: "done", analysis=lambda: {"kind": "evolving", "tasks": True},
    )  # fmt: skip


def plan_of(random: Random) -> list[Task]:
    made: list[Task] = []
    for at, name in enumerate(NAMES[: random.randint(2, len(NAMES))]):
        before = random.sample(NAMES[:at], min(at, random.choice([0, 1, 1, 2])))
        cut = random.randint(0, len(before))
        fields: dict[str, Any] = random.choice([
            {}, {}, {"verify": ("make check",)}, {"artifacts": ("out",)}, {"on_failure": "escalate"},
            {"on_failure": "stop"}, {"cli": "shell", "run": "make"}, {"tools": ("Read",)}, {"priority": "P3"},
        ])  # fmt: skip
        made.append(work(name, " ".join(before[cut:]), " ".join(before[:cut]), attempts=1, **fields))
    return made


class Told(Story):
    """A story that keeps its events as a journal would."""

    lines: list[bytes]

    def tell(self, kind: Any, **facts: Any) -> Told:
        return self.take(kind(seq=self.state.seq + 1, time=self.now, **facts))

    def take(self, event: Any) -> Told:
        self.lines = [*getattr(self, "lines", []), events.encode(event)]
        self.state.apply(event)
        return self


STEPS = (*("start", "end", "fail") * 5, "block", "cancel", "skip", "skip", "retry", "replan")


def step(story: Told, what: str, at: int) -> None:
    """One event, if one of this kind can follow; `at` chooses among the tasks that it can befall."""
    state = story.state
    free = [task for task in state.tasks if not task.running]
    fit = {
        "start": [task for task in state.tasks if task.startable],
        "end": list(state.running.values()),
        "fail": list(state.running.values()),
        "block": [task for task in free if not task.mark],
        "cancel": [task for task in free if not task.mark],
        "skip": [task for task in state.doomed if not task.mark and not task.running],
        "retry": [
            task for task in free
            if task.mark and not any(other.running for other in state.dependents_of(task))
        ],
        "replan": [task for task in free if not is_planning(task.task) and task.task.cli != "shell"],
    }[what]  # fmt: skip
    if fit:
        befall(story, what, fit[at % len(fit)].task)


def befall(story: Told, what: str, task: Task) -> None:
    facts = {
        "block": (events.TaskBlocked, {"question": "?"}),
        "cancel": (events.TaskCancelled, {}),
        "skip": (events.TaskSkipped, {"reason": "dependency failed"}),
        "retry": (events.TaskRetried, {}),
    }
    if what == "start":
        story.start(task.id)
    elif what in ("end", "fail"):
        story.end(task.id, "success" if what == "end" else "error")
    elif what == "replan":
        assert story.state.plan is not None
        changed = msgspec.structs.replace(task, description="Do it in another way.")
        others = tuple(changed if other is task else other for other in story.state.plan.tasks)
        story.tell(events.PlanAccepted, plan=msgspec.structs.replace(story.state.plan, tasks=others))
    else:
        kind, more = facts[what]
        story.tell(kind, task=task.id, **more)


def story_of(random: Random) -> Told:
    """A run of some plan somewhere in its course, now and then with tasks that were added on the way."""
    limits = Limits(
        max_tasks=random.randint(1, 10), max_growth=random.randint(1, 6), max_depth=random.randint(1, 3)
    )
    story = Told(*plan_of(random), replan="auto", limits=limits)
    for _ in range(random.randint(0, 14)):
        step(story, random.choice(STEPS), random.randint(0, 5))
        if random.random() < 0.1:
            taken(story, seen(tree(random)), "planner")
    return story


def taken(story: Told, revision: Revision, by: By) -> Revised:
    considered = tuple(task.task.id for task in story.state.tasks if task.mark)[:2]
    found = revised(story.state, revision, TYPES, by, considered)
    story.take(plandiff.as_event(story.state, revision, found, by, TYPES, story.now))
    return found


def counts(state: RunState) -> int:
    return sum(not is_planning(t.task) and t.task.id not in state.replanning.deferred for t in state.tasks)


def seen(tree: Any) -> Revision:
    return read(tree)[0]


@MODEST
@given(RANDOMS)
def test_any_revision_of_any_plan_leaves_a_plan_that_can_run(
    random: Random,
) -> None:
    story = story_of(random)
    ever = {name.lower() for name in tasks(story)}
    for _ in range(3):
        before = set(tasks(story))
        taken(story, seen(tree(random)), random.choice(BY))
        assert story.state.plan is not None
        assert checks.problems(story.state.plan, tuple(TYPES)) == []
        new = {name.lower() for name in set(tasks(story)) - before}
        assert not new & ever
        ever |= new
        assert counted(story.state) == recount(story.state)
    for what, at in (("start", 0), ("end", 0), ("start", 1), ("fail", 0), ("start", 0)):
        step(story, what, at)
    assert snapshot(fold(events.decode(line) for line in story.lines)) == snapshot(story.state)


def settled(state: RunState) -> dict[str, Any]:
    """What no revision touches; what a task comes after may have left the plan."""
    return {
        t.task.id: (msgspec.structs.replace(t.task, after=()), t.mark, t.running, t.result, t.number, t.outcome)
        for t in state.tasks if t.running or t.mark in ("completed", "cancelled")
    }  # fmt: skip


@MODEST
@given(RANDOMS)
def test_no_revision_touches_what_runs_or_is_done(random: Random) -> None:
    story, asked, by = story_of(random), tree(random), random.choice(BY)
    before = copy.deepcopy(settled(story.state))
    after = {name: tasks(story)[name].after for name in before}
    taken(story, seen(asked), by)
    now = settled(story.state)
    for name, facts in before.items():
        if facts[1] != "cancelled":
            assert now[name] == facts
            assert set(tasks(story)[name].after) <= set(after[name])
        else:
            assert now[name][1] == "cancelled"


@MODEST
@given(RANDOMS)
def test_no_revision_goes_beyond_the_limits(random: Random) -> None:
    story, asked, by = story_of(random), tree(random), random.choice(BY)
    limits, state = story.state.plan.limits, story.state  # type: ignore[union-attr]
    count, before = counts(state), set(tasks(story))
    put_off = {name for name in state.replanning.deferred if state.by_id[name].mark == "skipped"}
    found = taken(story, seen(asked), by)
    new = set(tasks(story)) - before - set(state.replanning.deferred)
    assert counts(state) <= max(limits.max_tasks, count)
    assert len(new) <= limits.max_growth
    assert all(state.replanning.origin_of(name).depth <= limits.max_depth for name in new)
    kept = (put_off | set(found.deferred)) - set(found.dropped)
    assert all(state.by_id[name].mark == "skipped" for name in kept)


@MODEST
@given(RANDOMS)
def test_a_planner_gets_no_permission_that_the_plan_did_not_have(random: Random) -> None:
    story, asked = story_of(random), tree(random)
    old = tasks(story)
    known = {key: {str(getattr(task, key)) for task in old.values()} for key in NEVER_BY_A_PLANNER}
    default = Task(id="T")
    commands = {line for task in old.values() for line in task.verify}
    taken(story, seen(asked), "planner")
    for task in tasks(story).values():
        assert set(task.verify) <= commands
        for key, values in known.items():
            assert str(getattr(task, key)) in values | {str(getattr(default, key))}, key


@MODEST
@given(RANDOMS)
def test_the_same_revision_again_adds_nothing(random: Random) -> None:
    story, asked, by = story_of(random), tree(random), random.choice(BY)
    # An id that is given by the first of the two means something else to the second.
    asked = json.loads(json.dumps(asked).replace("T-", "N-"))
    first = taken(story, seen(asked), by)
    before = set(tasks(story))
    found = taken(story, seen(asked), by)
    # What there was no room for is asked for anew: the next revision may add as many again, and where a task was put
    # off, others need not wait for it any more.
    if not first.deferred and not any("is reached" in line for line in first.refused):
        assert set(tasks(story)) <= before
        assert found.origins == {}
    made = {sameness(task) for task in first.tasks if task.id in first.origins}
    again = [task for task in found.tasks if task.id in found.origins]
    assert not made & {sameness(task) for task in again if task.id not in found.deferred}


@MODEST
@given(RANDOMS)
def test_the_figures_of_a_plan_that_grew_add_up(random: Random) -> None:
    story = story_of(random)
    for _ in range(3):
        taken(story, seen(tree(random)), random.choice(BY))
        step(story, random.choice(STEPS), random.randint(0, 5))
    found, state = growth.scope(story.state), story.state
    assert found.first + found.added - found.taken_out - found.deferred == found.now
    shares = [share for share in growth.shares(state) if share.worker != PLANNER]
    assert sum(share.tasks for share in shares) == found.now + found.deferred
    assert sum(share.completed for share in shares) == found.done
    assert round(sum(share.part or 0.0 for share in shares), 6) in (0.0, 1.0)
    assert sum(state.counts().values()) == len(state.tasks)


@MODEST
@given(RANDOMS, GARBAGE_OR_WORSE)
def test_whatever_is_read_can_be_written_down_and_read_again(random: Random, worse: Any) -> None:
    revision, problems = read(worse if random.random() < 0.5 else tree(random))
    event = events.RevisionProposed(seq=1, time=run(work("A")).now, revision=revision, by="planner")
    assert events.decode(events.encode(event)) == event
    assert len(problems) <= 100
    json.dumps([problem.message for problem in problems]).encode()


def test_a_thousand_new_tasks_come_to_as_many_as_there_is_room_for() -> None:
    story = Told(work("A"), replan="auto")
    for batch in range(10):
        add = [{"title": f"Number {batch} {at}"} for at in range(1000)]
        taken(story, seen({"add": add}), "planner")
    assert counts(story.state) == 50
    assert len(story.state.replanning.deferred) == 100
    assert len(story.state.tasks) == 150
