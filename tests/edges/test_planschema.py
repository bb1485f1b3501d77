"""The JSON Schema of a plan file."""

from __future__ import annotations

import re

import msgspec

from orchestrator.core.plan import Plan, Task
from orchestrator.core.workers import BUNDLED, DEFAULT_MODEL
from orchestrator.edges.planfile import schema


def test_every_field_of_the_structs_is_described() -> None:
    found = schema()
    fields = {field.name for field in msgspec.structs.fields(Task)}
    assert set(found["$defs"]["Task"]["properties"]) == fields
    assert set(found["$defs"]["Defaults"]["properties"]) == fields - {"id", "needs", "after"}
    assert set(found["properties"]) == {field.name for field in msgspec.structs.fields(Plan)} | {"defaults"}
    for part in (found, *found["$defs"].values()):
        assert part["additionalProperties"] is False
        assert all(place["description"] for place in part["properties"].values())


def test_fields_that_may_be_nothing_take_the_word_none() -> None:
    task = schema()["$defs"]["Task"]["properties"]
    for name in ("budget_usd", "idle_timeout", "tools", "output_schema", "fallback_model"):
        assert {"const": "none"} in task[name]["anyOf"]
        assert {"type": "null"} in task[name]["anyOf"]
    assert "anyOf" not in task["title"]


def test_a_worker_type_is_a_plain_word_and_need_not_be_a_known_one() -> None:
    worker = schema()["$defs"]["Task"]["properties"]["worker"]
    assert worker["examples"] == list(BUNDLED)
    assert re.search(worker["pattern"], "my-own.reviewer")
    assert not re.search(worker["pattern"], "../reviewer")
    assert "enum" not in worker


def test_the_default_model_is_named() -> None:
    assert schema()["$defs"]["Defaults"]["properties"]["model"]["default"] == DEFAULT_MODEL


def test_only_what_a_plan_must_say_is_required() -> None:
    found = schema()
    assert found["required"] == ["request", "tasks"]
    assert found["$defs"]["Task"]["required"] == ["id"]
    assert found["$defs"]["Defaults"]["required"] == []


def test_only_a_plan_that_may_grow_begins_without_tasks() -> None:
    found = schema()
    assert found["if"]["properties"]["replan"]["enum"] == ["ask", "auto"]
    assert found["else"] == {"properties": {"tasks": {"minItems": 1}}}
    assert "minItems" not in found["properties"]["tasks"]
