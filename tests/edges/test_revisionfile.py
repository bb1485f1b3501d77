from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.core.revision import Change, Draft, Revision
from orchestrator.edges.revisionfile import parse_revision, read_revision
from orchestrator.errors import PlanError


def problems(text: str) -> list[str]:
    """What is wrong with a file, without its name."""
    with pytest.raises(PlanError) as caught:
        parse_revision(text, "change.yaml")
    assert all(line.startswith("change.yaml:") for line in caught.value.problems)
    return [line.removeprefix("change.yaml:") for line in caught.value.problems]


WHOLE = """\
reason: the design names two parts
add:
  - ref: cart
    title: Build the cart
    worker: code-developer
    needs: [T-01]
    before: [T-03]
    timeout: 10m
cancel:
  - task: T-04
    reason: nobody needs it
reorder:
  - {task: T-05, priority: P0}
split:
  - task: T-02
    into:
      - title: The first half
      - title: The second half
ask:
  - question: Which shop?
context: Prices are whole cents.
finish: all is planned
analysis:
  kind: evolving
  known: [a, b]
  tasks: 7
"""


def test_every_kind_of_change_is_read() -> None:
    found = parse_revision(WHOLE, "change.yaml")

    assert found.reason == "the design names two parts"
    assert found.add == (
        Draft(
            ref="cart",
            before=("T-03",),
            fields={
                "title": "Build the cart",
                "worker": "code-developer",
                "needs": ["T-01"],
                "timeout": "10m",
            },
        ),
    )
    assert found.cancel == (Change(task="T-04", reason="nobody needs it"),)
    assert found.reorder == (Change(task="T-05", priority="P0"),)
    assert [draft.fields["title"] for draft in found.split[0].into] == ["The first half", "The second half"]
    assert found.ask == (Change(task="", question="Which shop?"),)
    assert (found.context, found.finish) == ("Prices are whole cents.", "all is planned")
    assert found.analysis is not None
    assert (found.analysis.kind, found.analysis.known, found.analysis.tasks) == ("evolving", ("a", "b"), 7)


def test_json_is_read_too() -> None:
    text = json.dumps({"cancel": [{"task": "T-01"}]})

    assert parse_revision(text, "change.json") == Revision(cancel=(Change(task="T-01"),))


def test_all_problems_are_told_at_once_each_with_its_line() -> None:
    text = """\
reson: too many
add:
  - title: Build
    timeout: 10
    writes: [../outside]
  - id: T-99
    title: Mine
  - worker: general
reorder:
  - task: T-01
    priority: urgent
cancel:
  - reason: nobody needs it
accept: T-01
"""
    assert problems(text) == [
        "1: unknown key 'reson'; did you mean 'reason'?",
        "4: add 1: timeout: '10' is not a duration; write 10s or 10m",
        "5: add 1: writes: '../outside' must not contain `..`: workers stay inside the project folder",
        "6: add 2: ids are given by the program; `ref` is how this file may call the task",
        "8: add 3: description: is missing: say what the worker is to do",
        "11: reorder 1: priority: 'urgent' is not one of P0, P1, P2, P3",
        "13: cancel 1: says no `task`; name the one that is meant",
        "14: accept: expected a list of maps; write `- task: T-01`",
    ]


def test_problems_inside_a_split_have_their_lines() -> None:
    text = "split:\n  - task: T-01\n    into:\n      - title: A\n        tmeout: 5m\n      - just words\n"

    first, second = problems(text)

    assert first == "5: split 1: into 1: unknown key 'tmeout'; did you mean 'timeout'?"
    assert second.startswith("6: split 1: into 2: expected a map of ref, of, before")


def test_a_part_may_leave_to_the_whole_what_it_does() -> None:
    text = "split:\n  - task: T-01\n    into:\n      - {title: A, cli: shell, run: ls}\n      - {description: B}\n"

    assert len(parse_revision(text, "x").split[0].into) == 2


@pytest.mark.parametrize("text", ["reason: none needed", "add: []", "{}", "cancel:\n"])
def test_a_file_that_asks_for_nothing_is_refused(text: str) -> None:
    assert ": it asks for nothing" in problems(text)[-1] or "a revision is a map" in problems(text)[-1]


@pytest.mark.parametrize("text", ["- a", "just words", "[1, 2]"])
def test_what_is_no_map_is_refused(text: str) -> None:
    assert problems(text) == ["1: a revision is a map such as `add: [{title: …}]`"]


def test_text_that_would_be_cut_is_refused() -> None:
    text = "add:\n  - title: A\n    description: >-\n      " + "x" * 20_001 + "\n"

    assert problems(text) == ["3: add 1: description: is longer than 20,000 characters; shorten it"]


@pytest.mark.parametrize("text", ["add: [{title: a}", "add: &x [{title: a}]", "a: 1\n---\nb: 2", "\tadd: 1"])
def test_what_is_no_plain_yaml_is_refused_with_its_line(text: str) -> None:
    assert problems(text)[0].split(":")[0].isdigit()


def test_duplicate_keys_are_refused() -> None:
    assert problems("finish: a\nfinish: b\n") == ["2: the key 'finish' stands here twice, first in line 1"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="there is no such file"):
        read_revision(tmp_path / "nothing.yaml")
