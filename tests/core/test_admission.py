from __future__ import annotations

from typing import Any

from revisions_of import asked, checked, revise, run, statuses, work
from story import Story

from orchestrator.core.events import TaskRetried
from orchestrator.core.plan import Limits


def grown(**limits: Any) -> Story:
    """A run with one task done and one found on the way, of little importance."""
    story = run(work("A"), limits=Limits(**limits)).start("A").end("A")
    revise(story, considered=("A",), add=[{"title": "Nice", "priority": "P3"}])
    return story


def vital(**fields: Any) -> list[dict[str, Any]]:
    return [{"title": "Vital", "priority": "P0", **fields}]


def test_no_revision_adds_more_than_max_growth() -> None:
    found = revise(run(work("A"), limits=Limits(max_growth=2)), add=[{"title": f"N {at}"} for at in range(4)])
    assert found.deferred == dict.fromkeys(("T-03", "T-04"), "deferred: max_growth of 2 is reached")


def test_a_discovery_of_discoveries_ends_at_max_depth() -> None:
    story = grown(max_depth=1)
    found = revise(story, add=[{"title": "Deeper", "of": "T-01"}])
    assert found.deferred == {"T-02": "deferred: deeper than max_depth of 1"}


def test_a_vital_task_takes_along_what_it_needs() -> None:
    story = run(work("A"), limits=Limits(max_tasks=3))
    add = [{"title": "Usual"}, *vital(needs=["base"]), {"title": "Base", "ref": "base", "priority": "P3"}]
    assert list(revise(story, add=add).deferred) == ["T-01"]


def test_a_task_that_does_not_fit_with_what_it_needs_is_put_off_alone() -> None:
    story = run(work("A"), limits=Limits(max_tasks=2))
    found = revise(story, add=[*vital(needs=["base"]), {"title": "Base", "ref": "base"}])
    assert list(found.deferred) == ["T-01"]
    assert statuses(story) == {"A": "pending", "T-01": "skipped", "T-02": "pending"}


def test_what_somebody_began_or_waits_for_is_not_displaced() -> None:
    assert list(revise(grown(max_tasks=2).start("T-01"), add=vital()).deferred) == ["T-02"]
    assert list(revise(grown(max_tasks=2), add=vital(needs=["T-01"])).deferred) == ["T-02"]


def test_what_a_person_is_asked_about_is_not_displaced() -> None:
    found = revise(grown(max_tasks=2), add=vital(), ask=[{"task": "T-01", "question": "Is it needed?"}])
    assert list(found.deferred) == ["T-02"]


def test_who_was_to_wait_for_a_task_that_is_put_off_does_not() -> None:
    story = run(work("A"), limits=Limits(max_tasks=1))
    assert list(revise(story, add=[{"title": "X", "before": ["A"]}]).deferred) == ["T-01"]
    assert statuses(story) == {"A": "pending", "T-01": "skipped"}


def test_a_split_without_room_for_all_its_parts_is_refused() -> None:
    story = run(work("A"), limits=Limits(max_tasks=2))
    found = revise(story, split=[{"task": "A", "into": [{"title": str(at)} for at in range(3)]}])
    assert found.refused == ("split A: deferred: max_tasks of 2 is reached",)


def test_a_task_put_off_stays_so_whatever_its_needs_become() -> None:
    story = run(work("A", attempts=1), limits=Limits(max_tasks=1))
    revise(story, add=[{"title": "X", "needs": ["A"]}])
    story.start("A").end("A", "error")
    revise(story, accept=[{"task": "A"}])
    assert statuses(story) == {"A": "failed", "T-01": "skipped"}
    story.tell(TaskRetried, task="T-01")
    assert statuses(story)["T-01"] == "pending"


def test_only_so_many_tasks_are_put_off_and_kept() -> None:
    story = run(work("A"), limits=Limits(max_tasks=1))
    for batch in range(2):
        found = checked(story, asked(add=[{"title": f"N {batch} {at}"} for at in range(100)]))
        revise(story, add=[{"title": f"N {batch} {at}"} for at in range(100)])
    assert len(story.state.replanning.deferred) == 100
    assert found.refused[0].endswith("max_tasks of 1 is reached, and 100 wait already")
