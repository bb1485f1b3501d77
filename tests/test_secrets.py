"""No secret gets through.

Raw, and the worker's own, are in an attempt's folder `stdout`, `stderr` and `verify-N.out` (mode 0600): they are the
evidence, and a resumed session or a person may need them as they are. `prompt.md` and `plan.yaml` hold what the user
wrote. Everything else in the workspace, and all that a command prints, is redacted.
"""

from __future__ import annotations

import json
import os
import subprocess

from hostile import KEYS, Hostile, everything, kept, leaks, shown, spoken, used
from project import PATIENCE, PROGRAM, Project, claude, shell, until


def leaky_plan(hostile: Hostile) -> None:
    """Workers that tell all they know, wherever they can tell it."""
    report = {"status": "complete", "summary": everything(), "findings": [everything()]}
    answer = f"{everything()}\n\n```json\n{json.dumps(report)}\n```"
    talk = (spoken(everything()), used("Bash", command=f"curl -H {KEYS['GITHUB_TOKEN']}"), everything())
    hostile.says("T-01.1", answer, *talk, stderr=everything())
    hostile.says("T-02.1", everything(), *talk, is_error=True, subtype="error_during_execution", code=1)
    hostile.says("T-03.1", "", stderr=everything(), code=1)
    denied = {"tool_name": "Bash", "tool_input": {"command": f"curl {KEYS['GITHUB_TOKEN']}"}}
    hostile.says("T-04.1", "not allowed", permission_denials=[denied])
    for key in ("T-05.1", "T-05.2"):
        hostile.says(key, "done")
    print_all = "\n".join(f'printf "%s\\n" "${name}" >&2; printf "%s\\n" "${name}"' for name in KEYS)
    halves = 'head=${GITHUB_TOKEN%????????}; printf %s "$head"; printf "%s\\n" "${GITHUB_TOKEN#"$head"}"'
    coded = 'printf %s "$GITHUB_TOKEN" | base64 -w0'
    hostile.project.plan(
        *(claude(f"T-0{n}", "m", attempts=1) for n in range(1, 5)),
        claude("T-05", "m", attempts=2, verify=[f"{{ {print_all.replace(chr(10), '; ')}; }}; exit 1"]),
        shell("T-06", print_all, halves, coded, "exit 3", attempts=1),
        shell("T-07", print_all, coded),
        verify=["true"],
    )


def test_no_secret_of_the_environment_is_in_what_is_written_or_shown(hostile: Hostile) -> None:
    leaky_plan(hostile)
    project = hostile.project
    run = project.run("--json")
    assert leaks(iter([("run --json", run.out + run.err)])) == []
    assert leaks(kept(project)) == []
    names = [f"T-0{n}" for n in range(1, 8)]
    assert leaks(shown(project, *names)) == []
    assert "[redacted" in project.do("log", "T-01").out
    assert KEYS["GITHUB_TOKEN"] in (project.workspace / "attempts/T-06.1/stdout").read_text()


def test_no_secret_is_in_the_log_of_a_detached_dispatcher(hostile: Hostile) -> None:
    leaky_plan(hostile)
    project = hostile.project
    run = project.run("--detach")
    assert project.do("wait").status in (1, 3)
    log = project.workspace / "dispatcher.log"
    until(lambda: "T-06" in log.read_text(), "the end of the run in the log")
    assert leaks(iter([("run --detach", run.out + run.err)])) == []
    assert leaks(kept(project)) == []


def test_no_secret_is_in_what_a_failed_check_of_the_whole_plan_says(hostile: Hostile) -> None:
    project = hostile.project
    project.plan(shell("A", "true"), verify=['echo "used $GITHUB_TOKEN" >&2; exit 1'])
    run = project.run()
    assert run.status == 1
    assert "[redacted" in run.out + "".join(text for _, text in kept(project))
    assert leaks(iter([("run", run.out + run.err)])) == []
    assert leaks(kept(project)) == []


def test_half_a_secret_that_was_written_is_not_shown_before_the_rest_of_it(hostile: Hostile) -> None:
    project = hostile.project
    halves = 'head=${GITHUB_TOKEN%????????}; printf %s "$head"', 'printf "%s\\n" "${GITHUB_TOKEN#"$head"}"'
    project.plan(
        shell("A", "echo begun", halves[0], "touch half", "until test -e go; do sleep 0.02; done", halves[1])
    )
    run = project.start("run", "plan.yaml")
    until((project.folder / "half").exists, "the first half")
    early = project.do("log", "A").out
    follower = project.start("log", "A", "-f")
    project.go()
    project.finish(run)
    assert early == "begun\n"
    assert project.finish(follower).out == "begun\n[redacted GITHUB_TOKEN]\n"


def test_a_private_key_in_many_lines_is_redacted_to_its_end_in_a_log(hostile: Hostile) -> None:
    lines = [f"{n:02d}" + "QUJD" * 15 for n in range(20)]
    key = "\n".join(["-----BEGIN RSA " + "PRIVATE KEY-----", *lines, "-----END RSA " + "PRIVATE KEY-----"])
    (hostile.project.folder / "key").write_text(f"before\n{key}\nafter\n")
    hostile.project.plan(shell("A", "cat key"))
    hostile.project.run()
    for words in (("log", "A"), ("log", "A", "-f")):
        assert hostile.project.do(*words).out == "before\n[redacted]\nafter\n"


def test_a_check_that_prints_more_than_is_kept_leaves_no_end_of_a_secret(hostile: Hostile) -> None:
    project = hostile.project
    tail = 2000 - 10
    project.plan(
        shell("A", "true", attempts=1, verify=[f'echo "$GITHUB_TOKEN"; printf "%{tail}d" 0; exit 1'])
    )
    project.run()
    assert KEYS["GITHUB_TOKEN"][-8:] not in "".join(text for _, text in kept(project))


def on_terminal(project: Project, *words: str) -> str:
    """What a command draws on a terminal until it ends."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *words], cwd=project.folder, env=project.environment | {"TERM": "xterm", "COLUMNS": "200"},
        stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    drawn = b""
    while True:
        try:
            piece = os.read(ours, 1 << 16)
        except OSError:
            break
        if not piece:
            break
        drawn += piece
        if b"seen" in drawn:
            project.go()
    os.close(ours)
    process.wait(PATIENCE)
    return drawn.decode("utf-8", "replace")


def test_the_live_view_shows_no_secret_and_obeys_no_terminal_code_of_a_worker(hostile: Hostile) -> None:
    hostile.says("A.1", "done", waits=True)
    bell = "\\033]0;owned\\007"
    hostile.project.plan(
        claude("A", "m"),
        shell("B", f'printf "seen {bell}%s\\n" "$GITHUB_TOKEN"', "until test -e go; do sleep 0.02; done"),
    )
    drawn = on_terminal(hostile.project, "run", "plan.yaml")
    assert "seen [redacted GITHUB_TOKEN]" in drawn
    assert leaks(iter([("live", drawn)])) == []
    assert "owned" not in drawn
