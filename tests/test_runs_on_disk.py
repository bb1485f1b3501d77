"""Runs on a disk that is full or cannot be written, and in folders that were moved or copied."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from project import HOLD, PROGRAM, Project, note, shell, until

pytestmark = pytest.mark.real


def in_namespace(project: Project, script: str, size: str) -> subprocess.CompletedProcess[str]:
    """A script in a mount namespace of its own, with a small disk under the project's folder."""
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("needs root and unshare to mount a small disk")
    mount = f'set -u; mount -t tmpfs -o size={size} none "$PROJECT" || exit 77; cd "$PROJECT"; cp "$PLAN" plan.yaml\n'
    program = " ".join(PROGRAM)
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", "sh", "-c", mount + script.replace("ORCHESTRATE", program)],
        env={**project.environment, "PROJECT": str(project.folder), "PLAN": str(project.folder.parent / "plan.yaml")},
        capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode in (1, 77) and "unshare" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr}")
    assert done.returncode != 77, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_a_disk_filled_by_a_worker_ends_the_run_clearly_and_the_next_one_goes_on(project: Project) -> None:
    fill = 'test -e "$PLAN.filled" || { touch "$PLAN.filled"; cat /dev/zero > fill 2>/dev/null; }'
    project.plan(
        shell("A", note("start A"), "echo from A"),
        shell("B", note("start B"), fill, "echo from B", needs=["A"]),
        shell("C", note("start C"), 'cat "$ORCHESTRATE_RESULT_B"', needs=["B"]),
        name="../plan.yaml",
    )
    script = """
    ORCHESTRATE run plan.yaml; echo "first $?"
    for again in 1 2 3 4; do ORCHESTRATE run; echo "again $?"; done
    rm fill; ORCHESTRATE run; echo "last $?"
    grep -c 'from B' .orchestrator/final_output.md
    """
    done = in_namespace(project, script, "1m")
    assert "first 5\n" in done.stdout
    assert done.stdout.count("again 5\n") == 4
    assert "last 0\n" in done.stdout
    assert "free some space" in done.stderr
    assert project.noted("start A") == ["start A"]
    assert project.noted("start C") == ["start C"]


def test_a_command_that_ends_on_a_full_disk_is_not_run_again(project: Project) -> None:
    began = 'until grep -q "start B" "$STANDIN_LEDGER"; do sleep 0.02; done'
    project.plan(
        shell("A", began, "cat /dev/zero > fill 2>/dev/null", "echo from A", attempts=1),
        shell("B", note("start B"), HOLD.replace("go", '"$PLAN.go"'), note("end B"), "exit 7", attempts=1),
        name="../plan.yaml",
    )
    script = """
    ORCHESTRATE run plan.yaml; echo "first $?"
    touch "$PLAN.go"; until grep -q "end B" "$STANDIN_LEDGER"; do sleep 0.02; done; sleep 0.2
    rm fill; ORCHESTRATE run; echo "last $?"
    ORCHESTRATE status
    """
    done = in_namespace(project, script, "1m")
    assert "first 5\n" in done.stdout
    assert "last 1\n" in done.stdout
    assert "exit status 7" in done.stdout
    assert project.noted() == ["start B", "end B"]


def test_launches_that_never_came_about_do_not_fail_a_task(project: Project) -> None:
    project.plan(shell("A", "echo x"))
    project.run()
    path = project.workspace / "journal.jsonl"
    lines = path.read_text().splitlines()[:3]
    time_, seq = project.events()[0]["time"], 3
    for number in (1, 2, 3):
        begun = {"type": "AttemptStarted", "task": "A", "attempt": number, "cli": "shell"}
        ended = {"type": "AttemptFinished", "task": "A", "attempt": number, "outcome": "interrupted"}
        for event in (begun, ended) if number < 3 else (begun,):
            lines.append(json.dumps({**event, "seq": seq, "time": time_}))
            seq += 1
    shutil.rmtree(project.workspace / "attempts")
    path.write_text("\n".join(lines) + "\n")
    assert project.run().status == 0


