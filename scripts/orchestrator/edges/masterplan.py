"""A first `plan.yaml`: from a request, or from a master plan in Markdown.

The Markdown form: `## Original Request` with a quotation, and under `## Task Decomposition` a table with the
columns Task ID, Description, Dependencies, Input and Expected Output. Other sections and columns are passed
over; a list under `## Success Criteria` is taken along.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from orchestrator.core.graph import find_cycles
from orchestrator.core.hints import Hints, shown
from orchestrator.core.plan import ID_PATTERN
from orchestrator.edges.mastertable import Row, repaired, rows, section
from orchestrator.edges.yamltext import comment, yaml_text
from orchestrator.errors import PlanError

LONGEST_TITLE = 60
"""Characters of a title that is made of a description: a column of a table."""

_MARKS = re.compile(r"\s*(?:[-*+]|[0-9]+[.)])\s+(?:\[.\]\s*)?(?=\S)")
_NOTHING = frozenset({"", "-", "—", "–", "none", "n/a", "na", "no", "nothing", "null", "[]", "(none)"})
_PLACEHOLDER = re.compile(r"\[(?:input|output|output type)\]", re.IGNORECASE)
_LINKING = re.compile(r"\b(?:outputs?|results?|of|from|and|the)\b|[^\w]", re.IGNORECASE)
_PRIORITIES = {"critical": "P0", "high": "P1", "medium": "P2", "normal": "P2", "low": "P3"}

_HOW_TO_RUN = """\
# Check it with `orchestrate validate`, look at it with `orchestrate plan`, then `orchestrate run --detach` and
# `orchestrate wait` (or `orchestrate run`, which stays until the end).
"""

_STARTER = f"""\
# The plan: what is to be done, and what waits for what.
{_HOW_TO_RUN}
request: {{request}}

# When is it done?
success_criteria: []

# Bounds of the run, as they are when nothing is said:
# limits:
#   parallelism: 4        # attempts at the same time
#   budget_usd: none      # a ceiling in US dollars
#   deadline: none        # 2h, 1h30m

