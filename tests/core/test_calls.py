from __future__ import annotations

import json
import re

import pytest

from orchestrator.core import calls
from orchestrator.core.events import Call
from orchestrator.core.outputschema import problems
from orchestrator.core.replanning import is_planning
from orchestrator.core.revision import KINDS, PLANNERS_FIELDS, read
from orchestrator.core.schemafit import misfit
from orchestrator.core.workers import PLANNER

EVERY: tuple[Call, ...] = ("analysis", "replanning", "synthesis")


@pytest.mark.parametrize("call", EVERY)
def test_the_form_of_every_answer_is_one_that_the_program_takes(call: Call) -> None:
    assert problems(calls.FORMS[call]) == []


@pytest.mark.parametrize("call", EVERY)
def test_a_call_is_a_task_of_the_program_itself_with_bounds_and_no_way_to_change_anything(call: Call) -> None:
    task = calls.call_task(call, "Plan-01", "Plan.")

    assert is_planning(task)
    assert (task.worker, task.priority, task.timeout) == (PLANNER, "P0", "20m")
    assert set(task.tools or ()) <= {"Read", "Grep", "Glob"}
    assert not task.verify


def test_ids_go_on_and_none_is_used_twice_whatever_its_case() -> None:
    assert calls.call_id("analysis", ()) == "Plan-01"
    assert calls.call_id("replanning", ("plan-01", "Plan-02", "T-01")) == "Plan-03"
    assert calls.call_id("synthesis", ("Plan-01",)) == "Synthesis-01"
    assert calls.call_id("replanning", [f"Plan-{number:02d}" for number in range(1, 100)]) == "Plan-100"


def test_a_draft_may_say_what_a_planner_may_set_and_nothing_else() -> None:
    draft = calls.FORMS["replanning"]["properties"]["add"]["items"]["properties"]

    assert set(draft) == {*PLANNERS_FIELDS, "ref", "of", "before", "reason"}


def test_every_kind_of_change_can_be_asked_for() -> None:
    assert {*KINDS, "reason", "finish", "context"} == set(calls.FORMS["replanning"]["properties"])


@pytest.mark.parametrize(("deliverable", "fits"), [("", False), (" \n", False), ("# All of it", True)])
def test_a_synthesis_that_delivers_nothing_is_none(deliverable: str, fits: bool) -> None:
    quality = {"score": 4, "reasons": []}
    answer = {"integration": [], "consistent": True, "conflicts": [], "missing": [], "quality": quality}

    def matches(pattern: str, text: str) -> bool:
        return re.search(pattern, text) is not None

    unfit = misfit(calls.FORMS["synthesis"], answer | {"deliverable": deliverable}, matches)

    assert (unfit == "") == fits, unfit


def test_of_a_synthesis_only_what_is_a_revision_is_read_as_one() -> None:
    answer = {"deliverable": "# All", "missing": ["x"], "add": [{"title": "More"}], "reason": "x"}

    revision, unread = read(json.loads(json.dumps(calls.as_revision(answer))))

    assert [draft.fields["title"] for draft in revision.add] == ["More"]
    assert unread == []
