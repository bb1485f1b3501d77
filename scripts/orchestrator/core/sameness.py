"""Whether a changed plan makes a task another one, whose old result does not answer it any more."""

from __future__ import annotations

from msgspec.structs import replace

from orchestrator.core.plan import Task
from orchestrator.core.workers import WorkerType, model_of


def changes_work(old: Task, new: Task, was: WorkerType, now: WorkerType, asked_anew: bool) -> bool:
    """Whether a result of `old` does not answer `new`.

    Only what reaches the worker, or judges its result, counts; order, estimate and bounds do not.

    Args:
        was: the worker type of `old`, as it was then.
        now: that of `new`.
        asked_anew: the request of the plan was changed too.
    """
    if old is not new and (old.cli != new.cli or _essence(old, was) != _essence(new, now)):
        return True
    # A newer release words its own worker types differently: that alone is no reason to pay for the work again.
    own = new.cli != "shell" and not (was.bundled and now.bundled) and _role(was) != _role(now)
    return own or (asked_anew and new.cli != "shell")


def _essence(task: Task, worker: WorkerType) -> object:
    if task.cli == "shell":
        # A command sees neither its title nor what would be told to a model.
        return (task.run, task.needs, task.inputs, task.artifacts, task.verify)
    return replace(
        task,
        model=model_of(task, worker),
        after=(),
        priority="P2",
        estimate=None,
        timeout="30m",
        idle_timeout="15m",
        attempts=1,
        on_failure="skip",
        budget_usd=None,
        max_turns=None,
    )


def _role(worker: WorkerType) -> WorkerType:
    return replace(worker, description="", bundled=True)
