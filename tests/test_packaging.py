from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path
from typing import Any

import pytest
from installation import PLAN, User, cache_with_packages, link_packages, tree, version_of

from orchestrator import __version__

ROOT = Path(__file__).resolve().parent.parent

RUNTIME_LOCK = ROOT / "scripts" / "requirements.lock"
DEVELOPMENT_LOCK = ROOT / "tests" / "requirements.lock"
LOCK_LINE = re.compile(
    r"[a-z0-9-]+==[0-9a-z.]+( ; [a-zA-Z0-9_ !=']+)?( \\)?|    --hash=sha256:[0-9a-f]{64}( \\)?"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the build backend itself: no network, nothing written to the repository."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    return zipfile.ZipFile(wheel).namelist()


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_wheel_has_every_file_of_the_package(names: list[str]) -> None:
    package = ROOT / "scripts" / "orchestrator"
    files = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]

    assert [path for path in files if path.relative_to(package.parent).as_posix() not in names] == []


def test_the_wheel_has_every_template(names: list[str]) -> None:
    folder = ROOT / "templates"
    files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    templates = [path.relative_to(folder).as_posix() for path in files]

    assert "workers/general.md" in templates
    assert [name for name in templates if f"orchestrator/_skill/templates/{name}" not in names] == []


def test_the_wheel_has_nothing_but_the_package_and_its_metadata(names: list[str]) -> None:
    roots = {name.partition("/")[0] for name in names}

    assert {root for root in roots if not root.endswith(".dist-info")} == {"orchestrator"}
    assert [name for name in names if re.search(r"/(test_|tests/|__pycache__)", name)] == []


def test_the_wheel_brings_the_console_script_and_the_license(wheel: Path, names: list[str]) -> None:
    (entry_points,) = (name for name in names if name.endswith("/entry_points.txt"))
    text = zipfile.ZipFile(wheel).read(entry_points).decode()

    assert "[console_scripts]\norchestrate = orchestrator.__main__:main" in text
    assert any(name.endswith("LICENSE") for name in names)


def test_the_wheel_answers_version_without_any_package(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)

    command = [sys.executable, "-S", "-m", "orchestrator", "--version"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert done.stdout == "orchestrate 0.1.0\n"


def test_the_entry_asks_for_what_the_project_depends_on(project: dict[str, Any]) -> None:
    header = [
        line.removeprefix("#").removeprefix(" ")
        for line in (ROOT / "scripts" / "orchestrate.py").read_text().splitlines()
        if line.startswith("#")
    ]
    begin, end = header.index("/// script"), header.index("///")
    metadata = tomllib.loads("\n".join(header[begin + 1 : end]))

    assert metadata["dependencies"] == project["project"]["dependencies"]
    assert metadata["requires-python"] == project["project"]["requires-python"]


@pytest.mark.parametrize("lock", [RUNTIME_LOCK, DEVELOPMENT_LOCK], ids=["runtime", "development"])
def test_a_lock_file_holds_names_versions_and_hashes_and_no_address(lock: Path) -> None:
    lines = lock.read_text().splitlines()

    assert [text for text in lines if not LOCK_LINE.fullmatch(text)] == []


def test_the_lock_files_pin_every_dependency(project: dict[str, Any]) -> None:
    runtime = {plain_name(text) for text in project["project"]["dependencies"]}
    development = {plain_name(text) for text in project["dependency-groups"]["dev"]}

    assert runtime <= pins(RUNTIME_LOCK).keys()
    assert runtime | development | {"hatchling"} <= pins(DEVELOPMENT_LOCK).keys()


def test_tests_run_on_the_versions_that_users_get() -> None:
    assert pins(RUNTIME_LOCK).items() <= pins(DEVELOPMENT_LOCK).items()


def plain_name(requirement: str) -> str:
    """`PyYAML>=6` as `pyyaml`."""
    match = re.match(r"[A-Za-z0-9_.-]+", requirement)
    assert match, requirement
    return match.group().lower().replace("_", "-")


def pins(lock: Path) -> dict[str, str]:
    """Name to version."""
    found = re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text(), re.MULTILINE)
    return dict(found)


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the wheel, put there by pip, and the packages of the tests."""
    folder = tmp_path_factory.mktemp("wheel") / "environment"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    command = [f"{folder}/bin/python", "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, check=True, env={"PATH": os.defpath, "HOME": str(folder)})
    (packages,) = folder.glob("lib/python*/site-packages")
    link_packages(packages)
    return folder


@pytest.fixture
def user(environment: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> User:
    """Somebody with that environment on the PATH."""
    cache = cache_with_packages(tmp_path_factory.mktemp("cache"))
    return User(tmp_path, environment / "bin", XDG_CACHE_HOME=str(cache))


def test_from_the_wheel_the_same_skill_is_installed_as_from_a_clone(user: User, tmp_path: Path) -> None:
    done = user.type("orchestrate", "install")
    other = User(tmp_path / "other", XDG_CACHE_HOME=user.variables["XDG_CACHE_HOME"])
    other.orchestrate("install")

    assert done.status == 0, done.err
    assert '"Bash(orchestrate *)"' in done.out
    assert version_of(user.skill) == version_of(other.skill) == "0.1.0"
    assert tree(user.skill) == tree(other.skill)


def test_what_the_wheel_installed_works_without_it(user: User) -> None:
    (user.here / "plan.yaml").write_text(PLAN)
    user.type("orchestrate", "install")
    user.variables["PATH"] = f"{user.commands}:{os.defpath}"

    assert user.type("orchestrate", "install", "--check").status == 0
    assert user.type("orchestrate", "run", "plan.yaml").status == 0
    assert user.type("orchestrate", "uninstall").status == 0
    assert not user.skill.exists()
    assert not user.command.exists()


def test_the_wheel_runs_a_plan_and_cannot_be_linked(user: User) -> None:
    (user.here / "plan.yaml").write_text(PLAN)

    assert user.type("orchestrate", "run", "plan.yaml").status == 0
    refused = user.type("orchestrate", "install", "--link")

    assert refused.status == 2
    assert "--link is for a clone" in refused.err


def test_the_plugin_has_the_version_and_the_name_of_the_project(project: dict[str, Any]) -> None:
    plugin = json.loads((ROOT / ".claude-plugin" / "plugin.json").read_text())
    market = json.loads((ROOT / ".claude-plugin" / "marketplace.json").read_text())

    assert (plugin["name"], plugin["version"]) == (project["project"]["name"], __version__)
    assert [entry["name"] for entry in market["plugins"]] == [plugin["name"]]
    assert market["plugins"][0]["description"] == plugin["description"]
    assert ET.parse(ROOT / ".claude-plugin" / "icon.svg").getroot().get("viewBox")
