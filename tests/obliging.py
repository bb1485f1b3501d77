#!/usr/bin/env python3
"""A stand-in for the claude program that does what a task declares: makes its artifacts, fills in its schema."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from fakeclaude import ABOUT
from standin import Worker

TEXTS = {
    ".py": "import unittest\n\n\nclass Works(unittest.TestCase):\n    def test_it(self):\n        pass\n",
    ".json": "{}\n",
    ".md": "".join(
        f"| {cells} |\n" for cells in ("rank | what", "--- | ---", *(f"{n} | done" for n in range(1, 41)))
    ),
}


def main() -> None:
    """Reads the prompt, and does it."""
    if sys.argv[1:] in (["--version"], ["--help"]):
        print(ABOUT[sys.argv[1]])
        return
    options = dict(word[2:].partition("=")[::2] for word in sys.argv[1:] if word.startswith("--"))
    worker = Worker(options, sys.stdin.read(), "", 1)
    worker.begin()
    worker.use_tool(1)
    for pattern in artifacts(worker.prompt):
        path = Path(pattern.replace("**", "a").replace("*", "a"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TEXTS.get(path.suffix, "done\n"))
    if "json-schema" not in options:
        worker.result("done")
        return
    structured = instance(json.loads(options["json-schema"]))
    worker.result(json.dumps(structured), structured_output=structured)


def artifacts(prompt: str) -> list[str]:
    """The files that the prompt says must exist in the end."""
    _, _, rest = prompt.partition("## Files that must exist when you are done\n")
    return re.findall(r"^- (.+)$", rest.partition("\n## ")[0], re.M)


def instance(schema: dict[str, Any]) -> Any:
    """Something that the schema allows."""
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {name: instance(part) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [instance(schema["items"])]
        case "integer" | "number":
            return 1
    return "text"


if __name__ == "__main__":
    main()
