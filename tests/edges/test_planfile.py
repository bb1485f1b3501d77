"""Plan files: what reads back, and what is said about those that do not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from planfiles import GOOD, parsed

from orchestrator.core.plan import Limits, Task
from orchestrator.edges import planfile
from orchestrator.edges.planfile import LARGEST_FILE, MOST_PROBLEMS, parse_plan, read_plan, read_text
from orchestrator.errors import PlanError

CORPUS = Path(__file__).parent.parent / "corpus"
ONE = "request: r\ntasks:\n  - id: T-01\n    title: t\n"


def task(lines: str) -> Task:
    return parsed(f"{ONE}    {lines}\n").tasks[0]


def complaints(data: str | bytes) -> list[str]:
    with pytest.raises(PlanError) as caught:
        parse_plan(data.encode() if isinstance(data, str) else data, "plan.yaml")
    return caught.value.problems


def bad_plans() -> list[Path]:
    return sorted(path for path in CORPUS.iterdir() if path.suffix != ".expected")


@pytest.mark.parametrize("path", bad_plans(), ids=lambda path: path.name)
def test_every_problem_of_a_bad_plan_is_told_with_its_line(path: Path) -> None:
    with pytest.raises(PlanError) as caught:
        parse_plan(path.read_bytes(), path.name)
    assert caught.value.exit_code == 2
    assert str(caught.value) == path.with_name(path.name + ".expected").read_text("utf-8").rstrip("\n")


def test_defaults_apply_where_a_task_says_nothing_and_inputs_are_merged() -> None:
    plan = parsed(GOOD)
    assert [one.model for one in plan.tasks] == ["haiku"] * 3
    assert plan.tasks[0].inputs == {"path": "src", "mode": "1.10"}
    assert plan.tasks[1].inputs == {"path": "src", "mode": "quick"}
    assert plan.limits == Limits(parallelism=2, budget_usd=2.5, deadline="1h30m")


def test_words_are_text_where_text_is_expected() -> None:
    plan = parsed("request: no\nreplan: off\nsuccess_criteria: [yes, 2024-01-01, 1.10, on]\n" + ONE[11:])
    assert (plan.request, plan.replan) == ("no", "off")
    assert plan.success_criteria == ("yes", "2024-01-01", "1.10", "on")
    assert task("inputs: {a: 1.50, b: true, c: 0x1F, d: '', e: }").inputs == {
        "a": "1.50", "b": "true", "c": "0x1F", "d": "", "e": ""
    }  # fmt: skip


@pytest.mark.parametrize("word", ["none", "null", "~", "", "'none'", "None"])
def test_nothing_can_be_written_in_several_ways(word: str) -> None:
    assert task(f"idle_timeout: {word}").idle_timeout is None
    assert task(f"fallback_model: {word}").fallback_model is None
    assert task(f"budget_usd: {word}").budget_usd is None
    assert task(f"tools: {word}").tools is None


def test_values_inside_an_output_schema_have_their_types() -> None:
    schema = "{type: object, properties: {n: {default: 1, enum: [1.5, true, null, none, '1', off]}}}"
    found = task(f"output_schema: {schema}").output_schema
    assert found == {
        "type": "object",
        "properties": {"n": {"default": 1, "enum": [1.5, True, None, "none", "1", "off"]}},
    }


def test_json_numbers_and_none_mean_what_they_mean_in_yaml() -> None:
    task = '{"id": "A", "title": 1.10, "inputs": {"n": 1.50}, "idle_timeout": "none"}'
    (one,) = parsed('{"request": "r", "tasks": [' + task + "]}").tasks
    assert (one.title, one.inputs, one.idle_timeout) == ("1.10", {"n": "1.50"}, None)


def test_a_plan_in_flow_style_that_is_not_json_is_read_as_yaml() -> None:
    assert parsed("{request: r, tasks: [{id: A, title: t},]} # done\n").tasks[0].id == "A"


def test_a_byte_order_mark_and_windows_line_ends_are_accepted() -> None:
    assert parse_plan(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode(), "plan.yaml") == parsed(GOOD)


def test_escaped_surrogate_pairs_in_json_are_letters() -> None:
    text = json.dumps({"request": "\U0001f680", "tasks": [{"id": "A", "title": "t"}]})
    assert "\\ud83d" in text
    assert parsed(text).request == "\U0001f680"


def test_a_description_of_nearly_two_megabytes_is_accepted() -> None:
    words = "word " * 399_000
    assert len(task(f"description: {words}").description) == len(words) - 1
    assert len(task('description: "' + words + '"').description) == len(words)


def test_a_description_of_five_megabytes_is_one_problem() -> None:
    found = complaints(f"request: r\ntasks:\n  - id: T-01\n    description: {'word ' * 1_000_000}\n")
    assert found == [
        "plan.yaml:4: T-01: description: is too much for a prompt (2,000,000 characters with its inputs); "
        "use a file"
    ]


def test_a_misspelled_default_is_told_once_at_its_own_line() -> None:
    tasks = "".join(f"  - {{id: T-{number}, title: t}}\n" for number in range(20))
    found = complaints(f"request: r\ndefaults:\n  worker: code-analyser\n  timeout: 30\ntasks:\n{tasks}")
    assert found == [
        "plan.yaml:3: defaults: worker: there is no worker type 'code-analyser'; "
        "did you mean 'code-analyzer'?",
        "plan.yaml:4: defaults: timeout: '30' is not a duration; write 30s or 30m",
    ]


def test_a_wrong_field_is_not_also_called_missing() -> None:
    assert len(complaints("request: r\ntasks:\n  - {id: A, descripton: d}\n")) == 1
    assert len(complaints("request: r\ntasks:\n  - {id: A, cli: shel, run: ls}\n")) == 1
    assert (
        len(complaints("request: r\ntasks:\n  - {id: A, title: [t]}\n  - {id: b/c, title: t, needs: [A]}\n"))
        == 2
    )


def test_only_the_first_problems_are_listed_and_the_rest_counted() -> None:
    tasks = "".join(f"  - {{id: T-{number}, titel: t}}\n" for number in range(500))
    found = complaints("request: r\ntasks:\n" + tasks)
    assert len(found) == MOST_PROBLEMS + 1
    assert found[-1] == "plan.yaml: … and 400 more problems"


@pytest.mark.parametrize(
    "bomb",
    [
        "request: " + "[" * 100_000,
        "{" * 100_000,
        '{"a":' * 100_000,
        "[" * 100_000 + "]" * 100_000,
        "- " * 50_000,
        "? " * 50_000,
        f"{ONE}    output_schema: " + "{a: " * 5_000 + "}" * 5_000,
        "k" * 5_000_000 + ": 1",
        '"' + "k" * 100_000 + '": 1',
        "request: !!python/object/apply:os.system [true]",
        "%YAML 1.3\n---\nrequest: r",
        f"{ONE}    attempts: " + "9" * 100_000,
        '{"request": "r", "limits": {"parallelism": ' + "9" * 100_000 + "}}",
        '{"request": NaN}',
        "a: &a [x]\n" + "".join(f"k{n}: [*a, *a]\n" for n in range(5_000)),
        "@",
        "`x`",
        "*x",
        "&x",
        "!",
        "---\n---\n",
        "...",
        "#",
        "~",
        '"',
        "{",
        '{"',
        "[]",
        "{}",
        "tasks: {}",
        "request: r\ntasks: [[[]]]",
        "request: r\ntasks: ~",
        "request: r\ndefaults: 1\ntasks: 1",
        "request: r\nlimits:\ntasks: [{id: {}, needs: {}, inputs: {[]: 1}}]",
    ],
    ids=lambda bomb: bomb[:20],
)
def test_a_bomb_is_refused_in_few_words(bomb: str) -> None:
    found = complaints(bomb)
    assert found
    assert all(line.startswith("plan.yaml:") and len(line) < 400 and line.isprintable() for line in found)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "plan.yaml: the file is empty"),
        (b" \n\t\n", "plan.yaml: the file is empty"),
        (b"\xef\xbb\xbf", "plan.yaml: the file is empty"),
        (b"a: b\n\x00", "plan.yaml:2: byte 5 is NUL: this is not a text file"),
        (b"\x7fELF\x02\x01\x01\x00", "plan.yaml:1: byte 7 is NUL: this is not a text file"),
        (b"a: b\nc: \xff", "plan.yaml:2: byte 8 (0xff) is not UTF-8; save the file as UTF-8"),
        ("a: b".encode("utf-16"), "plan.yaml:1: the file is UTF-16; save it as UTF-8"),
        (b"#" * (LARGEST_FILE + 1), "plan.yaml: the file is larger than 128 MB"),
    ],
    ids=["empty", "blank", "mark only", "nul", "binary", "latin-1", "utf-16", "huge"],
)
def test_what_is_not_text_gets_one_message(data: bytes, message: str) -> None:
    assert complaints(data) == [message]


def test_what_cannot_be_read_gets_one_message(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path, "folder"),
        (tmp_path / "no.yaml", "no such file"),
        (tmp_path / "a\0b", "name"),
    ):
        with pytest.raises(PlanError, match=words) as caught:
            read_plan(path)
        assert len(caught.value.problems) == 1


def test_a_file_name_with_control_characters_is_shown_escaped(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m.yaml"
    path.write_text("tasks: []\n")
    with pytest.raises(PlanError) as caught:
        read_plan(path)
    assert str(caught.value).replace("\n", "").isprintable()


def test_without_libyaml_the_pure_loader_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = parsed(GOOD)
    wrong = complaints(GOOD.replace("attempts: 2", "attempts: two"))
    monkeypatch.delattr(yaml, "CSafeLoader")
    assert parsed(GOOD) == quick
    assert complaints(GOOD.replace("attempts: 2", "attempts: two")) == wrong


def test_a_default_idle_timeout_is_for_workers_alone() -> None:
    tasks = "tasks:\n  - {id: A, title: t}\n  - {id: B, cli: shell, run: ls}\n"
    plan = parsed(f"request: r\ndefaults: {{idle_timeout: 5m}}\n{tasks}")
    assert [one.idle_timeout for one in plan.tasks] == ["5m", "15m"]
    assert complaints(f"request: r\ndefaults: {{idle_timeout: 5m}}\n{tasks}    idle_timeout: 1m\n") != []
    own = tasks.replace("run: ls", "run: ls, idle_timeout: 1m")
    (found,) = complaints(f"request: r\ndefaults: {{idle_timeout: 5m}}\n{own}")
    assert found.startswith("plan.yaml:5: B: idle_timeout: does not hold for a command")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with a worker type of its own; elsewhere, a current folder and a home without any."""
    agents = tmp_path / "project" / ".claude" / "agents"
    agents.mkdir(parents=True)
    (agents / "reviewer.md").write_text("---\nname: reviewer\n---\nReview it.\n")
    (tmp_path / "project" / ".orchestrator").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path / "project"


