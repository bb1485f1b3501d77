"""Secrets of the environment, and others of a well-known form, kept out of what is shown and recorded.

What a worker reverses, encrypts or writes letter by letter cannot be found: this is a net, not a wall.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus, unquote

from orchestrator.core.text import clean

SHORTEST = 8
"""Characters of a secret: shorter ones would be found in ordinary words."""

LONGEST_SHAPE = 40_000
"""Characters of the longest secret of a well-known form, a private key in indented lines; see _SHAPES."""

_SHORTEST_PART = 16
_LONGEST_NEEDLE = 1024

# KEYBOARD, TOKENIZERS_PARALLELISM and GIT_AUTHOR_NAME are no secrets.
_SECRET_NAME = re.compile(
    r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PWD|CREDENTIAL|AUTH|AUTHORIZATION|COOKIE|DSN)S?"
    r"(?=_|\d|$)"
)
# With one of these at its end the value is the secret itself, even if it is a word.
_SURE_NAME = re.compile(r"(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PWD)S?$")
# Facts about secrets; fingerprints, such as GPG_KEY in the images of distributions; the folders of a shell.
_PUBLIC_NAME = re.compile(
    r"(?:^|_)PUBLIC(?:_|$)|FINGERPRINT|GPG_KEY|^(?:OLD)?PWD$"
    r"|_(?:NAME|USER|TYPE|METHOD|MODE|HELPER|PROVIDERS?|HEADER|ALGORITHM|ISSUER|AUDIENCE|(?<!SECRET_)ID)$"
)
_PASSWORD_INSIDE = re.compile(
    r"://[^/?#\s:@]*:([^/\s]+)@|\b(?:password|passwd|pwd|accountkey|sharedaccesskey)=([^;&\s'\"]+)",
    re.IGNORECASE,
)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PATH = re.compile(r"~[/\\]|\.{1,2}[/\\]|(?:[A-Za-z]:)?[/\\][^/\\]*[/\\]")
_NO_PATH = re.compile(r"[^/\\:._-]{25}|[+=]")
_WORDS = re.compile(r"[A-Z]?[a-z]+(?:[-_. ][a-z]+)*|[A-Z]+(?:[-_. ][A-Z]+)*")
_LONGEST_WORDS = 15
_USUAL = frozenset(
    (
        *("anonymous", "changeme", "database", "disabled", "localhost", "password", "postgres", "required"),
        *("undefined", "username"),
    )
)

_GAP = r"(?:\\{1,2}[nrt]){0,4}+\s{0,40}+"
# Each form, and what stands in every text of it. None looks at what is around it: a text can be cut anywhere.
_SHAPES = (
    (r"sk-(?:ant|proj)-[A-Za-z0-9_-]{20,1024}", ("sk-ant-", "sk-proj-")),
    (r"gh[oprsu]_[A-Za-z0-9]{36,255}", ("gho_", "ghp_", "ghr_", "ghs_", "ghu_")),
    (r"github_pat_[A-Za-z0-9_]{22,255}", ("github_pat_",)),
    (r"glpat-[A-Za-z0-9_-]{20,255}", ("glpat-",)),
    (r"A[KS]IA[A-Z0-9]{16}", ("AKIA", "ASIA")),
    (r"AIza[A-Za-z0-9_-]{35}", ("AIza",)),
    (r"xox[abeprs]-[A-Za-z0-9-]{10,255}", ("xox",)),
    (r"(?:eyJ[A-Za-z0-9_-]{10,300}+)?\.eyJ[A-Za-z0-9_-]{8,8192}+\.[A-Za-z0-9_-]{16,2048}", (".eyJ",)),
    # Words after it are those of a text about it: no digit, and all of one case.
    (
        r"[Bb]earer {1,4}+(?!(?:[a-z._-]{20,200}+|[A-Z._-]{20,200}+)(?![A-Za-z0-9._~+/=-]))"
        r"[A-Za-z0-9._~+/=-]{20,4096}",
        ("earer ",),
    ),
    (
        rf"-----BEGIN [A-Z0-9 ]{{0,40}}PRIVATE KEY[A-Z ]{{0,10}}-----{_GAP}"
        rf"(?:[A-Za-z-]{{1,20}}: [^\n\\]{{0,200}}{_GAP}){{0,5}}(?=[A-Za-z0-9+/]{{32}})"
        rf"(?:[A-Za-z0-9+/=]{{1,128}}+{_GAP}){{1,200}}+(?:-----END [A-Z0-9 ]{{0,60}}-----)?",
        ("PRIVATE KEY",),
    ),
)


class Redactor:
    """Finds secrets in texts; made once for an environment.

    A secret is the value of a variable with a name such as `DEPLOY_TOKEN`, unless it is a path, a word or a
    URL (of which only the password is one), also as it looks in base64, in URLs and in JSON. In its place
    stands `[redacted DEPLOY_TOKEN]`; in place of one of a well-known form `[redacted]`.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        labels: dict[str, str] = {}
        for name, value in environment.items():
            label = f"[redacted {name}]" if re.fullmatch(r"\w{1,64}", name, re.ASCII) else "[redacted]"
            for needle in _needles(name, value):
                labels.setdefault(needle, label)
        written = {"[redacted]", *labels.values()}
        # A longer one first: it can begin with a shorter one. None may be found in what stands in its place.
        needles = [needle for needle in labels if not any(needle in label for label in written)]
        needles.sort(key=len, reverse=True)
        self._labels = {needle: labels[needle] for needle in needles}
        self._forms = [(needle, re.escape(needle)) for needle in needles]
        self._forms += [(mark, form) for form, marks in _SHAPES for mark in marks]
        self._longest = max([LONGEST_SHAPE, *map(len, needles[:1])])

    def text(self, text: str) -> str:
        """`text` with a label in place of each secret; the same object where there is none."""
        return self._redacted(text, len(text))[0]

    def pieces(self, pieces: Iterable[str]) -> Iterator[str]:
        """The text that `pieces` make up, redacted as one, in other pieces; some 200 KB are held back."""
        held: list[str] = []
        size = 0
        for piece in pieces:
            held.append(piece)
            size += len(piece)
            if size > 4 * self._longest:
                text = "".join(held)
                done, end = self._redacted(text, size - self._longest)
                yield done
                held, size = [text[end:]], size - end
        yield self.text("".join(held))

    def continued(self, before: str, text: str) -> str:
        """`text` redacted, where `before` is the end of what was shown before it: a secret can go on from there."""
        _, end = self._redacted(before + text, len(before))
        rest = self.text(text[end - len(before) :])
        return f"[redacted]{rest}" if end > len(before) else rest

    def _redacted(self, text: str, limit: int) -> tuple[str, int]:
        """The beginning of `text`, redacted, and its end: `limit`, or that of a secret across it."""
        # Looking for a mark takes a hundredth of the time of a pattern, and most texts have none.
        possible = [form for mark, form in self._forms if mark in text]
        if not possible:
            return text[:limit], limit
        pattern = re.compile("|".join(dict.fromkeys(possible)))
        parts, end = [], 0
        for match in pattern.finditer(text):
            if match.start() >= limit:
                break
            parts += [text[end : match.start()], self._in_place_of(match[0])]
            end = match.end()
        limit = max(limit, end)
        return "".join([*parts, text[end:limit]]), limit

    def _in_place_of(self, found: str) -> str:
        if found in self._labels:
            return self._labels[found]
        # Of `Bearer abc` the first word stays.
        scheme, space, token = found.rpartition(" ") if found[1:7] == "earer " else ("", "", found)
        return scheme + space + self._labels.get(token, "[redacted]")


