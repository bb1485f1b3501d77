"""What tests that start real processes share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from project import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project folder; whatever is left of it at the end is killed."""
    found = Project(tmp_path)
    yield found
    found.clear()


# Inputs are made more slowly on a busy machine; that says nothing about what is tested.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
