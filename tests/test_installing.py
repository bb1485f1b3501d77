from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from installation import ADDED, CHANGED, PLAN, User, personalise, tree, version_of

from orchestrator import __version__, pathcommand, skillfiles
from orchestrator.skillfiles import ENTRY, MANIFEST

ROOT = Path(__file__).resolve().parent.parent


def test_the_skill_is_installed_whole_with_packages_and_a_command_that_works(user: User) -> None:
    done = user.orchestrate("install")
    (user.here / "plan.yaml").write_text(PLAN)

    assert (done.status, done.err) == (0, "")
    assert version_of(user.skill) == __version__
    assert user.installed("--version").out == f"orchestrate {__version__}\n"
    assert user.installed("run", "plan.yaml").status == 0
    assert "hello" in (user.here / ".orchestrator" / "final_output.md").read_text()


def test_the_copy_holds_what_it_needs_and_no_tests(user: User) -> None:
    user.orchestrate("install")

    assert {path.name for path in user.skill.iterdir()} == {
        *("SKILL.md", "workflow.md", "templates.md", "cli-integration.md", "examples.md", "dynamic.md"),
        *("LICENSE", "scripts", "templates", ".claude-plugin", MANIFEST),
    }
    assert tree(user.skill / "templates") == tree(ROOT / "templates")
    assert tree(user.skill / "scripts") == tree(ROOT / "scripts", but=("__pycache__", ".mypy_cache"))


def test_every_link_between_the_documents_of_the_copy_leads_somewhere(user: User) -> None:
    user.orchestrate("install")

    for page in user.skill.glob("*.md"):
        prose = re.sub(r"^(`{3,}).*?^\1$", "", page.read_text(), flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)", prose):
            assert (user.skill / target).exists(), f"{page.name}: {target}"


def test_a_project_gets_a_copy_of_its_own(user: User) -> None:
    done = user.orchestrate("install", "--project")

    skill = user.here / ".claude" / "skills" / skillfiles.NAME
    assert done.status == 0
    assert version_of(skill) == __version__
    assert f"in {user.here / '.claude' / 'settings.json'}:" in done.out
    assert not user.skill.exists()
    assert user.orchestrate("install", "--check", "--project").status == 0


def test_a_projects_copy_leaves_the_command_of_the_users_copy_alone(user: User) -> None:
    user.orchestrate("install")

    done = user.orchestrate("install", "--project")

    assert f"still leads to {user.skill / ENTRY}" in done.err
    assert pathcommand.leads_to(user.command) == user.skill / ENTRY


def test_the_folder_of_claude_may_be_elsewhere(user: User, tmp_path: Path) -> None:
    user.variables["CLAUDE_CONFIG_DIR"] = str(tmp_path / "a config")

    done = user.orchestrate("install")

    assert done.status == 0
    assert version_of(tmp_path / "a config" / "skills" / skillfiles.NAME) == __version__
    assert user.installed("--version").status == 0


def test_a_second_time_nothing_is_written(user: User) -> None:
    user.orchestrate("install")
    before = {path: path.stat().st_ino for path in user.skill.rglob("*")}

    done = user.orchestrate("install")

    assert "as it was" in done.out
    assert {path: path.stat().st_ino for path in user.skill.rglob("*")} == before


def test_an_installed_copy_installs_itself_and_others(user: User) -> None:
    user.orchestrate("install")

    again, other = user.installed("install"), user.installed("install", "--project")

    assert (again.status, other.status) == (0, 0)
    assert "this very folder" in again.out
    assert version_of(user.here / ".claude" / "skills" / skillfiles.NAME) == __version__


def test_a_copy_that_is_not_whole_says_that_it_cannot_renew_itself(user: User) -> None:
    user.orchestrate("install")
    personalise(user.skill)

    done = user.installed("install")

    wanted = f"not as they were installed: {CHANGED}; `install` from a clone or a package renews them"
    assert (done.status, done.err) == (0, f"orchestrate: {wanted}\n")
    assert "`install` from a clone or a package renews them" in user.installed("install", "--check").out


def test_an_older_copy_is_replaced_and_nothing_of_it_is_left(user: User, older: Path) -> None:
    (older / "templates" / "forgotten.j2").touch()
    user.orchestrate("install", root=older)
    assert version_of(user.skill) == "0.0.9"

    done = user.orchestrate("install")

    assert "in place of 0.0.9" in done.out
    assert version_of(user.skill) == __version__
    assert os.listdir(user.skill.parent) == [skillfiles.NAME]


def test_what_the_user_changed_or_added_outlives_an_upgrade(user: User, older: Path) -> None:
    user.orchestrate("install", root=older)
    personalise(user.skill)

    done = user.orchestrate("install")

    assert (
        done.err
        == f"orchestrate: {CHANGED} is not as it was installed: your version is now {CHANGED}.yours\n"
    )
    assert (user.skill / f"{CHANGED}.yours").read_text() == "changed"
    assert (user.skill / ADDED).read_text() == "added"
    assert (user.skill / CHANGED).read_bytes() == (ROOT / CHANGED).read_bytes()


