from __future__ import annotations

import msgspec
import pytest
from fakes import task
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.plan import Plan, Task, seconds, variable_name


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30m", 1800.0), ("1h30m", 5400.0), ("0.5s", 0.5), ("250ms", 0.25), ("2d", 172_800.0), ("1m1m", 120.0)],
)
def test_a_duration_is_numbers_with_units(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "30", "m", "30 m", "-1s", "1.h", ".5s", "1h\n", "1y", "１h", "1e3s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as 30m"):
        seconds(text)


@given(st.text())
def test_a_variable_has_a_name_that_every_shell_takes(text: str) -> None:
    name = variable_name(text)
    assert len(name) == len(text)
    assert all(character.isascii() and (character.isalnum() or character == "_") for character in name)


@pytest.mark.parametrize("name", ["T-01", "a", "x.y_z-1", "A" * 64])
def test_an_id_is_letters_digits_and_a_few_signs(name: str) -> None:
    assert msgspec.convert({"id": name}, Task).id == name


@pytest.mark.parametrize("name", ["", "1a", "a/b", "..", "a b", "a\n", "A" * 65, "é", "-a", "a\x00"])
def test_an_id_cannot_become_a_path_or_an_option(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"id": name}, Task)


@pytest.mark.parametrize(
    "fields",
    [
        {"attempts": 0},
        {"attempts": True},
        {"attempts": "3"},
        {"budget_usd": 0},
        {"budget_usd": -1.0},
        {"timeout": 30},
        {"timeout": "30"},
        {"cli": "bash"},
        {"priority": "P4"},
        {"on_failure": "ignore"},
        {"needs": "a"},
        {"inputs": {"a": 1}},
        {"colour": "red"},
        {"permission_mode": "yolo"},
    ],
)
def test_what_the_schema_does_not_allow_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"id": "a"} | fields, Task)


def test_a_plan_is_read_from_json_as_it_was_written() -> None:
    one = Plan(request="r", tasks=(task("a", inputs={"k": "v"}), task("b", "a", idle_timeout=None)))
    assert msgspec.json.decode(msgspec.json.encode(one), type=Plan) == one


def test_a_task_is_named_by_its_title_else_its_id() -> None:
    assert task("a", title="Profile").name == "Profile"
    assert task("a").name == "a"


@pytest.mark.parametrize("field", ["artifacts", "verify", "writes"])
def test_a_task_declares_work_by_what_it_leaves_behind(field: str) -> None:
    assert msgspec.structs.replace(task("a"), **{field: ("x",)}).declares_work
    assert not task("a").declares_work
