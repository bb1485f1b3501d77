"""What tests that start real processes share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from grouping import scheduler
from hostile import Hostile
from hypothesis import HealthCheck, settings
from installation import User, another_version, cache_with_packages
from project import Project

MEMORY = Path("/dev/shm")
ENOUGH = 2 << 30
"""Free bytes: several times what the folders of all tests take."""


def pytest_configure(config: pytest.Config) -> None:
    # Every event and every installed file is synced, and on a busy disk tests would do little but wait for that.
    if config.option.basetemp is None and "TMPDIR" not in os.environ and in_memory():
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object | None:
    return scheduler(config, log)


def in_memory() -> bool:
    """Whether there is room for temporary folders in memory, and programs in them can be run."""
    try:
        found = os.statvfs(MEMORY)
    except OSError:
        return False
    roomy = found.f_bavail * found.f_frsize >= ENOUGH
    return roomy and os.access(MEMORY, os.W_OK) and not found.f_flag & os.ST_NOEXEC


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project folder; whatever is left of it at the end is killed."""
    found = Project(tmp_path)
    yield found
    found.clear()


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with the packages of the program."""
    return cache_with_packages(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def user(tmp_path: Path, cache_folder: Path) -> User:
    """Somebody with a home of their own, who has the packages."""
    return User(tmp_path, XDG_CACHE_HOME=str(cache_folder))


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """The skill in an older version, to install from."""
    return another_version(tmp_path / "older", "0.0.9")


@pytest.fixture
def hostile(project: Project, tmp_path: Path) -> Hostile:
    return Hostile(project, tmp_path / "hostile")


# Inputs are made more slowly on a busy machine; that says nothing about what is tested.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
