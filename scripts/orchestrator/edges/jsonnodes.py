"""JSON read slowly into the same tree as YAML: every key and value knows its line."""

from __future__ import annotations

import re
from json import JSONDecodeError, JSONDecoder

from orchestrator.edges.nodes import Items, Node, Pairs, Problems, Scalar, Unreadable
from orchestrator.edges.quickread import DEEPEST

_BLANK = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null")
_STRINGS = JSONDecoder()
_SURROGATE = re.compile("[\ud800-\udfff]")


def json_nodes(text: str, problems: Problems) -> Node:
    """The tree of a JSON text.

    Raises:
        JSONDecodeError: it is not JSON.
        Unreadable: it is too deep; the problem is in `problems`.
    """
    reader = _Reader(text, problems)
    reader.skip()
    node = reader.value(0)
    reader.skip()
    if reader.at < len(text):
        raise JSONDecodeError("Extra data", text, reader.at)
    return node


class _Reader:
    """A place in the text; its recursion is bounded by DEEPEST."""

    def __init__(self, text: str, problems: Problems) -> None:
        self.text = text
        self.problems = problems
        self.at = 0
        self.line = 1

    def skip(self) -> None:
        match = _BLANK.match(self.text, self.at)
        if match and match.end() > self.at:
            self.line += match[0].count("\n")
            self.at = match.end()

    def value(self, depth: int) -> Node:
        if depth > DEEPEST:
            self.problems.append((self.line, f"more than {DEEPEST} lists and maps inside each other"))
            raise Unreadable
        sign = self.text[self.at : self.at + 1]
        if sign == "{":
            return self._pairs(depth)
        if sign == "[":
            return self._items(depth)
        if sign == '"':
            return self._string()
        word = _WORD.match(self.text, self.at)
        if not word:
            raise JSONDecodeError("Expecting value", self.text, self.at)
        self.at = word.end()
        return Scalar(self.line, word[0], plain=True)

    def _pairs(self, depth: int) -> Node:
        node = Pairs(self.line)
        while self._more("{" if not node.pairs else ",", "}"):
            if self.text[self.at : self.at + 1] != '"':
                raise JSONDecodeError("Expecting property name enclosed in double quotes", self.text, self.at)
            key = self._string()
            self.skip()
            self._take(":")
            node.pairs.append((key, self.value(depth + 1)))
        return node

    def _items(self, depth: int) -> Node:
        node = Items(self.line)
        while self._more("[" if not node.items else ",", "]"):
            node.items.append(self.value(depth + 1))
        return node

    def _more(self, sign: str, end: str) -> bool:
        """Whether another entry follows; the sign before it, or the end, is taken."""
        self.skip()
        if sign == "," and self.text[self.at : self.at + 1] == end:
            self.at += 1
            return False
        self._take(sign)
        if sign != "," and self.text[self.at : self.at + 1] == end:
            self.at += 1
            return False
        return True

    def _take(self, sign: str) -> None:
        if self.text[self.at : self.at + 1] != sign:
            raise JSONDecodeError(f"Expecting {sign!r} delimiter", self.text, self.at)
        self.at += 1
        self.skip()

    def _string(self) -> Scalar:
        node = Scalar(self.line, "")
        node.text, self.at = _STRINGS.raw_decode(self.text, self.at)
        if _SURROGATE.search(node.text):
            self.problems.append(
                (self.line, "half of a surrogate pair (\\ud800 to \\udfff); write the character")
            )
            node.text = _SURROGATE.sub("\ufffd", node.text)
        return node
