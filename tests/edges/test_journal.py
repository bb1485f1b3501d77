"""The journal on disk: what survives, what is refused, who may write."""

from __future__ import annotations

import os
import resource
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.core.events import AttemptFinished, AttemptStarted, Event, PlanAccepted, RunStarted
from orchestrator.core.plan import Plan, Task
from orchestrator.edges import journal
from orchestrator.edges.journal import HEADER, Journal
from orchestrator.errors import ImpossibleEvent, JournalError, WorkspaceHeld

TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def told(attempts: int = 1) -> list[Event]:
    """The events of a small run."""
    plan = Plan(request="r", tasks=(Task(id="A", cli="shell", run="x"), Task(id="B", cli="shell", run="y")))
    events: list[Event] = [
        RunStarted(seq=1, time=TIME, run="R", project="/p", pid=1, version="0"),
        PlanAccepted(seq=2, time=TIME, plan=plan),
    ]
    for number in range(1, attempts + 1):
        events += [
            AttemptStarted(seq=2 * number + 1, time=TIME, task="A", attempt=number, cli="shell"),
            AttemptFinished(
                seq=2 * number + 2, time=TIME, task="A", attempt=number, outcome="interrupted", summary="é\n"
            ),
        ]
    return events


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def written(path: Path, events: list[Event]) -> bytes:
    """The bytes of a journal of these events."""
    kept = Journal(path)
    kept.append(events)
    kept.close()
    return path.read_bytes()


def read(path: Path) -> list[Event]:
    """Every event."""
    return list(journal.read_events(path))


def test_what_was_appended_is_read(path: Path) -> None:
    events = told(100)
    written(path, events)
    assert read(path) == events


def test_a_journal_that_is_not_there_is_empty(path: Path) -> None:
    assert read(path) == []
    assert journal.load(path).run == ""
    assert not path.exists()


def test_a_journal_is_for_its_owner_alone(path: Path) -> None:
    written(path, told())
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_journal_cut_at_any_byte_is_read_up_to_there_and_goes_on(path: Path) -> None:
    events = told()
    whole = written(path, events)
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        kept = sum(end <= size for end in ends[1:])
        assert read(path) == events[:kept]
        assert path.read_bytes() == whole[:size]
        assert written(path, events[kept:]) == whole


def test_a_journal_whose_end_is_lost_in_zeros_is_cut_there(path: Path) -> None:
    whole = written(path, told())
    path.write_bytes(whole + b"\0" * (journal.BUFFER + 4096))
    assert read(path) == told()
    assert written(path, []) == whole


@pytest.mark.parametrize(
    "broken", [b"\n", b"{}\n", b'{"type":"Nothing","seq":1}\n', b"\xff\n", b"\0\n", b"[1]\n"]
)
def test_a_broken_line_is_refused_by_its_number_and_nothing_changes(path: Path, broken: bytes) -> None:
    lines = written(path, told()).splitlines(keepends=True)
    for number in range(2, len(lines) + 1):
        data = b"".join([*lines[: number - 1], broken, *lines[number:]])
        path.write_bytes(data)
        with pytest.raises(JournalError, match=rf"journal\.jsonl:{number}: .*nothing was changed"):
            journal.load(path)
        assert path.read_bytes() == data


@pytest.mark.parametrize(
    "header", [b"{}\n", b"\n", b"[]\n", b"\xff\n", b'{"format":"other","version":1}\n', HEADER[:-2] + b"\n"]
)
def test_a_file_with_another_header_is_not_a_journal(path: Path, header: bytes) -> None:
    path.write_bytes(header + b"more\n")
    with pytest.raises(JournalError, match=r":1: "):
        journal.load(path)


def test_a_journal_of_a_later_format_is_refused(path: Path) -> None:
    path.write_bytes(HEADER.replace(b"1", b"2"))
    with pytest.raises(JournalError, match="another version"):
        journal.load(path)


def test_an_event_that_cannot_follow_tells_the_task_s_story(path: Path) -> None:
    events = told()
    written(path, [*events, replace(events[-1], seq=5)])
    with pytest.raises(ImpossibleEvent, match=r":6: .*\n  line 4: AttemptStarted\n  line 5: .*\n  line 6: "):
        journal.load(path)


def test_fields_of_later_versions_are_passed_over(path: Path) -> None:
    whole = written(path, told())
    path.write_bytes(whole.replace(b'"seq":3', b'"seq":3,"colour":"red"'))
    assert read(path) == told()


def test_a_write_that_fails_leaves_whole_lines_only(path: Path) -> None:
    events = told(50)
    kept = Journal(path)
    kept.append(events[:2])
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, limits[1]))
    try:
        with pytest.raises(OSError, match="large"):
            kept.append(events[2:])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    kept.append(events[2:])
    kept.close()
    assert read(path) == events


def test_the_last_finish_of_a_task_is_found_whole(path: Path) -> None:
    written(path, told(3))
    found = journal.last_finish(path, "A")
    assert found is not None
    assert (found.attempt, found.summary) == (3, "é\n")
    assert journal.last_finish(path, "B") is None


def test_reading_along_takes_up_where_it_was_left(path: Path) -> None:
    events = told()
    written(path, events[:2])
    first = list(journal.read_from(path, 0))
    written(path, events[2:])
    assert [event for event, _ in journal.read_from(path, first[-1][1])] == events[2:]


def test_one_process_holds_the_workspace_and_the_next_learns_its_pid(tmp_path: Path) -> None:
    lock = tmp_path / "dispatcher.lock"
    assert journal.holder(lock) is None
    held = journal.hold(lock)
    assert journal.holder(lock) == os.getpid()
    with pytest.raises(WorkspaceHeld, match=rf"pid {os.getpid()}\)"):
        journal.hold(lock)
    os.close(held)
    assert journal.holder(lock) is None
    os.close(journal.hold(lock))
