"""The programs that tasks run: small and compiled, so that the orchestrator is measured and not they."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from orchestrator.clis.claude_features import NEEDED

NOTHING = "int main(void) { return 0; }\n"

CLAUDE = r"""
#include <stdio.h>
int main(void) {
    fputs(INIT, stdout);
    fputs(RESULT, stdout);
    return 0;
}
"""

# A line a second, and a byte-exact answer at the end.
CHATTER = r"""
#include <stdio.h>
#include <unistd.h>
int main(void) {
    if (AS_CLAUDE) fputs(INIT, stdout);
    for (int second = 0; second < SECONDS; second++) {
        if (AS_CLAUDE) fputs(SAYS, stdout);
        else printf("line %d of a worker that is busy\n", second);
        fflush(stdout);
        sleep(1);
    }
    if (AS_CLAUDE) fputs(RESULT, stdout);
    return 0;
}
"""

# MEGABYTES to each of stdout and stderr, in lines of 100 bytes or without a single line break.
FLOOD = r"""
#include <stdio.h>
#include <string.h>
int main(void) {
    static char block[1000000];
    memset(block, 'x', sizeof block);
    for (int at = 99; LINES && at < (int) sizeof block; at += 100) block[at] = '\n';
    if (AS_CLAUDE) fputs(INIT, stdout);
    for (int written = 0; written < MEGABYTES; written++) {
        fwrite(block, 1, sizeof block, stdout);
        fwrite(block, 1, sizeof block, stderr);
    }
    if (AS_CLAUDE) { fputs("\n", stdout); fputs(RESULT, stdout); }
    return 0;
}
"""

INIT_LINE = '{"type":"system","subtype":"init","session_id":"s","model":"stand-in"}'
SAYS_LINE = '{"type":"assistant","message":{"content":[{"type":"text","text":"still at it"}]}}'
RESULT_LINE = (
    '{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":"done","total_cost_usd":0,'
    '"usage":{"input_tokens":1,"output_tokens":1},"session_id":"s"}'
)

VERSION = "2.1.329 (stand-in)"
HELP = "Usage: claude" + "".join(f"\n  --{name} <x>  what a worker needs" for name in sorted(NEEDED))

# Before `main`: a stand-in answers, as the program does, what it is and what it takes.
ABOUT = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
__attribute__((constructor)) static void about(int count, char **words) {
    if (count != 2) return;
    if (!strcmp(words[1], "--version")) { fputs(VERSION, stdout); exit(0); }
    if (!strcmp(words[1], "--help")) { fputs(HELP, stdout); exit(0); }
}
"""

SCRIPT = f"""#!/bin/sh
case "$*" in
--version) echo '{VERSION}' ;;
--help) echo '{HELP}' ;;
*) printf '%s\\n' '{INIT_LINE}' '{RESULT_LINE}' ;;
esac
"""
"""The stand-in for claude where there is no compiler."""


def compiled(compiler: str, target: Path, source: str, macros: Mapping[str, int]) -> Path:
    """Compile `source`; the texts of the stream-json lines and `macros` are defined in it.

    Raises:
        CalledProcessError: the compiler does not take it.
    """
    texts = {
        "INIT": INIT_LINE, "SAYS": SAYS_LINE, "RESULT": RESULT_LINE, "VERSION": VERSION, "HELP": HELP
    }  # fmt: skip
    head = "".join(f"#define {name} {_literal(text)}\n" for name, text in texts.items())
    head += "".join(f"#define {name} {value}\n" for name, value in macros.items())
    file = target.with_suffix(".c")
    file.write_text(head + ABOUT + source, encoding="utf-8")
    subprocess.run([compiler, "-O1", "-o", str(target), str(file)], check=True, capture_output=True)
    return target


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}\\n"'


def script(target: Path, text: str) -> Path:
    """An executable script."""
    target.write_text(text, encoding="utf-8")
    target.chmod(0o755)
    return target