def test_without_packages_nothing_is_installed(user: User, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    user.variables["XDG_CACHE_HOME"] = str(tmp_path / "file")

    done = user.orchestrate("install")

    assert done.status == 5
    assert done.err.startswith("orchestrate: nowhere to install the packages it needs: ")
    assert done.err.endswith("; nothing was installed\n")
    assert tree(user.home) == set()


def test_no_setup_installs_the_skill_alone_and_says_so(user: User, tmp_path: Path) -> None:
    user.variables |= {"XDG_CACHE_HOME": str(tmp_path / "new"), "ORCHESTRATE_NO_SETUP": "1"}

    done = user.orchestrate("install")

    assert (done.status, done.err) == (0, "orchestrate: the packages were not set up: ORCHESTRATE_NO_SETUP\n")
    assert version_of(user.skill) == __version__


@pytest.mark.parametrize("words", [("install",), ("install", "--link")], ids=" ".join)
def test_a_foreign_folder_of_that_name_is_an_error_and_stays(user: User, words: tuple[str, ...]) -> None:
    user.skill.mkdir(parents=True)
    (user.skill / "SKILL.md").write_text("---\nname: distributed-task-orchestrator\n---\nAnother.\n")

    done, removed = user.orchestrate(*words), user.orchestrate("uninstall")

    assert done.status == 5
    assert done.err == (
        f"orchestrate: {user.skill} was not put there by `orchestrate install`; move it away first\n"
    )
    assert f"kept {user.skill}" in removed.out
    assert tree(user.skill) == {"SKILL.md"}


def test_a_clone_in_place_gets_its_packages_and_its_command(user: User) -> None:
    skillfiles.copy(skillfiles.source().files, user.skill)
    (user.skill / ".git").mkdir()
    before = tree(user.skill)

    itself, other = user.orchestrate("install", root=user.skill), user.orchestrate("install")

    assert itself.status == 0
    assert user.installed("install", "--check").status == 0
    assert tree(user.skill) == before
    assert other.status == 5
    assert "is a clone, which git pull renews" in other.err


def test_a_link_leads_to_the_clone_and_uninstall_leaves_the_clone(user: User, older: Path) -> None:
    before = tree(older)

    done = user.orchestrate("install", "--link", root=older)
    assert done.status == 0
    assert user.skill.resolve() == older
    assert user.orchestrate("install", "--link", root=older).status == 0
    assert user.installed("--version").out == "orchestrate 0.0.9\n"
    assert user.orchestrate("install", "--check", root=older).status == 0

    assert user.orchestrate("uninstall").status == 0
    assert tree(user.home) <= {".claude", ".claude/skills", ".local", ".local/bin"}
    assert tree(older) == before


def test_a_link_that_leads_nowhere_is_found_and_replaced(user: User, older: Path) -> None:
    user.orchestrate("install", "--link", root=older)
    shutil.rmtree(older)

    dead = user.orchestrate("install", "--check")
    done = user.orchestrate("install")

    assert dead.status == 1
    assert "leads nowhere" in dead.out
    assert done.status == 0
    assert version_of(user.skill) == __version__


def test_a_copy_becomes_a_link_only_where_nothing_of_the_users_is_in_it(user: User, older: Path) -> None:
    user.orchestrate("install")
    (user.skill / "mine.md").touch()

    refused = user.orchestrate("install", "--link", root=older)
    (user.skill / "mine.md").unlink()
    done = user.orchestrate("install", "--link", root=older)

    assert refused.status == 5
    assert "holds files of yours: mine.md" in refused.err
    assert done.status == 0
    assert user.skill.is_symlink()


def test_a_home_that_is_not_there_is_an_error(user: User) -> None:
    user.home.rmdir()

    done = user.orchestrate("install")

    assert done.status == 5
    assert done.err.startswith(f"orchestrate: there is no home folder {user.home}")


def test_a_place_that_cannot_be_written_is_one_error(user: User, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    user.variables["CLAUDE_CONFIG_DIR"] = str(tmp_path / "file")

    done = user.orchestrate("install")

    assert done.status == 5
    assert done.err.startswith("orchestrate: cannot install at ")
    assert done.err.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to read-only folders")
def test_a_read_only_home_is_one_error(user: User) -> None:
    user.home.chmod(0o500)

    assert user.orchestrate("install").status == 5


def test_the_official_validator_of_skills_accepts_the_copy(user: User) -> None:
    validator = pytest.importorskip("skills_ref", reason="skills-ref is not installed")
    user.orchestrate("install")

    assert validator.validate(user.skill) == []
