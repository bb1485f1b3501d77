"""When a worker may be launched: one gate for all of a run, fed by what its workers say.

Concurrency follows the rule of TCP (Jacobson, "Congestion Avoidance and Control", 1988): it grows with every worker
that is answered, until the API refuses one; then it drops at once, and climbs back slowly. Decides by what it was
told and the time it is given, and by nothing else.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeGuard

from msgspec import Struct

from orchestrator.core.consequences import LIMIT_PAUSE
from orchestrator.core.resets import LONGEST_WAIT

FIRST_WINDOW = 4
"""Workers at once before any has answered: the default parallelism; a larger one grows with each answer."""

JUST_NOW = 2.0
"""Seconds in which the place of a worker that was served is still one, until another takes it: one that asks again
does so within its first two waits, of half a second and of one (measured)."""

QUIET = 60.0
"""Seconds without a refusal after which one more worker at once is tried."""

CACHED_FOR = 300.0
"""Seconds that the API keeps a cached prompt prefix after its last use (prompt caching, default lifetime)."""

STARTS_PER_CORE = 2
"""Workers that may be starting: each needs half a second of one core until it has written its first line."""

USUAL_MEMORY = 300 << 20
"""Bytes that a worker's process takes (measured: 200 to 310 MB)."""

LONGEST_PAUSE = 60.0
"""Seconds; after each refusal with nothing answered in between twice as long as before, from one second on."""


ANSWERED = ("success", "unverified", "invalid output", "denied", "ceiling")
"""Outcomes of a worker that the model has answered, whatever became of the work."""


class Sign(Struct, frozen=True):
    """One thing that a worker's output tells while it runs.

    `spoke`: it wrote its first line. `answered`: the model said something, for the first time or after a refusal.
    `rate limited`, `overloaded`, `refused`: a request was answered 429, 529 or 401 and is tried again by the CLI;
    `delay` are the seconds to wait before that, where the API said so.
    `window`: how full a subscription's window is (`status` allowed, allowed_warning or rejected; `utilization` 0.0
    to 1.0; `until` when it resets).
    """

    kind: Literal["spoke", "answered", "rate limited", "overloaded", "refused", "window"]
    until: datetime | None = None
    status: str = ""
    utilization: float | None = None
    delay: float = 0.0


class Hold(Struct, frozen=True):
    """Why nothing is launched now. `until` in seconds since the epoch, where it is known; `whole`: for workers of
    any kind, not only for those that share a prefix."""

    reason: str
    until: float | None = None
    whole: bool = True


class _Worker:
    def __init__(self, prefix: str, reserve: float, launch: int) -> None:
        self.prefix, self.reserve, self.launch = prefix, reserve, launch
        self.spoke = self.answered = self.limited = self.refused = False


