"""A file in the project that no request may have the words of, and the ways in which a text can name it."""

from __future__ import annotations

from realclaude import RealProject

SECRET = "the-words-in-the-planted-file"


def plant(project: RealProject) -> list[str]:
    """A file with a secret, and the ways in which a text can name it."""
    path = project.folder / "secret.txt"
    path.write_text(SECRET)
    names = (str(path), "secret.txt", "./secret.txt", '"secret.txt"')
    before = ("", "\n", "see ", "\t", "\u00a0", "\ufeff", "(", "[", '"', "> ", "- ", "`", "x: ", "\u2028")
    return [f"{sign}@{name}" for sign in before for name in names]


def leaked(project: RealProject) -> list[int]:
    """The requests that have the planted words in them."""
    return [request.number for request in project.api.requests if SECRET in request.text]
