"""The commands by which a session works on tasks of its own (`cli: session`): next, start, finish."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.options import ascii_option, json_option, print_json, workspace_of

OF_BEGINNING = """\b
Exit codes:
  0    done
  2    bad usage: nothing was changed
  5    the environment
"""
OF_FINISH = """\b
Exit codes:
  0    done; the result was accepted
  1    the verdict is not success; what failed and what is next is said
  2    bad usage: nothing was changed
  3    the verdict waits for a person
  5    the environment
  75   handed in; the verdict is still to come
"""


@click.command("next", epilog=OF_BEGINNING)
@json_option
@ascii_option
@click.pass_context
def next_command(context: click.Context, as_json: bool, ascii_only: bool) -> int:
    """Show the tasks that this session can work on now, each with its prompt.

    Begins the run of plan.yaml where there is none yet and all the tasks it begins with are for a session.
    """
    from orchestrator import insession, offering

    workspace = workspace_of(context)
    banner, tasks, more = insession.next_tasks(workspace, Path.cwd(), ascii_only=ascii_only)
    if not tasks and (changed := insession.changed_plan(workspace)):
        click.echo(f"note: {changed}", err=True)
    if as_json:
        print_json({"tasks": tasks, "more": more})
        return 0
    if not tasks:
        click.echo("nothing is ready for a session")
        return 0
    click.echo(banner)
    shown: dict[str, str] = {}
    for task in tasks:
        offering.show(task, shown.get(task.worker, "") if task.shared else "")
        if task.shared and task.whole:
            shown.setdefault(task.worker, task.task)
    if more:
        click.echo(f"… and {more} more, once these are finished")
    return 0


@click.command(epilog=OF_BEGINNING)
@click.argument("task")
@json_option
@click.pass_context
def start(context: click.Context, task: str, as_json: bool) -> int:
    """Record that this session begins TASK, and print its prompt. Work only after that.

    Begins the run of plan.yaml where there is none yet, as `next` does. A task that was started and not
    finished, by a session that is gone, can still be finished or cancelled. Its timeout bounds the work
    softly: once it has passed, `status` calls the task overdue; only you end it.
    """
    from orchestrator import insession, offering

    ready = insession.start(workspace_of(context), task, Path.cwd())
    if as_json:
        print_json(ready)
    else:
        offering.show(ready)
    return 0


@click.command(epilog=OF_FINISH)
@click.argument("task")
@click.option("--result", type=click.Path(path_type=Path), help="The result: a text, at most 10 MB.")
@click.option("--report", type=click.Path(path_type=Path), help="The report, if not in the result.")
@click.option("--failed", default=None, metavar="REASON", help="There is no result, and why.")
@json_option
@click.pass_context
def finish(
    context: click.Context,
    task: str,
    result: Path | None,
    report: Path | None,
    failed: str | None,
    as_json: bool,
) -> int:
    """Hand in what came of TASK; artifacts, verify and output_schema are checked as for any worker.

    Where the task has an output_schema, the result is that JSON and nothing else. What was handed in for an
    attempt first counts: again, after a `finish` that was cut off, this gives the verdict on that. The task's
    timeout bounds its checks.
    """
    from orchestrator import insession
    from orchestrator.errors import UsageError

    if failed is not None and (result is not None or not failed.strip()):
        raise UsageError("--failed takes a reason, and stands without --result")
    handed = insession.Handed(result, report, failed or "")
    status, text = insession.finish(workspace_of(context), task, handed)
    if as_json:
        print_json({"task": task, "exit": status, "verdict": text})
    else:
        click.echo(text)
    return status


COMMANDS = (next_command, start, finish)