def test_a_plan_may_name_the_worker_types_of_the_workspace_that_it_lies_in(project: Path) -> None:
    path = project / ".orchestrator" / "plan.yaml"
    path.write_text(f"{ONE}    worker: reviewer\n")
    assert read_plan(path).tasks[0].worker == "reviewer"
    path.write_text(f"{ONE}    worker: reviwer\n")
    with pytest.raises(PlanError, match=r"no worker type 'reviwer'; did you mean 'reviewer'\?"):
        read_plan(path)


def test_a_plan_elsewhere_may_name_the_worker_types_of_the_current_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project.parent / "plan.yaml"
    path.write_text(f"{ONE}    worker: reviewer\n")
    with pytest.raises(PlanError, match="no worker type 'reviewer'"):
        read_plan(path)
    assert read_plan(path, known=("reviewer",)).tasks[0].worker == "reviewer"
    monkeypatch.chdir(project)
    assert read_plan(path).tasks[0].worker == "reviewer"


def test_no_folder_is_listed_for_the_programs_own_worker_types(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project / "plan.yaml"
    path.write_text(f"{ONE}    worker: test-engineer\n")
    monkeypatch.setattr(os, "walk", pytest.fail)
    assert read_plan(path).tasks[0].worker == "test-engineer"


def test_a_plan_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert read_plan(path) == parsed(GOOD)
    assert read_text(path) == GOOD


def test_a_plan_can_come_through_a_pipe_and_one_that_stays_empty_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.write(writer, ONE.encode())
    os.close(writer)
    assert read_plan(Path(f"/dev/fd/{reader}")).tasks[0].id == "T-01"
    os.close(reader)

    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(planfile, "PATIENCE", 0)
    with pytest.raises(PlanError, match="nothing was written into this pipe"):
        read_text(tmp_path / "pipe")
