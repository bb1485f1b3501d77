"""Words for error messages: what was meant, and foreign text made readable."""

from __future__ import annotations

import re
from collections.abc import Collection

LONGEST_SHOWN = 60
"""Characters of a foreign text in a message: it still fits into a line beside the sentence."""

MOST_GUESSES = 100
"""As many problems as are shown at once: a guess among a thousand names takes milliseconds."""

MOST_NAMES = 2_000
"""Names among which like ones are looked for; among more only those that differ in signs and case."""


class Hints:
    """Guesses which of `names` was meant, a bounded number of times."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._left = MOST_GUESSES
        self._folded: dict[str, str] = {}
        self._known: dict[str, str] = {}

    def closest(self, word: str) -> str:
        """The name that is close to `word`, or nothing."""
        if word in self._known:
            return self._known[word]
        if self._left <= 0 or len(word) > LONGEST_SHOWN:
            return ""
        self._left -= 1
        if not self._folded:
            self._folded = {_folded(name): name for name in self._names}
        guess = self._known[word] = self._folded.get(_folded(word)) or self._similar(word)
        return guess

    def question(self, word: str, never: str = "") -> str:
        """`; did you mean 'name'?`, or nothing; `never` is a name that cannot be meant."""
        guess = self.closest(word)
        return f"; did you mean {shown(guess)}?" if guess not in ("", never) else ""

    def _similar(self, word: str) -> str:
        if len(self._names) > MOST_NAMES:
            return ""
        # Imported here: it takes longer than checking a plan in which nothing is wrong.
        from difflib import get_close_matches

        return next(iter(get_close_matches(word, self._names, n=1)), "")


def shown(text: str) -> str:
    """`text` in quotes, cut to a readable length, control characters escaped."""
    return repr(text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…")


def _folded(word: str) -> str:
    """What `T-01`, `t1` and `T_001` have in common."""
    return re.sub(r"[^a-z0-9]|(?<![0-9])0+(?=[0-9])", "", word.casefold())
