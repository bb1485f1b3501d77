"""The end of an attempt: judged, its result written, and recorded with what follows at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

from orchestrator.attempt import Attempt
from orchestrator.attempts import Attempts
from orchestrator.core import verdict
from orchestrator.core.events import AttemptFinished, TaskBlocked, TaskCancelled
from orchestrator.core.resets import LONGEST_WAIT, reset_time
from orchestrator.core.state import RunState
from orchestrator.core.verdict import Said
from orchestrator.edges import results
from orchestrator.edges.machine import named_zone
from orchestrator.recording import Recorder
from orchestrator.resultfiles import ResultFiles


class Landing:
    """Judges the attempts of one dispatcher.

    Args:
        clock: seconds since the epoch.
        zone: in which messages of the API name times.
    """

    def __init__(
        self,
        state: RunState,
        attempts: Attempts,
        result_files: ResultFiles,
        recorder: Recorder,
        clock: Callable[[], float],
        zone: tzinfo = UTC,
    ) -> None:
        self._state = state
        self._attempts = attempts
        self._results = result_files
        self._recorder = recorder
        self._clock = clock
        self._zone = zone

    def land(self, attempt: Attempt) -> AttemptFinished:
        """Judge an attempt whose evidence is complete; its result is on disk before its end is written."""
        task = attempt.task
        ruling = verdict.judge(task.task, attempt.evidence())
        self._attempts.leave_feedback(attempt, ruling.outcome)
        text = self._results.text(task, attempt.said, ruling.outcome)
        known = results.digest(text())
        said = attempt.said or Said()
        event = AttemptFinished(
            **self._recorder.stamp(),
            task=task.task.id,
            attempt=attempt.number,
            outcome=ruling.outcome,
            reason=_reason(ruling.reason, attempt),
            exit=attempt.ending.exit if attempt.ending else None,
            seconds=round(self._seconds(attempt), 3),
            result=known.result,
            summary=known.summary,
            whole=known.whole,
            cost_usd=attempt.cost_usd,
            input_tokens=said.input_tokens,
            output_tokens=said.output_tokens,
            model=said.model,
            models=attempt.models if len(attempt.models) > 1 else {},
            report=attempt.report,
            session=said.session or task.session,
            artifacts=self._attempts.testimony.artifacts(task.task),
            denials=tuple(said.denials),
            until=self._reset(attempt, said) if ruling.outcome == "usage limited" else None,
            ordered=attempt.blameless,
        )
        self._recorder.record(event)
        if task.mark or task.trouble.kept:
            self._results.write(event, text)
        if task.mark == "blocked":
            self._recorder.record(
                TaskBlocked(
                    **self._recorder.stamp(),
                    task=task.task.id,
                    question=verdict.question(task.task, task.outcome, ruling.reason, said.denials),
                )
            )
        if attempt.order and not task.mark:
            self._recorder.record(
                TaskCancelled(**self._recorder.stamp(), task=task.task.id, order=attempt.order)
            )
        return event

    def _reset(self, attempt: Attempt, said: Said) -> datetime | None:
        """When a usage limit resets: as its event says, else as its text does, which was right when it was written."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        if attempt.lasted is not None and attempt.task.attempt_at is not None:
            now = attempt.task.attempt_at + timedelta(seconds=attempt.lasted)
        if said.until and said.until - now <= LONGEST_WAIT:
            return said.until
        return reset_time(said.text, now.astimezone(self._zone), named_zone)

    def _seconds(self, attempt: Attempt) -> float:
        return max(0.0, self._clock() - attempt.began) if attempt.lasted is None else attempt.lasted


def _reason(reason: str, attempt: Attempt) -> str:
    lingered = "it did not end after its result, and was stopped" if attempt.lingers else ""
    count = "a process" if attempt.left == 1 else f"{attempt.left} processes"
    left = f"it had left {count} behind, stopped now" if attempt.left else ""
    return "; ".join(filter(None, (reason, lingered, left)))
