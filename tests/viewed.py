"""A run, and results in a workspace, for tests of what is shown of them."""

from __future__ import annotations

import json
from collections import Counter

from markdown_it import MarkdownIt
from story import Story

from orchestrator.core.events import Origin, PlanRevised, RevisionProposed, RunFinished
from orchestrator.core.frontmatter import MARK
from orchestrator.core.plan import Limits, Task
from orchestrator.core.revision import Analysis, Draft, Revision
from orchestrator.core.state import TaskState
from orchestrator.core.workers import PLANNER
from orchestrator.edges import results
from orchestrator.edges.workspace import Workspace

PROFILE = Task(
    id="T-01",
    title="Profile the export",
    description="Profile the export.\n\n    python -m cProfile export.py\n\nKeep the ten slowest calls.",
    worker="performance-optimizer",
    inputs={"entry": "src/export.py", "rows": "first line\nsecond line"},
    expected_output="A table of the ten slowest calls",
    constraints=("No new packages",),
    steps=("Run it once to warm up", "Run it\nthree times"),
    writes=("out/**",),
    artifacts=("out/profile.txt",),
    verify=("test -s out/profile.txt",),
)
COUNT = Task(
    id="T-02",
    title="Count the rows",
    cli="shell",
    run="wc -l data/*.csv\nawk 'END { print NR }' data/big.csv",
    inputs={"pattern": "*.csv"},
    needs=("T-01",),
    attempts=2,
)
FETCH = Task(id="T-03", title="Fetch the changelog", worker="documentation-writer")
JOIN = Task(id="T-04", title="Join the findings", needs=("T-01", "T-02"), after=("T-03",))
DRAFT = Task(id="T-05", title="Draft the note", needs=("T-01",))


def told_story() -> Story:
    """A run in which everything happens once."""
    story = Story(
        *(PROFILE, COUNT, FETCH, JOIN, DRAFT),
        success_criteria=("The export takes less than a minute",),
        limits=Limits(parallelism=2),
    )
    story.wait(1).start("T-01").start("T-03").wait(30)
    story.end("T-01", cost_usd=0.25).end("T-03", "denied", "denied: WebFetch", cost_usd=0.05)
    story.start("T-02").start("T-05").wait(2).end("T-02", "error", "exit status 2: no such file")
    story.wait(1).start("T-02").wait(5).end("T-02", "timeout", "stopped after its timeout of 30m").skip(
        "T-04"
    )
    story.wait(12).end("T-05", cost_usd=0.1)
    return story.tell(RunFinished, exit=3, reason="waiting for a person")


def put(workspace: Workspace, task: TaskState, text: str) -> None:
    """Write the result of a task."""
    frame = (f"{MARK}task: {task.task.id}\n{MARK}", "")
    results.write_result(workspace.result(task.agent), frame, [text], durable=False)


def put_results(workspace: Workspace, story: Story) -> None:
    """Write the results of `told_story`."""
    tasks = story.state.by_id
    put(workspace, tasks["T-01"], "# Profile\n\nThe <b>join</b> takes 80% of the time.\n\n```\n<rows>\n```\n")
    put(workspace, tasks["T-02"], "10 a.csv\n```\n# 20 b.csv\n")
    put(workspace, tasks["T-05"], "The note: the join is slow.\n")


PLAN, SYNTHESIS = Task(id="Plan-01", worker=PLANNER), Task(id="Synthesis-01", worker=PLANNER)


def growing(text: str = "", finish: str = "all is planned") -> Story:
    """A plan that grew from two tasks, was joined, and has a revision that waits; `text` stands everywhere."""
    first = (
        Task(id="T-01", title=f"Look{text}", worker="code-analyzer"),
        Task(id="T-02", title=f"Build{text}"),
    )
    story = Story(request="Build a shop", replan="ask")
    analysis = Analysis(
        known=(f"a catalog{text}",), unknown=(f"payment{text}",), strategy=f"Look first{text}", tasks=6
    )
    story.tell(PlanRevised, by="program", call="analysis", tasks=(PLAN,)).start("Plan-01").wait(5)
    story.end("Plan-01", cost_usd=0.05)
    story.tell(
        PlanRevised, by="planner", source="Plan-01", tasks=first, analysis=analysis, reason=f"unknown{text}",
        changes=(f"added T-01 Look{text}", f"added T-02 Build{text}"), refused=(f"add X: no such type{text}",),
    )  # fmt: skip
    story.start("T-01").wait(30).end("T-01", cost_usd=0.2)
    later = (Task(id="T-03", title=f"Pay{text}", needs=("T-01",)), Task(id="T-04", title=f"Ship{text}"))
    story.tell(
        PlanRevised, by="person", reason=f"payment was found{text}", tasks=later, finish=f"{finish}{text}",
        dropped={"T-02": f"cancelled by a revision: bought{text}"}, deferred={"T-04": f"max_tasks is reached{text}"},
        changes=("added T-03 Pay", "cancelled T-02: bought"), origins={"T-03": Origin(1, "T-01", 2)},
    )  # fmt: skip
    story.start("T-03").wait(10).end("T-03", cost_usd=0.1)
    story.tell(
        PlanRevised, by="program", call="synthesis", tasks=(SYNTHESIS,), considered=("T-03",), completed=2
    )
    story.start("Synthesis-01").wait(10).end("Synthesis-01", cost_usd=0.02)
    asked = Revision(reason=f"one more{text}", add=(Draft(fields={"title": f"Test{text}"}),))
    return story.tell(RevisionProposed, by="planner", source="Synthesis-01", revision=asked)


def put_synthesis(workspace: Workspace, story: Story, text: str = "") -> None:
    """Write the answer by which the results of `growing` were joined."""
    lists = {name: [f"{name} is told{text}"] for name in ("integration", "conflicts", "missing")}
    whole = {**lists, "deliverable": f"# The shop{text}\n\nIt sells.", "consistent": False}
    whole["quality"] = {"score": 4, "reasons": [f"it was tried{text}"]}
    put(workspace, story.state.by_id["Synthesis-01"], json.dumps(whole))


parse = MarkdownIt("commonmark").enable("table").parse


def shape(text: str) -> Counter[str]:
    """How many headings, tables and raw pieces of HTML a document has, quotes left out."""
    found: Counter[str] = Counter()
    depth = 0
    for token in parse(text):
        depth += {"blockquote_open": 1, "blockquote_close": -1}.get(token.type, 0)
        kinds = [token.type, *(child.type for child in token.children or ())]
        found.update(kind for kind in kinds if kind.startswith("html"))
        if not depth:
            found.update(
                kind for kind in kinds if kind in ("heading_open", "table_open", "tr_open", "td_open", "hr")
            )
    return found