def test_more_workers_than_files_may_be_open_run_side_by_side(project: Project) -> None:
    names = [f"T-{n}" for n in range(50)]
    project.plan(*(shell(name, note(f"start {name}"), HOLD) for name in names))
    limited = ("/bin/sh", "-c", 'ulimit -n 40; exec "$@"', "sh")
    process = project.start("run", "plan.yaml", "--parallelism", "50", inside=limited)
    until(lambda: len(project.noted()) == 50, "all of them")
    project.go()
    assert project.finish(process).status == 0
    assert sorted(project.noted()) == sorted(f"start {name}" for name in names)


def test_a_read_only_workspace_is_refused_with_what_to_do(project: Project) -> None:
    project.plan(shell("A", "echo x"), name="../plan.yaml")
    script = """
    ORCHESTRATE run plan.yaml; echo "first $?"; cp plan.yaml other.yaml; sed -i s/x/y/ other.yaml
    mount -o remount,ro none "$PROJECT"
    ORCHESTRATE run other.yaml; echo "read-only $?"
    ORCHESTRATE status; echo "status $?"
    ORCHESTRATE retry A; echo "retry $?"
    """
    done = in_namespace(project, script, "1m")
    assert "first 0\n" in done.stdout
    assert "read-only 5\n" in done.stdout
    assert "retry 5\n" in done.stdout
    assert "1 completed" in done.stdout
    assert "status 0\n" in done.stdout
    assert "Read-only file system; choose a writable place with --workspace" in done.stderr


def test_a_project_that_is_moved_goes_on_where_it_is_now(project: Project) -> None:
    project.plan(
        shell("A", note("start A"), "pwd"), shell("B", "pwd; test -e mended", needs=["A"], attempts=1)
    )
    assert project.run().status == 1
    project.folder = project.folder.rename(project.folder.with_name("moved"))
    project.workspace = project.folder / ".orchestrator"
    (project.folder / "mended").touch()
    assert project.run("--retry-failed").status == 0
    assert project.noted() == ["start A"]
    assert project.result(2).endswith(f"\n{project.folder}\n")
    assert project.document()["run"]["project"] == str(project.folder)


def test_the_copy_of_a_project_works_in_itself(project: Project) -> None:
    project.plan(shell("A", "pwd; test -e mended", attempts=1))
    assert project.run().status == 1
    copy = shutil.copytree(project.folder, project.folder.with_name("copy"))
    (copy / "mended").touch()
    project.folder, project.workspace = copy, copy / ".orchestrator"
    assert project.run("--retry-failed").status == 0
    assert project.result().endswith(f"\n{copy}\n")


def test_a_workspace_elsewhere_says_that_its_project_folder_is_gone(project: Project) -> None:
    project.plan(shell("A", "exit 1", attempts=1))
    elsewhere = str(project.folder.with_name("elsewhere"))
    project.do("--workspace", elsewhere, "run", "plan.yaml")
    project.folder = project.folder.rename(project.folder.with_name("moved"))
    done = project.do("--workspace", elsewhere, "run", "--retry-failed")
    assert done.status == 2
    assert "/project; put it back, or begin anew with `run --new`" in done.err


def test_a_folder_whose_path_is_no_text_is_refused_in_a_sentence(project: Project) -> None:
    project.plan(shell("A", "true"))
    odd = os.fsdecode(os.fsencode(project.folder) + b"\xff")
    os.rename(project.folder, odd)
    project.folder = Path(odd)
    for words in (("run", "plan.yaml"), ("plan", "plan.yaml"), ("init", "x"), ("status",)):
        done = project.do(*words)
        assert done.status == 2
        assert "is not text in UTF-8; give the folder another name" in done.err
    assert os.listdir(odd) == ["plan.yaml"]
    project.folder = Path(odd).parent
    done = project.do("--workspace", f"{odd}/w", "run", f"{odd}/plan.yaml")
    assert (done.status, os.listdir(odd)) == (2, ["plan.yaml"])


def test_what_cannot_be_written_is_named(project: Project) -> None:
    project.plan(shell("A", "rm -rf .orchestrator/results"))
    done = project.run()
    assert done.status == 5
    assert re.search(r"/results/agent-01-result.md\S*: No such file or directory", done.err)
    assert project.run().status == 0
