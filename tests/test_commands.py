"""Every command, its flags and its exit statuses, as typed."""

from __future__ import annotations

import json
import re

import pytest
from project import Project, shell

pytestmark = pytest.mark.real


KEYS = {
    "id", "agent", "title", "worker", "status", "outcome", "reason", "attempts", "cost_usd", "started", "ended",
    "result",
}  # fmt: skip


def test_version_and_help_say_what_there_is(project: Project) -> None:
    assert project.do("--version").out.startswith("orchestrate ")
    done = project.do("--help")
    assert done.status == 0
    for word in (
        "init",
        "validate",
        "plan",
        "run",
        "wait",
        "status",
        "log",
        "stop",
        "retry",
        "cancel",
        "aggregate",
    ):
        assert f"\n  {word} " in done.out
    for number in ("0", "1", "2", "3", "4", "5", "6", "75", "130"):
        assert re.search(rf"^ +{number} +[a-z]", done.out, re.MULTILINE)


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["run", "--parallelism", "0"],
        ["run", "--budget", "-1"],
        ["run", "no-such-plan.yaml"],
        ["run"],
        ["run", "--new"],
        ["validate"],
        ["plan"],
        ["init"],
        ["init", "x", "--from", "y"],
        ["init", "--from", "no-such-file.md"],
        ["wait"],
        ["wait", "--timeout", "soon"],
        ["retry"],
        ["retry", "A", "--failed"],
        ["retry", "A"],
        ["cancel"],
        ["cancel", "A"],
        ["stop"],
        ["log", "A"],
        ["aggregate"],
        ["--workspace", ".git/x", "status"],
        ["--workspace", "", "status"],
        ["--workspace", "/dev/null", "init", "x"],
        ["--workspace", "/dev/null/x", "status"],
        ["init", " "],
        ["run", "--budget", "nan"],
        ["run", "--budget", "1e400"],
        ["auto", "x", "--budget", "inf"],
        ["aggregate", "--synthesize", "--budget", "nan"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_as_typed_is_refused_with_2_and_makes_nothing(
    project: Project, words: list[str]
) -> None:
    done = project.do(*words)
    assert done.status == 2
    assert done.err
    assert not (project.workspace / "journal.jsonl").exists()


def test_a_link_that_leads_to_itself_is_refused_wherever_a_path_is_given(project: Project) -> None:
    (project.folder / "loop").symlink_to("loop")
    project.plan(shell("A", "true"))
    project.run()
    for words in (
        ["--workspace", "loop", "status"],
        ["--workspace", "loop", "run", "plan.yaml"],
        ["run", "loop"],
        ["init", "--from", "loop"],
        ["aggregate", "--to", "loop"],
        ["demo", "loop"],
    ):
        done = project.do(*words)
        assert (words, done.status, len(done.err.splitlines())) == (words, 2, 1)
    assert (project.folder / "loop").is_symlink()


def test_a_plan_with_problems_is_refused_and_the_workspace_is_as_it_was(project: Project) -> None:
    project.plan(shell("A", "echo x"))
    project.run()
    before = {p: p.read_bytes() for p in project.workspace.rglob("*") if p.is_file()}
    project.plan(shell("A", "echo y", needs=["B"]), {"id": "C", "cli": "shell"}, name="bad.yaml")
    for words in (["validate", "bad.yaml"], ["plan", "bad.yaml"], ["run", "bad.yaml"]):
        done = project.do(*words)
        assert (words[0], done.status) == (words[0], 2)
        assert "bad.yaml:1: " in done.err
        assert "B" in done.err
        assert "C" in done.err
    assert {p: p.read_bytes() for p in project.workspace.rglob("*") if p.is_file()} == before


def test_init_makes_a_plan_and_keeps_what_is_there(project: Project) -> None:
    begun = project.do("init", "find out why")
    assert (begun.status, bool(re.search(r"then: .* validate, then: .* plan\n$", begun.err))) == (0, True)
    plan = project.workspace / "plan.yaml"
    assert "find out why" in plan.read_text()
    assert project.do("init", "again").status == 2
    assert "find out why" in plan.read_text()
    assert project.do("init", "again", "--new").status == 0
    assert "again" in plan.read_text()
    assert any("find out why" in path.read_text() for path in project.workspace.glob("archive/*/plan.yaml"))


def test_init_refuses_while_a_run_is_unfinished(project: Project) -> None:
    project.plan(shell("A", "exit 1", attempts=1, on_failure="escalate"))
    assert project.run().status == 3
    assert project.do("init", "other").status == 2
    assert project.do("init", "other", "--new").status == 0
    assert not project.events()


def test_validate_answers_in_words_and_in_json(project: Project) -> None:
    project.plan(shell("A", "echo x"))
    assert "valid, 1 task\n" in project.do("validate", "plan.yaml").out
    assert json.loads(project.do("validate", "plan.yaml", "--json").out)["valid"] is True
    project.plan(shell("A", "echo x", needs=["A"]))
    done = project.do("validate", "plan.yaml", "--json")
    assert done.status == 2
    assert json.loads(done.out)["problems"]
    assert "tasks" in json.loads(project.do("validate", "--schema").out)["properties"]


def test_validate_points_out_a_plan_that_has_its_first_tasks_made_for_money(project: Project) -> None:
    (project.folder / "empty.yaml").write_text("request: x\nreplan: auto\ntasks: []\n")
    done = project.do("validate", "empty.yaml")
    assert (done.status, "valid, 0 tasks\nnote: there are no tasks" in done.out) == (0, True), done
    assert len(json.loads(project.do("validate", "empty.yaml", "--json").out)["warnings"]) == 1


def test_another_workspace_works_in_the_current_folder(project: Project) -> None:
    project.plan(shell("A", "pwd"))
    assert project.do("--workspace", "elsewhere/w", "run", "plan.yaml").status == 0
    assert (project.folder / "elsewhere" / "w" / "journal.jsonl").exists()
    assert not project.workspace.exists()
    text = (project.folder / "elsewhere" / "w" / "results" / "agent-01-result.md").read_text()
    assert f"{project.folder}\n" in text


def test_the_nearest_workspace_upwards_is_used(project: Project) -> None:
    project.plan(shell("A", "pwd"))
    project.run()
    (project.folder / "deep").mkdir()
    done = project.do("--workspace", str(project.workspace), "status", "--ascii")
    inner = Project.__new__(Project)
    inner.__dict__.update(project.__dict__, folder=project.folder / "deep")
    assert inner.do("status", "--ascii").out == done.out


def test_watching_where_nothing_was_run_says_so_as_status_does(project: Project) -> None:
    told = project.do("status")
    assert "nothing has been run here yet" in told.out
    assert project.do("status", "--watch") == told
    assert json.loads(project.do("status", "--watch", "--json").out)["run"]["state"] == "none"


def test_where_nothing_was_run_it_begins_with_a_plan_and_then_with_its_run(project: Project) -> None:
    ask = (("status",), ("status", "--watch"), ("wait",), ("finish", "A", "--failed", "why"))
    for words in ask:
        done = project.do(*words)
        assert (done.out + done.err).endswith("orchestrate.py init REQUEST\n"), done
    project.do("init", "x")
    lines = ["".join(project.do(*words)[1:]).rpartition("orchestrate.py ")[2] for words in ask]
    assert lines == [*["run --detach (or: run)\n"] * 3, "next\n"]


def test_status_in_json_has_the_promised_shape(project: Project) -> None:
    document = project.document()
    assert (document["format"], document["run"]["state"], document["tasks"]) == (1, "none", [])
    project.plan(shell("A", "echo x", title="one"), shell("B", "exit 1", attempts=1))
    project.run()
    document = project.document()
    run, (first, second) = document["run"], document["tasks"]
    assert {"id", "state", "exit", "cost_usd", "started", "ended", "holding"} <= set(run)
    assert (run["state"], run["exit"], run["holding"]) == ("finished", 1, None)
    assert set(first) >= KEYS
    assert (first["id"], first["agent"], first["title"], first["status"]) == (
        "A",
        "Agent-01",
        "one",
        "completed",
    )
    assert (project.workspace / first["result"]).exists()
    assert (second["status"], second["outcome"], second["attempts"]) == ("failed", "error", 1)


def test_status_is_plain_where_icons_are_not_wanted(project: Project) -> None:
    project.plan(shell("A", "echo x"))
    project.run()
    assert project.do("status", "--ascii").out.isascii()
    assert "✅" in project.do("status").out
    project.environment |= {"PYTHONIOENCODING": "ascii"}
    assert project.do("status").status == 0


def test_aggregate_writes_the_results_where_it_is_told(project: Project) -> None:
    project.plan(shell("A", "echo from A"))
    project.run()
    (project.workspace / "results" / "agent-01-result.md").unlink()
    done = project.do("aggregate", "--to", "all.md")
    assert (done.status, done.out) == (0, "all.md\n")
    assert "from A" in (project.folder / "all.md").read_text()
    assert "from A" in project.result()
    assert project.do("aggregate", "--to", "no/such/folder/x.md").status == 5


def test_cancel_and_retry_name_what_they_do_not_know(project: Project) -> None:
    project.plan(shell("Alpha", "true"))
    project.run()
    for command in ("cancel", "retry"):
        done = project.do(command, "Alpa")
        assert done.status == 2
        assert "Alpha" in done.err
    assert "it is completed" in project.do("cancel", "Alpha").err
    assert project.do("retry", "--failed").out == "nothing has failed\n"


def test_aggregate_replaces_no_file_that_is_not_an_ordinary_one(project: Project) -> None:
    project.plan(shell("A", "echo x"))
    project.run()
    link = project.folder / "link.md"
    link.symlink_to(project.folder / "target.md")
    assert project.do("aggregate", "--to", "link.md").status == 0
    assert link.is_symlink()
    assert (project.folder / "target.md").exists()
    for place in (".", "/dev/stdout"):
        done = project.do("aggregate", "--to", place)
        assert (done.status, f"{place} is not a file that can be replaced" in done.err) == (2, True)


def test_a_current_folder_that_was_removed_is_said_to_be_gone(project: Project) -> None:
    inside = ("/bin/sh", "-c", 'mkdir gone; cd gone; rmdir ../gone; exec "$@"', "sh")
    for word in ("status", "run", "demo"):
        done = project.finish(project.start(word, inside=inside))
        assert (done.status, "the current folder is not there any more" in done.err) == (5, True)


def test_a_python_that_trusts_no_folder_by_itself_finds_the_program_all_the_same(project: Project) -> None:
    project.plan(shell("A", "true"))
    inside = ("/usr/bin/env", "PYTHONSAFEPATH=1")
    assert project.finish(project.start("run", "plan.yaml", inside=inside)).status == 0


def test_validate_tells_what_is_wrong_with_the_file_of_a_worker_type_that_is_used(project: Project) -> None:
    workers = project.workspace / "templates" / "workers"
    workers.mkdir(parents=True)
    (workers / "reader.md").write_text("---\nname: reader\npermissionMode: everything\n---\nRead.\n")
    project.plan({"id": "T-01", "description": "Read it", "worker": "reader"})

    done = project.do("validate", "plan.yaml")

    assert done.status == 2
    assert "reader.md:3" in done.err
    assert "everything" in done.err
