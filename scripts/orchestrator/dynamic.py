"""The dynamic loop on top of the dispatcher: asks for plans, applies what is answered, takes revisions from people.

A planning call is a task like any other: it is journaled before it starts, judged, and never paid for twice. Its
answer becomes part of the plan by one event; between the two a crash loses nothing, for the answer is on disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from orchestrator.core import calls, consequences, planningbrief, rounds
from orchestrator.core.events import Call, PlanRevised, RevisionProposed, RevisionRejected, TaskBlocked
from orchestrator.core.plan import Names, Task
from orchestrator.core.replanning import is_planning
from orchestrator.core.revising import Revised, revised
from orchestrator.core.revision import By, Revision, read, where
from orchestrator.core.state import RunState
from orchestrator.core.text import one_line
from orchestrator.core.workers import WorkerType
from orchestrator.dispatcher import Dispatcher
from orchestrator.edges import results
from orchestrator.edges.inbox import Order
from orchestrator.edges.views import Views
from orchestrator.edges.workspace import Workspace
from orchestrator.resultfiles import ResultFiles

LARGEST_ANSWER = 1 << 20
"""Characters of a planning answer that are read: what is more is no plan."""

FOUND_MISSING = "what the synthesis found missing"
NOTHING_MISSING = "the results are joined and nothing is missing"
NOT_OPENED_AGAIN = "the results are joined; no other round is opened for what is missing"
NOTHING_SAID = "it says nothing"


class Suggestion(NamedTuple):
    """A revision that somebody asks for, and where it comes from: a file of the inbox, or a planning call.

    `considered` are the tasks whose reports it follows from; `unread` is what could not be read of it.
    """

    revision: Revision
    by: By
    order: str = ""
    source: str = ""
    considered: Names = ()
    unread: Names = ()


class Planner:
    """Changes the plan of one run while it goes on.

    Args:
        types: the worker types that a task may be given.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        workspace: Workspace,
        views: Views,
        result_files: ResultFiles,
        types: Mapping[str, WorkerType],
    ) -> None:
        self._dispatcher = dispatcher
        self._state: RunState = dispatcher.state
        self._workspace = workspace
        self._views = views
        self._results = result_files
        self._types = types

    def turn(self, *, may_call: bool) -> None:
        """Apply an answer that has come, begin the call that is due then, ask a person where no call has helped."""
        if name := rounds.answered(self._state):
            self._take_answer(name)
        now = self._dispatcher.stamp()["time"]
        if may_call and (due := rounds.wanted(self._state, now)):
            self._begin(due.call, due.considered)
        for task in rounds.to_escalate(self._state):
            question = consequences.question(task.task, task.outcome, task.reason)
            event = TaskBlocked(**self._dispatcher.stamp(), task=task.task.id, question=question)
            self._dispatcher.record(event)

    def join(self) -> None:
        """Begin a synthesis of what there is, wherever the rounds stand."""
        self._begin("synthesis", rounds.to_join(self._state))

    def obey(self, order: Order) -> bool:
        """Take in what a person says about the plan: a revision of their own, or yes or no to one that waits.

        Returns:
            False: not yet. A revision waits its turn behind one that a person has not decided about.
        """
        proposed = self._state.replanning.proposed
        if order.order == "revise":
            if proposed is None and order.revision is not None:
                self._take(Suggestion(order.revision, "person", order=order.name))
            return proposed is None
        if proposed is None or order.about not in (0, proposed.seq):
            # Decided meanwhile: it was not this one that was shown to the person.
            return True
        if order.order == "approve":
            shown = Suggestion(
                proposed.revision,
                proposed.by,
                order.name,
                proposed.source,
                proposed.considered,
                proposed.refused,
            )
            self._take(shown, approved=True)
        else:
            reason = one_line(order.text, 500) or "a person does not want it"
            stamp = self._dispatcher.stamp()
            event = RevisionRejected(
                **stamp, by="person", reason=reason, source=proposed.source, order=order.name
            )
            self._dispatcher.record(event)
        return True

    def _take_answer(self, name: str) -> None:
        asked = self._state.replanning.calls[name]
        tree, wrong = self._answer(name)
        revision, problems = read(calls.as_revision(tree))
        unread = (*wrong, *(f"{where(problem.path)} {problem.message}" for problem in problems))
        if asked.call == "synthesis":
            made = len(self._state.replanning.syntheses) - 1
            add = revision.add if rounds.synthesis_may_add(self._state, made) else ()
            short = revision.add or tree.get("missing")
            reason = FOUND_MISSING if add else NOT_OPENED_AGAIN if short else NOTHING_MISSING
            revision = Revision(reason=reason, add=add)
        self._take(Suggestion(revision, "planner", source=name, considered=asked.considered, unread=unread))

    def _answer(self, name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
        """What a planning call answered, as data, and what is wrong with it."""
        task = self._state.by_id[name]
        path = self._workspace.result(task.agent)
        if not path.exists():
            self._results.restore(task)
        text = ""
        for piece in results.body(path):
            text += piece
            if len(text) > LARGEST_ANSWER:
                return {}, (f"the answer is longer than {LARGEST_ANSWER:,} characters",)
        try:
            tree = msgspec.json.decode(text.strip())
        except (msgspec.DecodeError, RecursionError) as error:
            return {}, (f"the answer is not JSON: {one_line(str(error), 200)}",)
        return (tree, ()) if isinstance(tree, dict) else ({}, ("the answer is not a JSON object",))

    def _take(self, suggestion: Suggestion, *, approved: bool = False) -> None:
        """Apply what holds of a suggestion, or put it before a person where the plan says so."""
        plan, growth, revision = self._state.plan, self._state.replanning, suggestion.revision
        assert plan is not None
        call = growth.calls.get(suggestion.source)
        first = growth.first is None or (call is not None and call.call == "analysis")
        found = revised(self._state, revision, self._types, suggestion.by, suggestion.considered, first=first)
        facts: dict[str, Any] = {**self._dispatcher.stamp(), "by": suggestion.by}
        facts |= {"source": suggestion.source, "order": suggestion.order}
        if found.changes and plan.replan == "ask" and not approved:
            facts |= {"considered": suggestion.considered, "refused": suggestion.unread}
            self._dispatcher.record(RevisionProposed(**facts, revision=revision))
            return
        facts["refused"] = refused = (*suggestion.unread, *found.refused)
        if suggestion.by == "planner" and refused and not found.changes:
            facts["again"] = again = growth.untold(suggestion.source)
            if again or not growth.refused:
                # What was refused is said back once before the planning ends by such an answer.
                revision = replace(revision, finish="")
        if found.changes or revision.context or revision.finish or revision.analysis:
            self._revise(revision, found, {**facts, "considered": suggestion.considered})
        else:
            reason = "; ".join(refused) or revision.reason or NOTHING_SAID
            self._dispatcher.record(RevisionRejected(**facts, reason=one_line(reason, 500)))

    def _revise(self, revision: Revision, found: Revised, facts: Mapping[str, Any]) -> None:
        event = PlanRevised(
            **facts, reason=revision.reason, tasks=found.tasks, dropped=found.dropped, deferred=found.deferred,
            asked=found.asked, origins=found.origins, reassigned=found.reassigned, in_vain=found.in_vain,
            changes=found.changes, near=found.near, context=revision.context, analysis=revision.analysis,
            finish=revision.finish, workers=self._types_of(found.tasks),
        )  # fmt: skip
        question = found.asked.get("")
        self._dispatcher.revise(self._with_question(event, question) if question else event)

    def _with_question(self, event: PlanRevised, question: str) -> PlanRevised:
        """A question about the whole holds up the next planning call, which is told the answer."""
        task = self._call_task(
            "replanning", event.considered, event.tasks, question=question, changes=event.changes
        )
        asked = {name: text for name, text in event.asked.items() if name} | {task.id: question}
        workers = self._types_of((*event.tasks, task))
        return replace(event, tasks=(*event.tasks, task), asked=asked, call="replanning", workers=workers)

    def _begin(self, call: Call, considered: Sequence[str]) -> None:
        """Add the planning call that is due to the plan; the scheduler launches it in its turn."""
        task = self._call_task(call, considered)
        workers = [one for one in self._state.tasks if not is_planning(one.task)]
        event = PlanRevised(
            **self._dispatcher.stamp(), by="program", reason=calls.TITLES[call], tasks=(task,), call=call,
            completed=sum(one.mark == "completed" for one in workers), considered=tuple(considered),
            workers=self._types_of((task,)),
        )  # fmt: skip
        self._dispatcher.revise(event)

    def _call_task(
        self, call: Call, considered: Sequence[str], beside: Sequence[Task] = (), **about: Any
    ) -> Task:
        state = self._state
        used = (*state.by_id, *state.retired, *(task.id for task in beside))
        paths = {
            task.task.id: str(self._workspace.result(task.agent))
            for task in state.tasks
            if task.mark == "completed"
        }
        told = planningbrief.variables(state, call, self._types, considered, paths, **about)
        return calls.call_task(call, calls.call_id(call, used), self._views.planning(call, told))

    def _types_of(self, tasks: Sequence[Task]) -> tuple[WorkerType, ...]:
        names = dict.fromkeys(task.worker for task in tasks)
        return tuple(self._types[name] for name in names if name in self._types)