class Governor:
    """The gate. Times are seconds since the epoch.

    Args:
        parallelism: the most workers at once that anybody wants.
        cores: of this machine.
    """

    def __init__(self, parallelism: int, cores: int) -> None:
        self._parallelism, self._starts = parallelism, cores * STARTS_PER_CORE
        self._workers: dict[str, _Worker] = {}
        self._reserved = 0.0
        self._launches = 0
        self._silent = 0
        self._window = min(parallelism, FIRST_WINDOW)
        self._cut_at: float | None = None
        self._cut_launch = 0
        self._floor = 1
        self._warned: float | None = None
        self._used: dict[str, float] = {}
        self._paused = Hold("", 0.0)
        self._refusals = 0
        self._vacated: list[float] = []

    def launched(self, key: str, prefix: str, reserve: float) -> None:
        """A worker was launched, or adopted: what it may cost, in dollars, is set apart."""
        if key in self._workers:
            return
        self._launches += 1
        self._workers[key] = _Worker(prefix, reserve, self._launches)
        self._reserved += reserve
        self._silent += 1

    def heard(self, key: str, sign: Sign, now: float) -> None:
        """Take in what a running worker's output tells."""
        worker = self._workers.get(key)
        if worker is None:
            return
        self._note_spoken(worker)
        match sign.kind:
            case "answered":
                self._note_answer(worker, now)
            case "rate limited" | "overloaded":
                worker.limited = True
                self._cut(worker, now)
                if sign.delay:
                    self.pause(f"the API is {sign.kind} and says when to ask again", now + sign.delay)
            case "refused":
                worker.refused = True
            case "window":
                self._note_window(sign, now)

    def ended(self, key: str, outcome: str, until: float | None, now: float) -> None:
        """A worker ended; `until` is when a usage limit resets, where it is known."""
        worker = self._workers.get(key)
        if worker is None:
            return
        self._note_spoken(worker)
        if worker.answered:
            self._used[worker.prefix] = now
        if outcome in ANSWERED:
            self._note_answer(worker, now)
            self._vacated.append(now)
        elif outcome in ("rate limited", "overloaded"):
            worker.limited = True
            self._cut(worker, now)
            self._pause_after_refusal(outcome, now)
        elif outcome == "unreachable":
            self._pause_after_refusal(outcome, now)
        elif outcome == "usage limited":
            self.pause("the usage limit is reached", until if _can_be(until, now) else now + LIMIT_PAUSE)
        del self._workers[key]
        # The sum of what is left would keep the rounding errors of a long run.
        self._reserved = self._reserved - worker.reserve if self._workers else 0.0

    def pause(self, reason: str, until: float) -> None:
        """Launch nothing until then; of two pauses the longer holds."""
        if until > (self._paused.until or 0.0):
            self._paused = Hold(reason, until)

    def paused(self, now: float) -> Hold | None:
        """The pause that holds now."""
        return self._paused if (self._paused.until or 0.0) > now else None

    def hold(
        self, prefix: str, reserve: float, left: float | None, memory: int | None, now: float
    ) -> Hold | None:
        """Why a worker may not be launched now; None: it may.

        Args:
            prefix: what it shares with others of its kind.
            reserve: dollars that it may cost.
            left: dollars that the run may still spend; None: as many as it likes.
            memory: bytes that are free on this machine; None: unknown.
        """
        if paused := self.paused(now):
            return paused
        if not self._workers:
            return None
        if any(worker.refused for worker in self._workers.values()):
            return Hold("the login of a worker was refused; it is asking again")
        if len(self._workers) >= self._limit(now):
            return Hold(self._why_limited())
        if self._silent >= self._starts:
            return Hold("as many workers are starting as this machine can start at once")
        if memory is not None and memory < USUAL_MEMORY:
            return Hold(f"less than {USUAL_MEMORY >> 20} MiB of memory are free")
        if left is not None and self._reserved + reserve > left:
            return Hold("what is left of the budget is set apart for the workers that run")
        if self._is_cold(prefix, now):
            return Hold("the first worker of its kind has not been answered yet", whole=False)
        return None

    @property
    def reserved(self) -> float:
        """Dollars set apart for the workers that run."""
        return self._reserved

    @property
    def starting(self) -> bool:
        """Whether a worker has not written its first line yet."""
        return self._silent > 0

    def _note_spoken(self, worker: _Worker) -> None:
        if not worker.spoke:
            worker.spoke = True
            self._silent -= 1
            del self._vacated[:1]

    def _note_answer(self, worker: _Worker, now: float) -> None:
        if worker.limited:
            del self._vacated[:1]
        worker.limited = worker.refused = False
        self._used[worker.prefix] = now
        self._refusals = 0
        if not worker.answered:
            worker.answered = True
            if self._cut_at is None:
                self._window = min(self._parallelism, self._window + 1)

    def _note_window(self, sign: Sign, now: float) -> None:
        until = sign.until.timestamp() if sign.until else None
        if not _can_be(until, now):
            until = None
        if sign.status == "rejected" and until:
            self.pause("the usage limit is reached", until)
        self._warned = until if sign.status == "allowed_warning" else None

    def _cut(self, worker: _Worker, now: float) -> None:
        """Go down to as many as are being served; by half where it is not known that so many are."""
        running = len(self._workers)
        if self._cut_at is None or worker.launch > self._cut_launch:
            self._cut_launch = self._launches
            self._floor = max(1, running // 2)
            self._window = self._limit(now)
        served = sum(other.spoke and not other.limited for other in self._workers.values())
        self._vacated = [left for left in self._vacated if now - left < JUST_NOW]
        served += len(self._vacated)
        self._window = max(1, min(self._window, max(self._floor, served)))
        self._cut_at = now

    def _limit(self, now: float) -> int:
        window = self._window
        if self._cut_at is not None:
            window = min(self._parallelism, window + int((now - self._cut_at) / QUIET))
        if self._warned is not None and self._warned > now:
            window = min(window, max(1, self._parallelism // 2))
        return window

    def _why_limited(self) -> str:
        if self._warned is not None:
            return "the usage limit is near: half as many workers at once"
        if self._cut_at is not None:
            return "the API limits the rate: fewer workers at once"
        return "more workers start as the first ones are answered"

    def _pause_after_refusal(self, outcome: str, now: float) -> None:
        if any(other.answered and not other.limited for other in self._workers.values()):
            return
        self._refusals += 1
        self.pause(f"the API is {outcome}", now + min(LONGEST_PAUSE, 2.0 ** min(self._refusals - 1, 10)))

    def _is_cold(self, prefix: str, now: float) -> bool:
        """Whether somebody is just writing this prefix into the API's cache."""
        mine = [worker for worker in self._workers.values() if worker.prefix == prefix]
        if not mine or any(worker.answered for worker in mine):
            return False
        return now - self._used.get(prefix, -CACHED_FOR) >= CACHED_FOR


def _can_be(until: float | None, now: float) -> TypeGuard[float]:
    """Whether a usage limit can reset then."""
    return until is not None and now < until <= now + LONGEST_WAIT.total_seconds()
