from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.clis.claude_features import HIDDEN, NEEDED, OLDEST, Program, complaint, features

HELP = """Usage: claude [options] [command] [prompt]

Claude Code - starts an interactive session by default, use -p/--print for
non-interactive output

Options:
  --allowedTools, --allowed-tools <tools...>
      Comma or space-separated list of tool names to allow (e.g. "Bash(git *)
      Edit")
  --bare                                Minimal mode: skip hooks. Explicitly
                                        provide context via:
                                        --system-prompt[-file],
                                        --mcp-config, --plugin-dir.
  -d, --debug [filter]                  Enable debug mode (e.g.,
                                        --debug=hooks,mcp)
  --exclude-dynamic-system-prompt-sections
      Move per-machine sections into the first user message
  -r, --resume [value]                  Resume a conversation by session ID

Commands:
  mcp                                   Configure and manage MCP servers
"""


def test_options_are_read_from_help_and_words_of_its_descriptions_are_not() -> None:
    program = features("/bin/claude", "2.0.0 (Claude Code)\n", HELP)

    assert program.options == {
        "allowedTools", "allowed-tools", "bare", "debug", "exclude-dynamic-system-prompt-sections", "resume",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("2.1.329 (Claude Code)\n", (2, 1, 329)),
        ("2.1.197 (Claude Code)", (2, 1, 197)),
        ("10.0.0-beta.1 (Claude Code)", (10, 0, 0)),
        ("", ()),
        ("v2", ()),
        ("a program of 1.2", ()),
    ],
)
def test_the_version_is_read_from_what_it_says(said: str, version: tuple[int, ...]) -> None:
    assert features("claude", said, HELP).version == version


def test_hidden_options_are_known_by_the_version() -> None:
    assert features("claude", "2.1.197 (Claude Code)", HELP).options >= HIDDEN
    assert not features("claude", "2.1.196 (Claude Code)", HELP).options & HIDDEN
    assert not features("claude", "nothing", HELP).options & HIDDEN


def whole(version: tuple[int, ...] = OLDEST) -> Program:
    return Program("/bin/claude", version, "x", NEEDED)


def test_a_program_that_offers_what_is_needed_is_fine() -> None:
    assert complaint(whole()) == ""
    assert complaint(whole((3, 0, 0))) == ""


def test_an_older_version_is_told_how_to_be_updated() -> None:
    assert complaint(whole((2, 0, 1))) == (
        "claude 2.0.1 at /bin/claude is older than 2.1.197, the oldest that workers can rely on; "
        "update it with: claude update"
    )


@pytest.mark.parametrize("said", ["", "grep (GNU grep)\n"])
def test_a_program_without_a_version_is_not_claude_code(said: str) -> None:
    text = complaint(features("/bin/grep", said, "Usage: grep"))

    assert text.startswith("/bin/grep is not Claude Code: its --version says")
    assert "ORCHESTRATE_CLAUDE" in text


def test_another_program_of_a_high_version_is_told_by_what_it_does_not_offer() -> None:
    text = complaint(features("/bin/grep", "grep (GNU grep) 3.11.0", "Usage: grep\n\n  --model X\n"))

    assert text.startswith("/bin/grep is not Claude Code: its --help does not offer --json-schema, ")
    assert "--model," not in text


@given(st.text(), st.text())
def test_any_words_are_read(said: str, shown: str) -> None:
    assert complaint(features("claude", said, shown))
