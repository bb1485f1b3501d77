"""Any plan reads back, and of any bytes comes a plan or a PlanError."""

from __future__ import annotations

import json
import random

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planfiles import GOOD, parsed

from orchestrator.core.plan import Limits, Plan, Task
from orchestrator.edges.planfile import parse_plan
from orchestrator.edges.planproblems import explain
from orchestrator.errors import PlanError

letters = st.characters(
    exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029\ufeff\ufffe\uffff\ufdd0"
)
line = st.text(letters, min_size=1, max_size=12).filter(lambda text: text.strip() and text != "none")
prose = st.one_of(line, st.lists(line, max_size=3).map("\n".join)).filter(str.strip)
duration = st.sampled_from(["30m", "1h30m", "0.5s", "250ms"])
plain = st.one_of(st.none(), st.booleans(), st.integers(-(10**17), 10**17), st.floats(-1e9, 1e9), line)
schemas = st.dictionaries(
    line, st.recursive(plain, lambda inner: st.lists(inner, max_size=2), max_leaves=4), max_size=2
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    ids = [f"T-{number:02d}" for number in range(1, draw(st.integers(1, 4)) + 1)]
    tasks = tuple(draw(tasks_with(name, ids[:at])) for at, name in enumerate(ids))
    limits = Limits(
        parallelism=draw(st.integers(1, 9)),
        budget_usd=draw(st.none() | st.floats(0.01, 99)),
        deadline=draw(duration),
    )
    return Plan(
        request=draw(prose),
        tasks=tasks,
        limits=limits,
        success_criteria=tuple(draw(st.lists(prose, max_size=2))),
    )


def tasks_with(name: str, earlier: list[str]) -> st.SearchStrategy[Task]:
    return st.builds(
        Task,
        id=st.just(name),
        title=line,
        description=prose,
        worker=st.sampled_from(["general", "test-engineer"]),
        needs=st.just(tuple(earlier[:1])),
        after=st.just(tuple(earlier[1:])),
        inputs=st.dictionaries(line, prose, max_size=2),
        steps=st.lists(prose, max_size=2).map(tuple),
        priority=st.sampled_from(["P0", "P3"]),
        cli=st.sampled_from(["claude", "session"]),
        fallback_model=st.sampled_from([None, "opus"]),
        tools=st.sampled_from([None, (), ("Read", "Bash(git *)")]),
        idle_timeout=st.none() | duration,
        attempts=st.integers(1, 10**9),
        budget_usd=st.none() | st.floats(0.001, 1e6),
        estimate=st.none() | duration,
        output_schema=st.none() | schemas.map(lambda values: {"type": "object", "default": values}),
    )


@given(plans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_plan_reads_back_from_json(plan: Plan) -> None:
    tree = msgspec.to_builtins(plan)
    assert parsed(json.dumps(tree)) == plan
    assert parsed(json.dumps(tree, ensure_ascii=False, indent=1)) == plan


@given(plans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_plan_reads_back_from_yaml(plan: Plan) -> None:
    # Through JSON, which knows no tuples.
    tree = json.loads(msgspec.json.encode(plan))
    assert parsed(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False)) == plan


@given(plans())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_slow_reading_agrees_with_the_quick_one(plan: Plan) -> None:
    as_json = msgspec.json.encode(plan).decode()
    assert explain(as_json) == (plan, [])
    assert explain(yaml.safe_dump(json.loads(as_json), allow_unicode=True)) == (plan, [])


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_random_bytes_are_a_plan_error_and_nothing_else(data: bytes) -> None:
    with pytest.raises(PlanError):
        parse_plan(data, "plan.yaml")


@given(st.text(st.sampled_from("[]{}:,-?&*!|>'\"%@ \n\tab1~#"), max_size=60), st.booleans())
@settings(max_examples=300, deadline=None)
def test_random_punctuation_is_a_plan_error_and_nothing_else(text: str, inside: bool) -> None:
    with pytest.raises(PlanError):
        parse_plan((f"request: r\ntasks:\n  - {text}" if inside else text).encode(), "plan.yaml")


@pytest.mark.parametrize("seed", range(200))
def test_a_damaged_plan_never_raises_anything_but_a_plan_error(seed: int) -> None:
    chance = random.Random(seed)
    as_json = json.dumps(
        {"request": "r", "tasks": [{"id": "A", "title": "t", "attempts": 2, "needs": []}]}, indent=1
    )
    data = bytearray((GOOD if seed % 2 else as_json).encode())
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + chance.randint(1, 20)]
            case 2:
                data[at:at] = chance.choice(
                    [b"\t", b": ", b"- ", b"*x", b"&x", b"!!t ", b"[", b"}", b"\n", b"\x1b"]
                )
            case _:
                data[at:at] = data[at : at + 30]
    try:
        plan = parse_plan(bytes(data), "plan.yaml")
    except PlanError:
        return
    assert plan.tasks
