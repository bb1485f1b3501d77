"""The slow reading of a plan file: a tree in which every key and value knows its line.

Only a file in which the quick reading met something unusual is read like this. What YAML allows and a plan
does not (aliases, tags, merge keys, a second document) becomes a problem here, so that a bomb costs no more
than its own bytes.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct, field

from orchestrator.core.hints import shown
from orchestrator.edges.quickread import DEEPEST

Problems = list[tuple[int, str]]


class Scalar(Struct, gc=False):
    """One value as written; `plain`: without quotes, so that it can be a number or nothing."""

    line: int
    text: str
    plain: bool = False


class Items(Struct):
    """A list."""

    line: int
    items: list[Node] = field(default_factory=list)


class Pairs(Struct):
    """A map, keys that stand twice included."""

    line: int
    pairs: list[tuple[Scalar, Node]] = field(default_factory=list)


class Broken(Struct):
    """Something that was reported already."""

    line: int


Node = Scalar | Items | Pairs | Broken


_WRITE_OUT = "write out what it stands for"
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Unreadable(Exception):
    """The text ends the reading here; all problems so far are in the list that was handed in."""


def yaml_nodes(data: bytes, problems: Problems) -> Node | None:
    """The tree of a YAML document, None where it is empty; what a plan may not have goes to `problems`.

    Raises:
        Unreadable: it is not YAML, too deep, or more than one document.
    """
    import yaml

    _refuse_controls(data.decode(), problems)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(data)
    try:
        return _Tree(yaml, problems).read(loader)
    except yaml.MarkedYAMLError as error:
        problems.append(_explained(error, data))
        raise Unreadable from error
    except (yaml.YAMLError, ValueError) as error:
        problems.append((1, f"not valid YAML: {error}"))
        raise Unreadable from error
    finally:
        loader.dispose()


def _refuse_controls(text: str, problems: Problems) -> None:
    if not _UNPRINTABLE.search(text):
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if found := _UNPRINTABLE.search(line):
            code = ord(found[0])
            problems.append(
                (number, f"the control character U+{code:04X} may not stand in a plan; remove it")
            )
    raise Unreadable


class _Tree:
    """Builds the tree of one document without recursion."""

    def __init__(self, yaml: Any, problems: Problems) -> None:
        self.yaml = yaml
        self.problems = problems
        self.root = Items(1)
        self.stack: list[Items | Pairs] = [self.root]
        # For each container of the stack the key that waits for its value.
        self.keys: list[Scalar | Broken | None] = [None]

    def read(self, loader: Any) -> Node | None:
        while (event := loader.get_event()) is not None:
            if isinstance(event, self.yaml.DocumentStartEvent):
                self._begin_document(event)
            elif isinstance(event, self.yaml.CollectionStartEvent):
                self._open(event)
            elif isinstance(event, self.yaml.CollectionEndEvent):
                self.keys.pop()
                self._add(self.stack.pop())
            elif isinstance(event, self.yaml.NodeEvent):
                self._add(self._leaf(event))
        return self.root.items[0] if self.root.items else None

    def _begin_document(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if event.tags:
            self.problems.append((line, "%TAG is not supported in a plan; remove it"))
        if self.root.items:
            self.problems.append((line, "a second document begins here; a plan is one, without `---` inside"))
            raise Unreadable

    def _open(self, event: Any) -> None:
        line = self._checked(event)
        if len(self.stack) > DEEPEST:
            self.problems.append((line, f"more than {DEEPEST} lists and maps inside each other"))
            raise Unreadable
        is_map = isinstance(event, self.yaml.MappingStartEvent)
        self.stack.append(Pairs(line) if is_map else Items(line))
        self.keys.append(None)

    def _leaf(self, event: Any) -> Node:
        line = self._checked(event)
        if isinstance(event, self.yaml.AliasEvent) or event.tag is not None:
            return Broken(line)
        return Scalar(line, event.value, not event.style)

    def _checked(self, event: Any) -> int:
        """The line of the event's node, after saying what is refused about it."""
        line: int = event.start_mark.line + 1
        if isinstance(event, self.yaml.AliasEvent):
            self.problems.append(
                (line, f"the alias {shown('*' + event.anchor)} is not supported; {_WRITE_OUT}")
            )
        elif event.anchor is not None:
            self.problems.append(
                (line, f"the anchor {shown('&' + event.anchor)} is not supported; {_WRITE_OUT}")
            )
        if getattr(event, "tag", None) is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.problems.append((line, f"the tag {shown(tag)} is not supported; remove it"))
        return line

    def _add(self, node: Node) -> None:
        parent, key = self.stack[-1], self.keys[-1]
        if isinstance(parent, Items):
            parent.items.append(node)
        elif key is None:
            self.keys[-1] = self._key(node)
        else:
            if isinstance(key, Scalar):
                parent.pairs.append((key, node))
            self.keys[-1] = None

    def _key(self, node: Node) -> Scalar | Broken:
        if isinstance(node, Scalar) and not (node.plain and node.text == "<<"):
            return node
        if isinstance(node, Scalar):
            self.problems.append((node.line, f"the merge key `<<` is not supported; {_WRITE_OUT}"))
        elif not isinstance(node, Broken):
            self.problems.append((node.line, "a list or map cannot be a key; write a word"))
        return Broken(node.line)


def _explained(error: Any, data: bytes) -> tuple[int, str]:
    """The line and the sentence for what the YAML parser stumbled on."""
    mark = error.problem_mark or error.context_mark
    lines = data.decode().split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    sign = line[mark.column : mark.column + 1]
    if "\t" in line[: len(line) - len(line.lstrip())] or sign == "\t":
        return mark.line + 1, "a tab; YAML is indented with spaces"
    if error.problem == "found character that cannot start any token":
        return mark.line + 1, f"text that begins with {shown(sign)} needs quotes around it"
    if error.problem == "mapping values are not allowed in this context":
        return mark.line + 1, "`: ` or a deeper indentation where none can be; put text with `: ` in quotes"
    where = f", {error.context}" if error.context else ""
    begun = error.context_mark.line + 1 if error.context_mark else mark.line + 1
    since = f" that begins in line {begun}" if where and begun != mark.line + 1 else ""
    return mark.line + 1, f"not valid YAML: {error.problem}{where}{since}"
