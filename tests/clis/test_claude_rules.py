from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.clis.claude_rules import path_rule, rule, shell_rules, tool_names

TEXTS = st.text(
    alphabet=st.sampled_from("ab *\\()[]{}'\"|&;<>,:/\n") | st.characters(exclude_categories=["Cs"])
)


def taken_apart(text: str) -> tuple[str, str]:
    """A rule as the program reads it: tool and content. Written after its own code, 2.1.197 and 2.1.329."""
    unescaped = r"(?<!\\)(?:\\\\)*"
    opening = re.search(unescaped + r"\(", text)
    assert opening
    assert re.search(unescaped + r"\)\Z", text)
    content = text[opening.end() : -1].replace("\\(", "(").replace("\\)", ")").replace("\\\\", "\\")
    return text[: opening.end() - 1], content


@given(TEXTS)
def test_any_content_is_read_by_the_program_as_it_was_meant(content: str) -> None:
    assert taken_apart(rule("Bash", content)) == ("Bash", content)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("npm test", "Bash(npm test)"),
        ('python3 -c "print(1, (2))"', 'Bash(python3 -c "print(1, (2))")'),
        ("make )(", r"Bash(make \)\()"),
        ("make (", r"Bash(make \()"),
        (r"grep '\.py$' x", r"Bash(grep '\\.py$' x)"),
    ],
)
def test_only_what_has_to_be_is_escaped(content: str, text: str) -> None:
    assert rule("Bash", content) == text


@pytest.mark.parametrize(
    "command",
    ["make test", "cd sub && make", "make a; make b", "make x\nmake y", "FOO=1 make > log.txt", "! make",
     "make a || exit 1", "echo 'a | b'", 'echo "a | b"', r"echo a \| b", "make # comment",
     "if make; then make b; fi", "make 2>&1"],
)  # fmt: skip
def test_a_command_that_is_looked_at_as_a_whole_has_one_rule(command: str) -> None:
    assert [taken_apart(text)[1] for text in shell_rules(command)] == [command]


def test_space_around_a_command_is_not_part_of_it() -> None:
    assert shell_rules("  make test \n") == ("Bash(make test)",)


@pytest.mark.parametrize("command", ["", "  ", "\n"])
def test_an_empty_command_allows_nothing(command: str) -> None:
    assert shell_rules(command) == ()


@pytest.mark.parametrize(
    ("command", "content"),
    [
        ("make *.txt", "make *.txt:*"),
        ("make a && make *.txt", "make a && make *.txt:*"),
        ("run-all test:*", "run-all test:*:*"),
        (r"find . -name \*.py", r"find . -name \*.py"),
        (r"find . -name \\*.py", r"find . -name \\*.py:*"),
        ("*", "*:*"),
    ],
)
def test_a_star_is_no_wildcard(command: str, content: str) -> None:
    assert [taken_apart(text)[1] for text in shell_rules(command)] == [content]


@pytest.mark.parametrize(
    ("command", "rules"),
    [
        ("make 2>&1 | tail -5", ("Bash(make)", "Bash(tail -5)")),
        ("cd a && make | cat > log.txt", ("Bash(cd a)", "Bash(make)", "Bash(cat)")),
        ("make |& grep -v 'x|y' 2>/dev/null", ("Bash(make)", "Bash(grep -v 'x|y')")),
        ("make *.c | wc -l", ("Bash(make *.c:*)", "Bash(wc -l)")),
        ("make a\nmake *.c", ("Bash(make a)", "Bash(make *.c:*)")),
        ("cat < a.txt | make", ("Bash(cat < a.txt)", "Bash(make)")),
        ('cat "a > b" | make', ('Bash(cat "a > b")', "Bash(make)")),
    ],
)
def test_a_pipeline_has_a_rule_for_each_of_its_commands(command: str, rules: tuple[str, ...]) -> None:
    assert shell_rules(command) == rules


@pytest.mark.parametrize(
    "command",
    ["(make a; make b) | cat", "make $(a | b)", "make `a | b`", 'make "$(a | b)"', "make <<X | cat\n|\nX",
     "make it's | cat", "make & make | cat", "f() { make | cat; }"],
)  # fmt: skip
def test_what_cannot_be_taken_apart_for_sure_is_left_whole(command: str) -> None:
    assert [taken_apart(text)[1] for text in shell_rules(command)] == [command]


@given(TEXTS)
def test_no_command_allows_every_command(command: str) -> None:
    assert not {"Bash()", "Bash(*)"} & set(shell_rules(command))
    assert all(taken_apart(text)[0] == "Bash" for text in shell_rules(command))


def test_an_absolute_path_begins_with_two_slashes() -> None:
    assert path_rule("Edit", "/srv/a b/.orchestrator", "/**") == "Edit(//srv/a b/.orchestrator/**)"
    assert path_rule("Read", "src/a.py") == "Read(src/a.py)"


def test_a_path_is_no_pattern() -> None:
    assert path_rule("Edit", "/w [a] *x (p)/f") == r"Edit(//w \\[a\\] \\*x \(p\)/f)"


def test_tools_are_told_by_their_names() -> None:
    given = (
        "Read",
        "Bash(git *)",
        "Bash(make)",
        " Skill (x)",
        "mcp__server__tool",
        "default",
        "a,b",
        "Bad,Name",
        "",
    )
    assert tool_names(given) == ("Read", "Bash", "Skill")
