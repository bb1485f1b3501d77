from __future__ import annotations

import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.edges.templatebounds import ENDLESS, HUGE
from orchestrator.edges.templates import LONGEST_NUMBER, LONGEST_REPEAT, Templates, templates_folder
from orchestrator.errors import EnvironmentProblem, UsageError

NAME = "continue_task.md.j2"


def own(folder: Path, text: str) -> Templates:
    (folder / NAME).write_text(text, encoding="utf-8")
    return Templates(folder)


def test_the_program_finds_its_templates() -> None:
    assert {path.name for path in templates_folder().iterdir()} - {"__pycache__"} == {
        "agent_result.md.j2",
        "agent_task.md.j2",
        "analysis_task.md.j2",
        "answer_task.md.j2",
        "batch_banner.txt.j2",
        "continue_task.md.j2",
        "feedback_task.md.j2",
        "final_output.md.j2",
        "master_plan.md.j2",
        "planning_task.md.j2",
        "shell_task.md.j2",
        "synthesis_task.md.j2",
        "worker_prompt.md.j2",
        "workers",
    }


def test_a_file_of_the_same_name_takes_the_place_of_the_programs(tmp_path: Path) -> None:
    assert own(tmp_path, "Go on with {{ task }}.\n").render(NAME, task="T-01") == "Go on with T-01.\n"
    assert "was interrupted" in Templates(None).render(NAME, task="T-01", title="x", output_schema=False)


def test_a_variable_may_have_any_name(tmp_path: Path) -> None:
    templates = own(tmp_path, "{{ self_ }}{{ template }}{{ name }}")
    assert templates.render(NAME, self_=1, template=2, name=3) == "123"


def test_what_a_variable_holds_is_never_a_template(tmp_path: Path) -> None:
    assert own(tmp_path, "{{ task }}").render(NAME, task="{{ 7 * 7 }}{% for %}") == "{{ 7 * 7 }}{% for %}"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a\n{{ tsak }}\n", 2, "'tsak' is undefined"),
        ("a\nb\n{% for x in %}\n", 3, "Expected an expression"),
        ("{{ task.__class__ }}", 1, "unsafe"),
        ("\n{{ task.__class__.__mro__[1].__subclasses__() }}", 2, "unsafe"),
        ("{{ ''['__class__'] }}", 1, "unsafe"),
        ("{{ task|attr('__class__') }}", 1, "unsafe"),
        ("{{ '{0.__class__}'.format(task) }}", 1, "unsafe"),
        ("{{ self.__init__.__globals__ }}", 1, "unsafe"),
        ("{{ cycler.__init__.__globals__.os }}", 1, "unsafe"),
        ("{{ words.append(1) }}", 1, "unsafe"),
        ("{% for x in range(10 ** 9) %}{% endfor %}", 1, "not available"),
        ("{% for x in range(999999999) %}{% endfor %}", 1, "Range too big"),
        ("{{ 'x' * 999999999 }}", 1, f"more than {LONGEST_REPEAT}"),
        ("{{ 1 / 0 }}", 1, "division by zero"),
        ("{% include '../../../etc/passwd' %}", 1, "no template ../../../etc/passwd"),
        ("{% include '/etc/passwd' %}", 1, "no template /etc/passwd"),
        ("{% include 'continue_task.md.j2' %}", 1, "recursion"),
    ],
)
def test_a_wrong_template_is_one_error_with_file_and_line(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        own(tmp_path, text).render(NAME, task="T-01", words=["a"])
    assert str(caught.value).startswith(f"{tmp_path / NAME}:{line}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_template_that_is_no_text_is_one_error(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=NAME):
        Templates(tmp_path).render(NAME, task="T-01")


def test_a_folder_in_its_place_is_one_error(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(UsageError, match=NAME):
        Templates(tmp_path).render(NAME, task="T-01")


def test_a_link_out_of_the_folder_is_refused_and_one_within_is_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hidden")
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / NAME).symlink_to(secret)
    with pytest.raises(UsageError, match="leads out of its folder"):
        Templates(folder).render(NAME)
    (folder / "mine").write_text("mine")
    (folder / NAME).unlink()
    (folder / NAME).symlink_to("mine")
    assert Templates(folder).render(NAME) == "mine"


def test_a_template_may_include_another_of_the_users(tmp_path: Path) -> None:
    (tmp_path / "part.j2").write_text("part of {{ task }}")
    assert own(tmp_path, "{% include 'part.j2' %}").render(NAME, task="A") == "part of A"


def test_an_error_in_an_included_template_names_that_one(tmp_path: Path) -> None:
    (tmp_path / "part.j2").write_text("\n\n{{ nothing }}")
    with pytest.raises(UsageError, match=r"part\.j2:3: 'nothing' is undefined"):
        own(tmp_path, "{% include 'part.j2' %}").render(NAME)


def test_an_error_in_the_programs_own_template_is_not_the_users() -> None:
    with pytest.raises(EnvironmentProblem, match=rf"{NAME}:\d+: .* is undefined; install the program again"):
        Templates(None).render(NAME)


LOOPS = "{% for a in range(99999) %}" * 4 + "{% endfor %}" * 4
BRANCHES = "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}\n{{ m(60) }}"
WALK = "{% for a in words recursive %}{{ loop(words) if loop.depth < 60 }}{% endfor %}"
LAZY = "{% for a in range(9999) %}{{ range(99999)|map('upper')|list|length }}{% endfor %}"
DOUBLED = (
    "{% set own = namespace(x='x') %}\n{% for a in range(60) %}{% set own.x = own.x ~ own.x %}{% endfor %}"
)
WIDE = "{{ 'x'|center(99999999999) }}"
FORMATTED = "{{ '%99999999999d'|format(1) }}"
SQUARED = "{% set own = namespace(x=99) %}{% for a in range(60) %}{% set own.x = own.x * own.x %}{% endfor %}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LOOPS, ENDLESS),
        (BRANCHES, ENDLESS),
        (WALK, ENDLESS),
        (LAZY, ENDLESS),
        (DOUBLED, HUGE),
        (WIDE, HUGE),
        (FORMATTED, HUGE),
        (SQUARED, f"a number of more than {LONGEST_NUMBER} bits"),
    ],
)
def test_a_template_that_hardly_ends_or_fills_the_memory_is_one_error(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        own(tmp_path, text).render(NAME, words=["a", "b"])
    assert str(caught.value).startswith(f"{tmp_path / NAME}:")
    assert said in str(caught.value)


def test_rendering_leaves_no_bound_behind(tmp_path: Path) -> None:
    before = sys.gettrace(), resource.getrlimit(resource.RLIMIT_AS)
    for text in ("fine", LOOPS):
        with suppress(UsageError):
            own(tmp_path, text).render(NAME)
        assert (sys.gettrace(), resource.getrlimit(resource.RLIMIT_AS)) == before


def test_jinja_is_imported_at_the_first_rendering() -> None:
    code = "import sys, orchestrator.edges.views; print('jinja2' in sys.modules)"
    folder = Path(__file__).parents[2] / "scripts"
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    assert printed.stdout == "False\n"
