from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import msgspec
import pytest
from fakes import START, Act, Simulation, Stage, plan, stream, task
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core import events
from orchestrator.core.events import AttemptFinished, PlanAccepted, RunStarted, TaskBlocked
from orchestrator.core.plan import Limits

EVENTS = get_args(events.Event)
DESIGNED = {
    "RunStarted", "PlanAccepted", "AttemptStarted", "AttemptFinished", "TaskBlocked", "TaskSkipped",
    "TaskCancelled", "TaskRetried", "RunFinished",
}  # fmt: skip


def test_every_type_of_the_contract_is_written_under_its_own_name() -> None:
    assert {kind.__struct_config__.tag for kind in EVENTS} >= DESIGNED
    assert all(kind.__struct_config__.tag == kind.__name__ for kind in EVENTS)


def test_an_event_is_one_line_with_seq_time_and_type() -> None:
    event = TaskBlocked(seq=7, time=START, task="T-01", question="Why?\nHow?")
    line = events.encode(event)
    assert b"\n" not in line
    assert msgspec.json.decode(line) == {
        "type": "TaskBlocked", "seq": 7, "time": "2025-03-01T10:00:00Z", "task": "T-01", "question": "Why?\nHow?",
    }  # fmt: skip


def test_what_has_its_default_takes_no_room() -> None:
    event = AttemptFinished(seq=1, time=START, task="a", attempt=1, outcome="success")
    assert set(msgspec.json.decode(events.encode(event))) == {
        "type", "seq", "time", "task", "attempt", "outcome",
    }  # fmt: skip


def test_fields_of_a_later_version_are_passed_over() -> None:
    line = b'{"type":"TaskSkipped","seq":1,"time":"2025-03-01T10:00:00Z","task":"a","reason":"r","more":[1]}'
    assert events.decode(line) == events.TaskSkipped(seq=1, time=START, task="a", reason="r")


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"[]",
        b"null",
        b'{"type":"TaskEaten","seq":1,"time":"2025-03-01T10:00:00Z"}',
        b'{"type":"TaskSkipped","seq":1,"time":"2025-03-01T10:00:00Z","task":"a"}',
        b'{"type":"TaskSkipped","seq":"1","time":"2025-03-01T10:00:00Z","task":"a","reason":"r"}',
        b'{"type":"TaskSkipped","seq":1,"time":"yesterday","task":"a","reason":"r"}',
        b'{"type":"TaskSkipped","seq":1,"time":"2025-03-01T10:00:00","task":"a","reason":"r"}',
    ],
)
def test_what_is_no_event_is_refused(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        events.decode(line)


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(lambda time: time.replace(tzinfo=UTC))


@given(TEXT, TEXT, TIMES, st.floats(0, 1e9), st.integers(0, 1 << 53), st.lists(TEXT).map(tuple))
def test_a_judgement_is_read_as_it_was_written(
    reason: str, summary: str, time: datetime, seconds: float, tokens: int, artifacts: tuple[str, ...]
) -> None:
    event = AttemptFinished(
        seq=3, time=time, task="a", attempt=2, outcome="error", reason=reason, summary=summary, until=time,
        seconds=seconds, input_tokens=tokens, artifacts=artifacts, exit=-9, ordered=True, whole=True,
    )  # fmt: skip
    assert events.decode(events.encode(event)) == event


def test_a_plan_is_read_as_it_was_accepted() -> None:
    accepted = plan(
        task("a", inputs={"x": "y\n"}, writes=("a", "b")),
        task("b", "a", cli="claude", run="", output_schema={"type": "object"}, idle_timeout=None),
        limits=Limits(deadline="8h", budget_usd=2.5),
        verify=("make check",),
    )
    event = PlanAccepted(seq=2, time=START, plan=accepted)
    assert events.decode(events.encode(event)) == event


def test_all_that_a_run_records_is_read_as_it_was_written() -> None:
    simulation = Simulation(plan(task("a"), task("b", "a"), verify=("x",)))
    simulation.run()
    kinds = {type(event) for event in simulation.events}
    assert RunStarted in kinds
    for event in simulation.events:
        assert events.decode(events.encode(event)) == event


def test_whatever_a_worker_wrote_the_journal_can_be_read(tmp_path: object) -> None:
    odd = stream(
        "x" * 5000, total_cost_usd=1e308, usage={"input_tokens": 10**30}, session_id="\x00", num_turns=2
    )
    stage = Stage(tmp_path, {"a": Act(stdout=odd)})  # type: ignore[arg-type]
    assert stage.play(plan(task("a", cli="claude", run="", description="x"))) == 0
    finished = stage.happened(AttemptFinished)[0]
    assert len(finished.summary) == events.SUMMARY_CHARACTERS
    assert not finished.whole
