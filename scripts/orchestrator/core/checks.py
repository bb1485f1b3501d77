"""What is wrong with a plan whose fields have the right types.

Each problem names the task by its index and the field, so that whoever read the plan can add the line. One
walk over the tasks, then one over their dependencies; what costs time (guessing what was meant) is done only
where something is wrong, and a bounded number of times.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from msgspec import Struct

from orchestrator.core.graph import find_cycles
from orchestrator.core.hints import Hints, shown
from orchestrator.core.overlap import overlap
from orchestrator.core.plan import LONGEST_VARIABLE, Plan, Task, seconds, variable_name
from orchestrator.core.workers import BUNDLED, wrong_tool

WHOLE_PLAN = -1
"""In place of the index of a task."""

LONGEST_DURATION = 3650 * 86_400.0
"""Ten years: what is longer is a slip, and dates run out soon after."""

LONGEST_RULES = 60_000
"""Characters of tools, rules and checks: escaped they still go into one argument of the claude program."""

LONGEST_PROMPT = 2_000_000
"""Characters of a task: more than any model reads, and in any script less than the 10 MB that the program takes."""

LONGEST_CYCLE = 100
"""Tasks of a cycle that are named: enough to find it."""

MOST_KNOWN = 12
"""Names of worker types that are listed: what fits into one sentence."""

IDLE_TIMEOUT = Task(id="T").idle_timeout
"""The default: of a command one that is another was written by somebody."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_INPUT_VARIABLE = "ORCHESTRATE_INPUT_"


class Problem(Struct, frozen=True):
    """One thing that is wrong; `message` names neither the task nor the field.

    `task` is the index in the plan or WHOLE_PLAN; `item` the position in a list or the key in a map.
    """

    task: int
    field: str
    message: str
    item: int | str | None = None


Found = tuple[str, str] | tuple[str, str, int | str]


def problems(plan: Plan, known: Collection[str] = BUNDLED) -> list[Problem]:
    """Everything that is wrong with `plan`, in no particular order; `known` are the worker types there are."""
    found = [Problem(WHOLE_PLAN, field, message) for field, message in _of_plan(plan)]
    found += [Problem(WHOLE_PLAN, *one) for one in _commands("verify", plan.verify)]
    for index, task in enumerate(plan.tasks):
        found += [Problem(index, *one) for one in _of_task(task)]
    return found + _workers(plan.tasks, known) + _ids(plan.tasks) + _dependencies(plan.tasks)


def warnings(plan: Plan) -> list[str]:
    """What may hold, and may be a mistake."""
    if plan.tasks:
        return []
    return [
        f"there are no tasks: with `replan: {plan.replan}` the run begins with a paid planning call that makes the "
        "first ones; if you know some, write them"
    ]


def _of_plan(plan: Plan) -> Iterator[tuple[str, str]]:
    if not plan.request.strip():
        yield "request", "says nothing; write what the plan is for"
    if not plan.tasks and plan.replan == "off":
        yield "tasks", "there are no tasks yet; add at least one, with an `id` and a `description`"
    if plan.limits.deadline is not None and (wrong := _duration(plan.limits.deadline)):
        yield "limits.deadline", wrong
    if plan.limits.budget_usd == float("inf"):
        yield "limits.budget_usd", "is not a sum of money; write a number such as 2.50, or none"


def _workers(tasks: Sequence[Task], known: Collection[str]) -> list[Problem]:
    """Worker types that there are not; each name is looked for once, and only what is missing costs more."""
    missing = {name for name in {task.worker for task in tasks} if name not in known}
    if not missing:
        return []
    names = tuple(known)
    hints = Hints(names)
    known_are = f"; known are {', '.join(names[:MOST_KNOWN])}{', …' if len(names) > MOST_KNOWN else ''}"
    said = {
        name: f"there is no worker type {shown(name)}{hints.question(name) or known_are}" for name in missing
    }
    return [
        Problem(index, "worker", said[task.worker])
        for index, task in enumerate(tasks)
        if task.worker in missing
    ]


def _of_task(task: Task) -> Iterator[Found]:
    """The problems of one task that can be seen without the others."""
    if _CONTROL.search(task.title):
        yield "title", "has a line break or control character; a title is one line"
    yield from _work(task)
    yield from _bounds(task)
    if task.inputs:
        yield from _inputs(task)
    if task.writes or task.artifacts:
        yield from _globs("writes", task.writes)
        yield from _globs("artifacts", task.artifacts)
    if task.verify:
        yield from _commands("verify", task.verify)
    if task.cli == "claude":
        yield from _sizes(task)
    if task.model is not None or task.fallback_model is not None or task.tools is not None or task.allow:
        yield from _words(task)
    if task.output_schema is not None:
        yield from _schema(task.output_schema)


