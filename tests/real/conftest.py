"""What tests of the real claude program share: its versions, and project folders with an API each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import shop
from api_requests import Script
from claude_program import FOLDER_VARIABLE, NEWEST, VERSIONS, is_there
from messages_api import MessagesApi
from realclaude import Login, MakeReal, RealProject, Shop

HERE = Path(__file__).resolve().parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "oldest: also with the oldest version of claude that is supported")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    chosen = any("version" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "version" in metafunc.fixturenames and not chosen:
        marked = metafunc.definition.get_closest_marker("oldest")
        metafunc.parametrize("version", VERSIONS if marked else [NEWEST])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.real)


@pytest.fixture(scope="session")
def finished_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Made once, by two dozen workers: tests look at it, and may do what leaves it as it is."""
    need(NEWEST)
    with MessagesApi(shop.script()) as api:
        project = RealProject(tmp_path_factory.mktemp("shop"), api, NEWEST)
        try:
            project.plan(**shop.PLAN)
            yield Shop(project, project.run())
        finally:
            project.clear()


def need(version: str) -> None:
    """Skips where that version of the program is not installed."""
    if not is_there(version):
        pytest.skip(f"claude {version} is not installed: run tests/check.py, or set {FOLDER_VARIABLE}")


@pytest.fixture
def real(tmp_path: Path, version: str) -> Iterator[MakeReal]:
    """Makes project folders; whatever is left of them at the end is killed."""
    need(version)
    with ExitStack() as stack:

        def make(
            script: Script, *, login: Login = "key", environment: dict[str, str] | None = None, **options: Any
        ) -> RealProject:
            folder = tmp_path / f"real-{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            api = stack.enter_context(MessagesApi(script, **options))
            project = RealProject(folder, api, version, login, **(environment or {}))
            stack.callback(project.clear)
            return project

        yield make
