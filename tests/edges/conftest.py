"""What tests of the views share."""

from __future__ import annotations

from pathlib import Path

import pytest
from story import Story
from viewed import told_story

from orchestrator.edges.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    made = Workspace(tmp_path / ".orchestrator")
    made.create()
    return made


@pytest.fixture
def story() -> Story:
    """A run in which everything happens once."""
    return told_story()
