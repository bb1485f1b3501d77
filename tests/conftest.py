"""What tests that start real processes share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from project import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project folder; whatever is left of it at the end is killed."""
    found = Project(tmp_path)
    yield found
    found.clear()
