"""What claude answers to `--version`, `--help` and `auth status`; and a program that answers nothing else."""

from __future__ import annotations

import shlex
from pathlib import Path

VERSION = "2.1.329"
LOGGED_IN = '{"loggedIn": true, "authMethod": "api_key", "apiKeySource": "ANTHROPIC_API_KEY"}'

HELP = """Usage: claude [options] [command] [prompt]

Options:
  --allowedTools, --allowed-tools <tools...>        Tools to allow
  --exclude-dynamic-system-prompt-sections          Share the prompt
  --json-schema <schema>                            Structured output
  --max-budget-usd <amount>                         Dollars to spend
  --model <model>                                   Model
  --output-format <format>                          Format
  --permission-mode <mode>                          Mode
  --permission-prompts <who>                        Who is asked
  -p, --print                                       Print and exit
  -r, --resume [value]                              Go on
  --session-id <uuid>                               Session
  --setting-sources <sources>                       Settings to load
  --settings <file-or-json>                         More settings
  --strict-mcp-config                               No other servers
  --tools <tools...>                                Tools to have
  --verbose                                         All lines
"""

ABOUT = {"--help": HELP, "--version": f"{VERSION} (stand-in for Claude Code)"}
"""What a stand-in for claude prints when it is asked for nothing but this."""


def fake_claude(path: Path, *, version: str = VERSION, help_text: str = HELP, status: str = LOGGED_IN) -> str:
    """Write it to `path`; its path as text."""
    path.write_text(
        "#!/bin/sh\n"
        'case "$1 $2" in\n'
        f"'--version ') echo '{version} (Claude Code)';;\n"
        f"'--help ') printf '%s\\n' {shlex.quote(help_text)};;\n"
        f"'auth status') printf '%s\\n' {shlex.quote(status)};;\n"
        "*) exit 64;;\n"
        "esac\n"
    )
    path.chmod(0o755)
    return str(path)
