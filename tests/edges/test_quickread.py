"""The quick reading takes good plans and gives up at whatever is unusual."""

from __future__ import annotations

import pytest

from orchestrator.edges.forms import plan_form
from orchestrator.edges.quickread import Unusual, quick_json, quick_yaml


def test_plain_words_are_resolved_by_the_place_they_stand_in() -> None:
    text = """
request: off
limits: {parallelism: 2, budget_usd: 1.5, deadline: none}
tasks:
  - {id: 1, title: "2", attempts: 3, inputs: {a: 1.10}, tools: [no], output_schema: {x: 1, y: [true, none]}}
"""
    assert quick_yaml(text.encode(), plan_form()) == {
        "request": "off",
        "limits": {"parallelism": 2, "budget_usd": 1.5, "deadline": None},
        "tasks": [
            {
                "id": "1",
                "title": "2",
                "attempts": 3,
                "inputs": {"a": "1.10"},
                "tools": ["no"],
                "output_schema": {"x": 1, "y": [True, "none"]},
            }
        ],
    }


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2",
        "a: &x 1",
        "a: &x [1]",
        "a: *x",
        "a: !!str 1",
        "a: !x {b: 1}",
        "[a]: 1",
        "request: ~",
        "a: 1\n---\nb: 1",
        "%TAG ! x:\n---\na: 1",
        "limits: {budget_usd: 'none'}",
        "[" * 100 + "]" * 100,
        "a: [",
    ],
)
def test_it_gives_up_at_unusual_yaml(text: str) -> None:
    with pytest.raises(Unusual):
        quick_yaml(text.encode(), plan_form())


def test_json_is_taken_as_it_is() -> None:
    assert quick_json('{"a": [1, 1.5, null, "\\ud83d\\ude80"]}') == {"a": [1, 1.5, None, "\U0001f680"]}


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": 9999999999999999999999}',
        '{"a": "\\ud800"}',
        '{"a": "none"}',
        '{"a": 1,}',
        '{"a":' * 100_000,
    ],
    ids=lambda text: text[:30],
)
def test_it_gives_up_at_unusual_json(text: str) -> None:
    with pytest.raises(Unusual):
        quick_json(text)