# Each task is one atomic piece of work. Fill in your own in place of `[]`, such as these:
#
# tasks:
#   - id: T-01
#     title: Find what is slow
#     description: |
#       Profile the nightly export and list the five most expensive calls.
#     worker: code-analyzer
#     estimate: 5m
#   - id: T-02
#     title: Make it faster
#     description: Speed up the most expensive call that T-01 found.
#     worker: code-developer
#     needs: [T-01]                     # its result is given to this task
#     verify: ["python -m pytest -q"]   # must exit with 0
#   - id: T-03
#     title: Count the lines
#     cli: shell                        # a command, no model
#     run: git ls-files | xargs wc -l
tasks: []
"""


def starter_plan(request: str) -> str:
    """The commented `plan.yaml` that `init REQUEST` writes; it has no tasks yet."""
    # A brace in the request must not be taken for a field of the template.
    return _STARTER.replace("{request}", yaml_text(request), 1)


def plan_from_master(text: str, name: str) -> str:
    """The commented `plan.yaml` for a master plan in Markdown that the user knows as `name`.

    Raises:
        PlanError: it has no task table, or rows that are no tasks; each problem `NAME:LINE: what`.
    """
    lines = [repaired(line) for line in text.removeprefix("\ufeff").split("\n")]
    table = rows(lines)
    if not table:
        raise PlanError(
            [f"{name}: no table with the columns Task ID, Description and Dependencies was found"]
        )
    problems: list[tuple[int, str]] = []
    tasks = _Tasks(table, problems)
    body = [line for row in table for line in tasks.written(row)]
    tasks.refuse_cycles()
    if problems:
        raise PlanError([f"{name}:{line}: {message}" for line, message in sorted(problems)])
    criteria = [
        comment(_MARKS.sub("", line, count=1)) for line in _listed(section(lines, "success criteria"))
    ]
    head = [
        f"# Made from {comment(name)}.",
        *_HOW_TO_RUN.splitlines(),
        f"request: {yaml_text(_request(lines))}",
        "success_criteria:" if criteria else "success_criteria: []",
        *(f"  - {yaml_text(one, 2)}" for one in criteria),
        "tasks:",
    ]
    return "\n".join([*head, *body]) + "\n"


def _listed(lines: Sequence[str]) -> Iterator[str]:
    return (line for line in lines if _MARKS.match(line))


def _request(lines: Sequence[str]) -> str:
    """The quotation of the request, else the words under its heading, else the first heading of all."""
    words = section(lines, "original request") or section(lines, "request")
    quoted = [re.sub(r"^\s*> ?", "", line) for line in words if line.lstrip().startswith(">")]
    found = "\n".join(line.rstrip() for line in quoted or words).strip()
    first = next((line for line in lines if line.lstrip().startswith("#")), "")
    return found or first.strip("# ") or "A plan in Markdown"


class _Tasks:
    """The rows of the table as tasks; what is wrong with them goes to `problems`."""

    def __init__(self, table: Sequence[Row], problems: list[tuple[int, str]]) -> None:
        self.problems = problems
        self.lines: dict[str, int] = {}
        self.folded: dict[str, str] = {}
        self.needs: dict[str, list[str]] = {}
        for row in table:
            self._register(row)
        self.hints = Hints(self.lines)

    def _register(self, row: Row) -> None:
        name = row.id = _identifier(row.cell("id"))
        if not re.search(ID_PATTERN, name):
            rule = "write a letter, then letters, digits, `_`, `.` or `-`"
            self.problems.append((row.line, f"{shown(name)} cannot be the id of a task; {rule}"))
        elif (earlier := self.folded.get(_folded(name))) is not None:
            self.problems.append((row.line, f"{shown(name)} stands in line {self.lines[earlier]} already"))
        self.lines.setdefault(name, row.line)
        self.folded.setdefault(_folded(name), name)

    def written(self, row: Row) -> list[str]:
        """The lines of one task."""
        description = row.cell("description")
        if not description.strip(" -—–"):
            self.problems.append((row.line, f"{shown(row.id)} has no description"))
        needs = self._needs(row)
        given, sources = self._input(row)
        needs += [name for name in sources if name not in needs]
        self.needs[row.id] = needs
        fields = {"title": _title(description), "description": description}
        found = [f"  - id: {row.id}"]
        found += [f"    {key}: {yaml_text(value, 4)}" for key, value in fields.items()]
        if needs:
            found.append(f"    needs: [{', '.join(needs)}]")
        if given:
            found += ["    inputs:", f"      input: {yaml_text(given, 6)}"]
        if not _is_nothing(output := row.cell("output")):
            found.append(f"    expected_output: {yaml_text(output, 4)}")
        if priority := _priority(row.cell("priority")):
            found.append(f"    priority: {priority}")
        return found

    def refuse_cycles(self) -> None:
        """Say which tasks wait for each other, once all of them are written."""
        names = list(self.needs)
        place = {name: at for at, name in enumerate(names)}
        for cycle in find_cycles([[place[need] for need in self.needs[name]] for name in names]):
            path = " -> ".join(_harmless(names[at]) for at in [*cycle, cycle[0]])
            self.problems.append((self.lines[names[cycle[0]]], f"these tasks wait for each other: {path}"))

    def _needs(self, row: Row) -> list[str]:
        cell = row.cell("needs")
        if _is_nothing(cell):
            return []
        if re.fullmatch(
            r"all(?: (?:above|previous|prior|other|of the above))?(?: tasks)?", cell, re.IGNORECASE
        ):
            return list(self.needs)
        found: list[str] = []
        for part in re.split(r"[,;&+]|\band\b|\n", cell):
            found += [name for name in self._named(part.strip(" \t[]()`*'\""), row) if name not in found]
        return found

    def _named(self, part: str, row: Row) -> list[str]:
        """The ids in one part of the cell: one, several with blanks between, or a range."""
        if not part:
            return []
        if known := self.folded.get(_folded(part)):
            return [known]
        ends = [
            self.folded.get(_folded(end)) for end in re.split(r"\s*(?:\.\.+|…|–|—|\bto\b|\s-\s)\s*", part)
        ]
        if len(ends) == 2 and ends[0] and ends[1]:
            names = list(self.lines)
            return names[names.index(ends[0]) : names.index(ends[1]) + 1]
        words = [self.folded.get(_folded(word)) for word in part.split()]
        if all(words):
            return [word for word in words if word]
        said = f"{_harmless(row.id)} needs {shown(part)}: there is no such task{self.hints.question(part)}"
        self.problems.append((row.line, said))
        return []

    def _input(self, row: Row) -> tuple[str, list[str]]:
        """The text that is given, or the tasks whose output is: `[T-01 output]` is a dependency."""
        cell = row.cell("input")
        if _is_nothing(cell):
            return "", []
        words = re.findall(r"[\w.-]+", cell)
        known = [self.folded.get(_folded(word)) for word in words]
        sources = [name for name in known if name and name != row.id]
        rest = " ".join(word for word in words if _folded(word) not in self.folded)
        if sources and not _LINKING.sub("", rest):
            return "", sources
        return cell, []


def _harmless(name: str) -> str:
    """An id, which may be none, as it can stand in a sentence."""
    return shown(name)[1:-1]


def _identifier(cell: str) -> str:
    """`**T-01**` as T-01, `1` as T-01, `Task 1` as Task-1."""
    name = re.sub(r"\s+", "-", cell.strip(" \t`*_[]"))
    return f"T-{int(name):02d}" if re.fullmatch(r"[0-9]{1,6}", name) else name


def _folded(name: str) -> str:
    return _identifier(name).casefold()


def _is_nothing(cell: str) -> bool:
    return cell.strip(" `*_.").casefold() in _NOTHING or bool(_PLACEHOLDER.fullmatch(cell.strip()))


def _title(description: str) -> str:
    line = comment(description)
    return line if len(line) <= LONGEST_TITLE else line[: LONGEST_TITLE - 1].rsplit(" ", 1)[0] + "…"


def _priority(cell: str) -> str:
    word = cell.strip(" `*[]")
    return word.upper() if re.fullmatch("[Pp][0-3]", word) else _PRIORITIES.get(word.casefold(), "")
