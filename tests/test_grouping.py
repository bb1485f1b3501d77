from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from grouping import GROUPS, group_of

ROOT = Path(__file__).resolve().parent.parent


def test_every_file_of_a_group_is_there_and_its_tests_have_one_name() -> None:
    assert [name for name in GROUPS if not (ROOT / name).is_file()] == []
    assert group_of("tests/test_packaging.py::test_a[1]") == group_of("tests/test_packaging.py::test_b")
    assert group_of("tests/test_plan.py::test_a") != group_of("tests/test_plan.py::test_b")


def test_the_tests_of_a_group_go_to_one_worker() -> None:
    pytest.importorskip("xdist")
    options = ("-o", "addopts=", "-v", "-n", "2", "--dist", "loadgroup", "-k", "lock")
    command = [sys.executable, "-m", "pytest", *options, "tests/test_packaging.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    workers = {line.split("]")[0] for line in done.stdout.splitlines() if line.startswith("[gw")}
    assert done.stdout.count("PASSED") > 1
    assert len(workers) == 1, done.stdout + done.stderr
