"""What the live table says of the time to come."""

from __future__ import annotations

from story import Story

from orchestrator.core.plan import Limits, Task
from orchestrator.live import estimate


def left(story: Story) -> str:
    return estimate(story.state, story.now.timestamp())


def test_the_rest_takes_as_long_as_its_work_over_the_places() -> None:
    story = Story(*(Task(id=f"T-{n}", estimate="1m") for n in range(8)), limits=Limits(parallelism=4))
    assert left(story) == "about 2m 00s left"
    story.start("T-0").wait(30)
    assert left(story) == "about 1m 52s left"


def test_a_chain_takes_as_long_as_all_of_it_however_many_places_there_are() -> None:
    tasks = [Task(id="A", estimate="1m"), Task(id="B", estimate="2m", needs=("A",))]
    story = Story(*tasks, Task(id="C", estimate="3m", after=("B",)), Task(id="D", estimate="1m"))
    assert left(story) == "about 6m 00s left"
    story.start("A").wait(60).end("A").start("B").wait(90)
    assert left(story) == "about 3m 30s left"


def test_what_ended_tells_how_long_the_others_take_and_an_end_leaves_nothing() -> None:
    story = Story(Task(id="A"), Task(id="B", needs=("A",)))
    story.start("A").wait(40).end("A")
    assert left(story) == "about 40s left"
    story.start("B").wait(90)
    assert left(story) == ""
