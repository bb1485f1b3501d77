from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.readyqueue import Entry, ReadyQueue

KINDS = st.sampled_from("abc")
STEPS = st.one_of(
    st.tuples(st.just("push"), KINDS, st.integers(0, 9)),
    st.tuples(st.just("take"), KINDS, st.just(0)),
    st.tuples(st.just("leave"), KINDS, st.just(0)),
    st.tuples(st.just("resume"), KINDS, st.just(0)),
)


@given(st.lists(STEPS, max_size=60))
def test_the_first_is_the_lowest_of_all_kinds_that_need_not_wait(steps: list[tuple[str, str, int]]) -> None:
    queue = ReadyQueue()
    expected: dict[str, list[Entry]] = {"a": [], "b": [], "c": []}
    waiting: set[str] = set()
    for number, (what, kind, priority) in enumerate(steps):
        first = queue.first()
        if what == "push":
            entry = ((f"P{priority}", 0.0, number), number)
            queue.push(entry, kind)
            expected[kind].append(entry)
        elif what == "resume":
            queue.resume()
            waiting.clear()
        elif first is not None and what == "take":
            queue.take(first[1])
            expected[first[1]].remove(first[0])
        elif first is not None and first[1] not in waiting:
            queue.leave(first[1])
            waiting.add(first[1])
        known = [(entry, one) for one, entries in expected.items() if one not in waiting for entry in entries]
        assert queue.first() == min(known, default=None)
    queue.resume()
    assert bool(queue.first()) == any(expected.values())