def _work(task: Task) -> Iterator[Found]:
    """What there is to do: a command for a shell task, words for the others."""
    if task.cli == "shell":
        if not task.run.strip():
            yield "run", "is missing: a task with `cli: shell` needs the command to run"
        elif wrong := _command(task.run):
            yield "run", wrong
    elif task.run:
        yield "run", f"a command is run only where `cli: shell` stands, not with cli {task.cli}"
    elif not (task.description.strip() or task.title.strip()):
        yield "description", "is missing: say what the worker is to do"


def _sizes(task: Task) -> Iterator[Found]:
    """What a worker is given has to pass through one argument, and through its standard input."""
    rules = (*(task.tools or ()), *task.allow, *task.verify)
    if sum(map(len, rules)) > LONGEST_RULES:
        field = max(("tools", task.tools or ()), ("allow", task.allow), ("verify", task.verify), key=_length)[
            0
        ]
        yield field, f"is too much for one command line ({LONGEST_RULES:,} characters); put it into a script"
    said = (task.description, task.expected_output, *task.steps, *task.constraints, *task.inputs.values())
    if sum(map(len, said)) > LONGEST_PROMPT:
        yield (
            "description",
            f"is too much for a prompt ({LONGEST_PROMPT:,} characters with its inputs); use a file",
        )


def _length(named: tuple[str, Sequence[str]]) -> int:
    return sum(map(len, named[1]))


def _bounds(task: Task) -> Iterator[Found]:
    for field, text in (("timeout", task.timeout), ("idle_timeout", task.idle_timeout)):
        if text is not None and (wrong := _duration(text)):
            yield field, wrong
    if task.cli == "shell" and task.idle_timeout not in (None, IDLE_TIMEOUT):
        yield "idle_timeout", "does not hold for a command, which may be silent; bound it with `timeout`"
    if task.estimate is not None and seconds(task.estimate) > LONGEST_DURATION:
        yield "estimate", "is longer than ten years"
    if task.budget_usd == float("inf"):
        yield "budget_usd", "is not a sum of money; write a number such as 2.50, or none"


def _duration(text: str) -> str:
    length = seconds(text)
    if length <= 0:
        return "must be longer than nothing"
    return "is longer than ten years" if length > LONGEST_DURATION else ""


def _inputs(task: Task) -> Iterator[Found]:
    names: dict[str, str] = {}
    for name, value in task.inputs.items():
        variable = variable_name(name)
        if not name or _CONTROL.search(name):
            yield "inputs", "the name of an input is one line of text", name
        if "\0" in value:
            yield "inputs", "has a NUL character, which no program can be given", name
        if task.cli == "shell":
            if variable in names:
                yield "inputs", f"becomes the same variable as {shown(names[variable])}; rename one", name
            names.setdefault(variable, name)
            # NAME=value is one string for execve.
            if len(_INPUT_VARIABLE) + len(variable) + 1 + len(value.encode()) > LONGEST_VARIABLE:
                yield "inputs", f"is too long for a variable ({LONGEST_VARIABLE:,} bytes); use a file", name


def _globs(field: str, patterns: Sequence[str]) -> Iterator[Found]:
    for at, pattern in enumerate(patterns):
        if wrong := _glob(pattern):
            yield field, f"{shown(pattern)} {wrong}", at


def _glob(pattern: str) -> str:
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    if not pattern.strip():
        return "is empty; name a file or a glob inside the project folder"
    if _CONTROL.search(pattern):
        return "has a line break or control character"
    if pattern.startswith(("/", "~/")) or "\\" in pattern or re.match("[A-Za-z]:", pattern):
        return "must be relative to the project folder, with `/` between its parts"
    if ".." in parts:
        return "must not contain `..`: workers stay inside the project folder"
    if parts and parts[0].startswith(".") and overlap(parts[0].lower(), ".orchestrator"):
        return "reaches into .orchestrator/, where no worker may write"
    return ""


def _commands(field: str, commands: Sequence[str]) -> Iterator[Found]:
    for at, command in enumerate(commands):
        if not command.strip():
            yield field, "is an empty command; remove it or write one", at
        elif wrong := _command(command):
            yield field, wrong, at


def _command(command: str) -> str:
    if "\0" in command:
        return "has a NUL character, which no program can be given"
    if len(command.encode()) > LONGEST_VARIABLE:
        return f"is longer than one argument can be ({LONGEST_VARIABLE:,} bytes); put it into a script"
    return ""


