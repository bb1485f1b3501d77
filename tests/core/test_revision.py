from __future__ import annotations

from typing import Any

import pytest

from orchestrator.core.revision import MOST_PROBLEMS, Revision, read, where


def complaints(tree: Any) -> list[str]:
    return [f"{where(problem.path)} {problem.message}" for problem in read(tree)[1]]


def test_names_are_read_whether_they_stand_in_a_list_or_alone() -> None:
    revision, problems = read(
        {"add": {"title": "X", "needs": "A", "before": "B"}, "rewire": [{"task": "C", "after": "D"}]}
    )
    assert problems == []
    assert revision.add[0].fields == {"title": "X", "needs": ["A"]}
    assert (revision.add[0].before, revision.rewire[0].after) == (("B",), ("D",))


@pytest.mark.parametrize("tree", [None, [], "add", 7, [{"title": "X"}]])
def test_what_is_no_map_is_no_revision(tree: Any) -> None:
    assert read(tree)[0] == Revision()
    assert complaints(tree) == ["the revision a revision is a map such as `add: [{title: …}]`"]


@pytest.mark.parametrize(
    ("tree", "complaint"),
    [
        ({"ad": []}, "ad there is no key 'ad'; did you mean 'add'?"),
        ({"add": "X"}, "add is a list of maps, not text"),
        ({"add": [7]}, "add[0] is a map, not a number"),
        ({"add": [{}]}, "add[0].title says nothing: a task has a title or a description"),
        ({"cancel": [{}]}, "cancel[0].task says nothing: name the task"),
        ({"cancel": [{"task": "A", "priority": "P0"}]}, "cancel[0].priority there is no key 'priority'"),
        ({"rewire": [{"task": "A", "needs": [1]}]}, "rewire[0].needs is a list of task ids, not a list"),
        ({"context": ["x"]}, "context is text, not a list"),
        ({"analysis": "x"}, "analysis is not a map"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(tree: Any, complaint: str) -> None:
    assert complaints(tree) == [complaint]


def test_the_rest_is_read_where_a_part_cannot_be() -> None:
    revision, problems = read({"add": [7, {"title": "X"}], "reason": ["no"]})
    assert [draft.fields["title"] for draft in revision.add] == ["X"]
    assert len(problems) == 2


def test_of_a_thousand_entries_a_hundred_are_read() -> None:
    revision, problems = read({"add": [{"title": str(at)} for at in range(1000)]})
    assert len(revision.add) == 100
    assert problems[0].message == "has 1,000 entries; the first 100 are read"


def test_a_flood_of_mistakes_is_not_told_whole() -> None:
    assert len(complaints({"cancel": [{f"k{at}": 1 for at in range(100)}] * 50})) == MOST_PROBLEMS


def test_long_lists_and_texts_of_a_task_are_cut() -> None:
    draft = read({"add": [{"title": "X" * 500, "steps": ["s"] * 99, "description": "d" * 30_000}]})[0].add[0]
    assert len(draft.fields["title"]) == 200
    assert len(draft.fields["steps"]) == 50
    assert len(draft.fields["description"]) == 20_000


def test_halves_of_surrogate_pairs_reach_no_file() -> None:
    tree = {
        "reason": "a\ud800",
        "add": [{"title": "T\udfff", "steps": ["s\ud800"], "\ud800": {"\ud800": "x"}}],
    }
    revision, _ = read(tree)
    assert revision.reason == "a\ufffd"
    assert revision.add[0].fields == {"title": "T\ufffd", "steps": ["s\ufffd"], "\ufffd": {"\ufffd": "x"}}
    assert complaints({"\ud800": 1}) == ["\ufffd there is no key '\\ud800'"]


def test_control_sequences_are_taken_out_of_what_people_are_shown() -> None:
    revision, _ = read({"reason": "\x1b[31mred\x1b[0m", "ask": [{"question": "Which\x07?"}]})
    assert (revision.reason, revision.ask[0].question) == ("red", "Which\ufffd?")


def test_yes_is_not_a_number_of_tasks() -> None:
    analysis = read({"analysis": {"kind": "strange", "tasks": True, "known": "One thing"}})[0].analysis
    assert analysis is not None
    assert (analysis.kind, analysis.tasks, analysis.known) == ("open-ended", 0, ("One thing",))


def test_nesting_without_end_is_cut_off() -> None:
    deep: Any = "bottom"
    for _ in range(200):
        deep = [deep]
    assert "bottom" not in str(read({"add": [{"title": "X", "inputs": deep}]})[0])


@pytest.mark.parametrize(
    "filler", ["", " ", "...", "…", "-", "N/A", "None.", "null", "no", "TBD", "**", "<none>"]
)
def test_what_stands_for_nothing_is_nothing(filler: str) -> None:
    revision, problems = read(
        {
            "finish": filler,
            "context": filler,
            "reason": filler,
            "add": [{"title": "Sow", "description": filler}, {"title": filler, "description": filler}],
            "ask": [{"question": filler}],
            "analysis": {"known": [filler], "strategy": filler},
        }
    )
    assert (revision.finish, revision.context, revision.reason) == ("", None, "")
    assert revision.add[0].fields == {"title": "Sow", "description": ""}
    assert [where(problem.path) for problem in problems] == ["add[1].title"]
    assert revision.ask[0].question == ""
    assert revision.analysis is not None
    assert (revision.analysis.known, revision.analysis.strategy) == ((), "")


@pytest.mark.parametrize(
    "said", ["No more is needed.", "Nothing is left to do", "7", "done", "没有更多的工作", "n/a to us"]
)
def test_few_words_are_words(said: str) -> None:
    assert read({"finish": said})[0].finish == said


def test_a_task_may_be_called_as_nothing_is() -> None:
    assert read({"cancel": [{"task": "None"}]})[0].cancel[0].task == "None"