def _needles(name: str, value: str) -> Iterator[str]:
    """What to look for because of one variable of the environment."""
    # A label ends with a bracket: none may begin a secret, or the text behind a label could make one up.
    for secret in _secrets(name, value):
        for start in range(0, len(secret), _LONGEST_NEEDLE):
            yield from _long_enough(_forms(secret[start : start + _LONGEST_NEEDLE].strip("[]")))
        if not secret.startswith(("{", "[")):
            parts = re.split(r"[\s,;]+", secret)
            yield from (part[:_LONGEST_NEEDLE].strip("[]") for part in parts if len(part) >= _SHORTEST_PART)


def _long_enough(texts: Iterable[str]) -> Iterator[str]:
    return (text for text in texts if len(text) >= SHORTEST)


def _secrets(name: str, value: str) -> Iterator[str]:
    """The secrets in one variable of the environment."""
    for match in _PASSWORD_INSIDE.finditer(value):
        password = match[1] or match[2]
        yield from (text for text in (password, unquote(password)) if _is_secret(text, sure=True))
    known = name.upper()
    named = _SECRET_NAME.search(known) and not _PUBLIC_NAME.search(known)
    if named and _is_secret(value.strip(), sure=bool(_SURE_NAME.search(known))):
        yield value.strip()


def _is_secret(value: str, sure: bool) -> bool:
    """Whether a value can be a secret, by what it looks like."""
    if len(value) < SHORTEST or len(set(value)) < 4 or value.lower() in _USUAL:
        return False
    if _PATH.match(value) and not _NO_PATH.search(value):
        return False
    return sure or not (_URL.match(value) or (len(value) <= _LONGEST_WORDS and _WORDS.fullmatch(value)))


def _forms(secret: str) -> Iterator[str]:
    """A secret as it is, and as it looks in URLs, JSON and base64."""
    data = secret.encode("utf-8", "surrogatepass")
    yield secret
    yield clean(secret)
    # The signs that encodeURIComponent lets be; a path; a form.
    for in_url in (quote(data, safe=""), quote(data, safe="!'()*"), quote(data), quote_plus(data)):
        yield in_url
        yield re.sub(r"%..", lambda match: match[0].lower(), in_url)
    for ascii_only in (True, False):
        in_json = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield in_json
        yield in_json.replace("/", "\\/")
        # As Go writes it.
        yield in_json.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    for before in range(3):
        # The characters that depend on nothing else, wherever in a group of three bytes the secret begins.
        coded = b64encode(b"\0" * before + data + b"\0\0").decode()
        core = coded[(0, 2, 3)[before] : (before + len(data)) * 8 // 6]
        yield core
        yield core.replace("+", "-").replace("/", "_")