def _words(task: Task) -> Iterator[Found]:
    """Models, tools and rules become words of a command line: none may pass for an option there."""
    models = (("model", task.model), ("fallback_model", task.fallback_model))
    words: list[tuple[str, str, int | None]] = [(key, word, None) for key, word in models if word is not None]
    words += [("tools", tool, at) for at, tool in enumerate(task.tools or ())]
    words += [("allow", rule, at) for at, rule in enumerate(task.allow)]
    for field, word, at in words:
        if message := wrong_word(word) if at is None else wrong_rule(word):
            yield (field, message) if at is None else (field, message, at)


def wrong_rule(word: str) -> str:
    """What is wrong with a tool or rule that somebody grants; empty where nothing is."""
    return wrong_word(word) or wrong_tool(word)


def wrong_word(word: str) -> str:
    """What is wrong with a model, tool or rule as a word of a command line; empty where nothing is."""
    if not word.strip():
        return "is empty"
    if word.lstrip().startswith("-"):
        return f"{shown(word)} begins with `-` and would be taken for an option"
    return "has a line break or control character" if _CONTROL.search(word) else ""


def _schema(schema: dict[str, Any]) -> Iterator[Found]:
    # Imported here: few plans have a schema, and its regular expressions take time to compile.
    from orchestrator.core import outputschema

    for message in outputschema.problems(schema):
        yield "output_schema", message


def _ids(tasks: Sequence[Task]) -> list[Problem]:
    """Ids that stand twice, letter case aside: they become file names, and some file systems ignore it."""
    if len({task.id.lower() for task in tasks}) == len(tasks):
        return []
    first: dict[str, int] = {}
    found = []
    for index, task in enumerate(tasks):
        earlier = tasks[first.setdefault(task.id.lower(), index)]
        if earlier is not task and task.id:
            same = "is the id of another task too" if earlier.id == task.id else _only_case(earlier)
            found.append(Problem(index, "id", f"{shown(task.id)} {same}; ids are unique"))
    return found


def _only_case(task: Task) -> str:
    return f"differs from {shown(task.id)} only in upper and lower case"


def _dependencies(tasks: Sequence[Task]) -> list[Problem]:
    known = {task.id: index for index, task in enumerate(tasks) if task.id}
    hints = Hints(known)
    found: list[Problem] = []
    edges: list[list[int]] = []
    for index, task in enumerate(tasks):
        names = (*task.needs, *task.after)
        try:
            edges.append([known[name] for name in names])
        except KeyError:
            edges.append([known[name] for name in names if name in known])
            found += _unknown(index, task, known, hints)
        if task.id and task.id in names:
            edges[index] = [need for need in edges[index] if need != known[task.id]]
            found.append(Problem(index, _field_of(task, task.id), "a task cannot wait for itself"))
        if len(names) > len(set(names)) or (len(names) > 1 and task.cli == "shell"):
            found += [Problem(index, *one) for one in _twice(task)]
    return found + [_cycle(tasks, cycle) for cycle in find_cycles(edges)]


def _cycle(tasks: Sequence[Task], cycle: Sequence[int]) -> Problem:
    ids = [shown(tasks[index].id)[1:-1] for index in cycle]
    if len(ids) > LONGEST_CYCLE:
        ids[LONGEST_CYCLE:] = [f"({len(ids) - LONGEST_CYCLE:,} more)"]
    path = " -> ".join([*ids, ids[0]])
    field = _field_of(tasks[cycle[0]], tasks[cycle[1]].id)
    return Problem(cycle[0], field, f"these tasks wait for each other: {path}; take one dependency away")


def _field_of(task: Task, name: str) -> str:
    return "needs" if name in task.needs else "after"


def _unknown(index: int, task: Task, known: Collection[str], hints: Hints) -> Iterator[Problem]:
    for field, names in (("needs", task.needs), ("after", task.after)):
        for at, name in enumerate(names):
            if name not in known:
                yield Problem(
                    index, field, f"there is no task {shown(name)}{hints.question(name, task.id)}", at
                )


def _twice(task: Task) -> Iterator[Found]:
    """A dependency named twice, or two whose results would stand in one variable."""
    variables: dict[str, str] = {}
    seen: set[str] = set()
    for at, name in enumerate(task.needs):
        other = variables.setdefault(variable_name(name), name)
        if name in seen:
            yield "needs", f"{shown(name)} stands here twice", at
        elif other != name and task.cli == "shell":
            yield "needs", f"the result of {shown(name)} would have the same variable as {shown(other)}", at
        seen.add(name)
    needs = frozenset(seen)
    for at, name in enumerate(task.after):
        if name in needs:
            yield "after", f"{shown(name)} stands in `needs` too, which is enough", at
        elif name in seen:
            yield "after", f"{shown(name)} stands here twice", at
        seen.add(name)
