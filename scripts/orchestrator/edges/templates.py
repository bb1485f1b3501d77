"""Finds and renders templates: those that come with the program, and a user's own in place of them.

A file of the same name in the workspace's `templates/` takes the place of the program's and is rendered in a
sandbox. Jinja takes 45 ms to import, so that happens at the first rendering.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.edges.templatebounds import HUGE, bounded
from orchestrator.errors import EnvironmentProblem, UsageError

if TYPE_CHECKING:
    from jinja2 import Environment, Template

LONGEST_REPEAT = 1_000_000
"""What `*` may make in a user's template, in characters or items: more than any view has."""

LONGEST_NUMBER = 10_000
"""Likewise, in bits of a number: larger ones take longer and longer, in a single step."""


def templates_folder() -> Path:
    """Where the program's own templates are: in the installed package, else at the top of the repository.

    Raises:
        EnvironmentProblem: they are missing.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_skill" / "templates", package.parents[1] / "templates"):
        if (folder / "master_plan.md.j2").is_file():
            return folder
    raise EnvironmentProblem(f"the templates are missing beside {package}; install the program again")


class Templates:
    """The program's templates; `overrides` is the folder with the user's own, which need not exist."""

    def __init__(self, overrides: Path | None) -> None:
        self._overrides = overrides
        self._environments: dict[Path | None, Environment] = {}
        self._own: dict[str, bool] = {}
        self._loaded: dict[str, Template] = {}

    def overridden(self, template: str) -> bool:
        """Whether the user has one of that name; looked up once.

        Raises:
            UsageError: it is a link to a place outside the folder.
        """
        if template not in self._own:
            self._own[template] = self._overrides is not None and _is_there(self._overrides, template)
        return self._own[template]

    def render(self, template: str, /, **variables: object) -> str:
        """The text of a template.

        Raises:
            UsageError: the user's own template is wrong; names the file and, where known, the line.
            EnvironmentProblem: the program's own is; so is what was installed.
        """
        if self._overrides is None or not self.overridden(template):
            try:
                return self._load(template, None).render(variables)
            except Exception as error:  # a template can raise anything that Python can
                place = _where(error, templates_folder() / template)
                raise EnvironmentProblem(f"{place}: {_told(error)}; install the program again") from error
        try:
            with bounded(self._overrides):
                return self._load(template, self._overrides).render(variables)
        except Exception as error:
            raise UsageError(f"{_where(error, self._overrides / template)}: {_told(error)}") from error

    def _load(self, template: str, overrides: Path | None) -> Template:
        if template not in self._loaded:
            if overrides not in self._environments:
                self._environments[overrides] = (
                    _sandbox(overrides) if overrides else _trusted(templates_folder())
                )
            self._loaded[template] = self._environments[overrides].get_template(template)
        return self._loaded[template]


def _is_there(folder: Path, template: str) -> bool:
    path = folder / template
    if not os.path.lexists(path):
        return False
    if not Path(os.path.realpath(path)).is_relative_to(folder.resolve()):
        raise UsageError(f"{path}: leads out of its folder; put a copy there instead")
    return True


def _options() -> dict[str, Any]:
    from jinja2 import StrictUndefined

    return {
        "undefined": StrictUndefined,
        "autoescape": False,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "keep_trailing_newline": True,
        "auto_reload": False,
    }


@cache
def _trusted(folder: Path) -> Environment:
    from jinja2 import Environment, FileSystemLoader

    from orchestrator.edges.compiled import Compiled

    options = _options()
    return Environment(loader=FileSystemLoader(folder), bytecode_cache=Compiled(options), **options)


def _sandbox(folder: Path) -> Environment:
    from jinja2 import FileSystemLoader
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Sandbox(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset(("*", "**"))

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if operator == "**":
                raise SecurityError("** is not available here")
            sizes = [len(side) for side in (left, right) if hasattr(side, "__len__")]
            counts = [side for side in (left, right) if isinstance(side, int)]
            if sizes and counts and sizes[0] * counts[0] > LONGEST_REPEAT:
                raise SecurityError(f"* would make more than {LONGEST_REPEAT} characters or items")
            if len(counts) == 2 and sum(count.bit_length() for count in counts) > LONGEST_NUMBER:
                raise SecurityError(f"* would make a number of more than {LONGEST_NUMBER} bits")
            return super().call_binop(context, operator, left, right)

    return Sandbox(loader=FileSystemLoader(folder), **_options())


def _where(error: BaseException, path: Path) -> str:
    """The file and, where known, the line at which a template was when the error came up."""
    if (line := getattr(error, "lineno", None)) is not None:
        return f"{getattr(error, 'filename', None) or path}:{line}"
    place, step = str(path), error.__traceback__
    while step is not None:
        if Path(step.tb_frame.f_code.co_filename).parent == path.parent:
            place = f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}"
        step = step.tb_next
    return place


def _told(error: BaseException) -> str:
    from jinja2 import TemplateNotFound

    if isinstance(error, TemplateNotFound):
        return f"there is no template {error.name} beside it"
    if isinstance(error, MemoryError):
        return HUGE
    return " ".join(str(error).split()) or type(error).__name__
