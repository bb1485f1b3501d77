from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from installation import PLAN, User, another_version, cache_with_packages, tree, version_of
from project import Done, Project

from orchestrator import __version__, pathcommand, skillfiles
from orchestrator.edges import folderswap
from orchestrator.installing import install, places
from orchestrator.skillfiles import ENTRY, MANIFEST

ROOT = Path(__file__).resolve().parent.parent
OLDER = Path(__file__).resolve().parent / "older"
CHANGED, ADDED, GONE = "workflow.md", "notes/mine.md", "examples.md"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cache_with_packages(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def user(tmp_path: Path, cache: Path) -> User:
    return User(tmp_path, XDG_CACHE_HOME=str(cache))


@pytest.fixture
def older(tmp_path: Path) -> Path:
    return another_version(tmp_path / "older", "0.0.9")


def findings(done: Done) -> dict[str, int]:
    """The status of each finding of `install --check --json`, by its name."""
    return {found["name"]: found["status"] for found in json.loads(done.out)["findings"]}


def test_the_skill_is_installed_whole_with_packages_and_a_command_that_works(user: User) -> None:
    done = user.orchestrate("install")
    (user.here / "plan.yaml").write_text(PLAN)

    assert (done.status, done.err) == (0, "")
    assert version_of(user.skill) == __version__
    assert user.installed("--version").out == f"orchestrate {__version__}\n"
    assert user.installed("run", "plan.yaml").status == 0
    assert "hello" in (user.here / ".orchestrator" / "final_output.md").read_text()


def test_the_lines_to_type_are_those_that_the_permission_rule_allows(user: User) -> None:
    user.orchestrate("install")

    by_name, by_path = user.installed("status"), user.orchestrate("status")

    assert by_name.out.endswith("begin with: orchestrate run\n")
    assert by_path.out.endswith(f"begin with: python3 {ROOT / ENTRY} run\n")


def test_check_finds_nothing_wrong_with_what_was_installed(user: User) -> None:
    user.orchestrate("install")

    done = user.installed("install", "--check")

    assert done.status == 0, done.out
    assert [line[:3] for line in done.out.splitlines()] == ["ok "] * 5


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


def test_the_rule_names_the_command_where_the_shell_finds_it_and_else_the_script(user: User) -> None:
    found = user.orchestrate("install").out
    user.variables["PATH"] = os.defpath

    done = user.orchestrate("install")

    settings = f"in {user.home / '.claude' / 'settings.json'}:"
    assert found.splitlines()[-1] == '  "Bash(orchestrate *)"'
    assert settings in found
    assert done.out.splitlines()[-1] == f'  "Bash(python3 {user.skill / ENTRY} *)"'
    assert f"{user.commands} is not on the PATH" in done.err


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


def personalise(skill: Path) -> None:
    """Change a file and add one."""
    (skill / CHANGED).write_text("changed")
    (skill / ADDED).parent.mkdir()
    (skill / ADDED).write_text("added")


def test_files_that_are_missing_or_changed_are_found_and_mended(user: User) -> None:
    user.orchestrate("install")
    personalise(user.skill)
    (user.skill / GONE).unlink()

    broken = user.orchestrate("install", "--check", "--json")
    user.orchestrate("install")
    mended = user.orchestrate("install", "--check")

    assert broken.status == 1
    assert {name for name, status in findings(broken).items() if status} == {"missing files", "changed files"}
    assert mended.status == 0
    assert f"yours: {ADDED}" in mended.out


def test_check_says_what_is_not_installed_and_what_is_of_another_version(user: User, older: Path) -> None:
    nothing = user.orchestrate("install", "--check")
    user.orchestrate("install", root=older)

    other = user.orchestrate("install", "--check")

    assert nothing.status == 1
    assert "nothing is at" in nothing.out
    assert other.status == 1
    assert f"BAD skill: 0.0.9 at {user.skill}; this program is {__version__}" in other.out


def test_check_finds_missing_packages_and_a_command_out_of_reach(user: User, tmp_path: Path) -> None:
    user.orchestrate("install")
    user.variables |= {"XDG_CACHE_HOME": str(tmp_path / "empty"), "PATH": os.defpath}

    done = user.orchestrate("install", "--check", "--json")

    assert done.status == 5
    assert findings(done) == {"skill": 0, "files": 0, "packages": 5, "command": 5, "permission rule": 0}


def test_check_finds_a_command_that_leads_nowhere(user: User) -> None:
    user.orchestrate("install", "--project")
    shutil.rmtree(user.here / ".claude")
    user.variables["ORCHESTRATE_NO_SETUP"] = "1"
    (user.home / ".claude" / "skills").mkdir(parents=True)
    skillfiles.copy(skillfiles.source().files, user.skill)

    done = user.orchestrate("install", "--check", "--json")

    assert done.status == 1
    assert findings(done) == {"skill": 0, "packages": 0, "command": 1, "permission rule": 0}


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


def test_uninstall_leaves_the_home_as_it_was(user: User) -> None:
    (user.home / ".claude").mkdir()
    before = tree(user.home)
    user.orchestrate("install")

    done = user.installed("uninstall")

    assert done.status == 0
    assert tree(user.home) == before


def test_uninstall_keeps_what_the_user_changed_or_added_and_every_workspace(user: User) -> None:
    user.orchestrate("install")
    user.installed("init", "Say hello")
    personalise(user.skill)

    done = user.orchestrate("uninstall")

    assert f"but not what is yours: {CHANGED}, {ADDED}" in done.out
    assert tree(user.skill) == {CHANGED, "notes", ADDED}
    assert (user.here / ".orchestrator" / "plan.yaml").exists()
    assert not user.command.exists()


def test_uninstall_where_nothing_is_says_so(user: User) -> None:
    done = user.orchestrate("uninstall")

    assert done.status == 0
    assert done.out.splitlines()[0] == f"nothing is installed at {user.skill}"


def test_a_changed_command_is_kept(user: User) -> None:
    user.orchestrate("install")
    user.command.write_text(user.command.read_text() + "# mine\n")

    again, done = user.orchestrate("install"), user.orchestrate("uninstall")

    assert f"{user.command} is none of ours: it was left alone" in again.err
    assert f"kept {user.command}" in done.out
    assert user.command.read_text().endswith("# mine\n")


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_foreign_command_of_that_name_is_left_alone(user: User, kind: str) -> None:
    user.commands.mkdir(parents=True)
    if kind == "file":
        user.command.write_text("#!/bin/sh\necho another program\n")
        user.command.chmod(0o755)
    else:
        user.command.symlink_to("/nowhere/orchestrate")

    done = user.orchestrate("install")

    assert done.status == 0
    assert "none of ours: it was left alone" in done.err
    assert f'"Bash(python3 {user.skill / ENTRY} *)"' in done.out
    assert user.command.is_symlink() == (kind == "link")
    assert user.orchestrate("install", "--check").status == 5 if kind == "file" else True


def test_a_command_that_a_package_brought_is_good_enough(user: User) -> None:
    user.commands.mkdir(parents=True)
    user.command.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT / 'scripts')!r})\n"
        f"{pathcommand.OF_A_PACKAGE}\nsys.exit(main())\n"
    )
    user.command.chmod(0o755)

    done = user.orchestrate("install")

    assert '"Bash(orchestrate *)"' in done.out
    assert user.orchestrate("install", "--check").status == 0


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


def test_where_a_file_finds_no_room_the_older_copy_stays_whole(user: User, older: Path) -> None:
    user.orchestrate("install", root=older)
    limited = f"ulimit -f 8; exec {shlex.quote(sys.executable)} {shlex.quote(str(ROOT / ENTRY))} install"

    done = user.type("/bin/sh", "-c", limited)

    assert done.status == 5
    assert "what was there is as it was" in done.err
    assert version_of(user.skill) == "0.0.9"
    assert os.listdir(user.skill.parent) == [skillfiles.NAME]


def test_two_at_once_leave_one_whole_copy(user: User, older: Path) -> None:
    roots = [ROOT, older] * 3

    started = [user.start(sys.executable, root / ENTRY, "install") for root in roots]
    ends = [(process.communicate(timeout=120), process.returncode) for process in started]

    assert [status for _, status in ends] == [0] * len(roots), ends
    assert version_of(user.skill) in (__version__, "0.0.9")
    assert os.listdir(user.skill.parent) == [skillfiles.NAME]
    assert user.installed("--version").status == 0


Upgrade = Callable[[], None]


@pytest.fixture
def upgrade(user: User, older: Path, monkeypatch: pytest.MonkeyPatch) -> Upgrade:
    """Replaces 0.0.9 by this version in this very process."""
    user.orchestrate("install", root=older)
    for name, value in user.variables.items():
        monkeypatch.setenv(name, value)

    def upgraded() -> None:
        install(skillfiles.source(), places(user.variables, None), link=False, packages=False)

    return upgraded


def dies_before(event: str, number: int, what: Upgrade) -> bool:
    """Whether `what` comes to a certain event of Python's audit, and there its process ends without a word."""
    if not (pid := os.fork()):
        left = number

        def count(name: str, _: object) -> None:
            nonlocal left
            left -= name == event
            if left < 0:
                os._exit(9)

        sys.addaudithook(count)
        what()
        os._exit(0)
    return os.waitpid(pid, 0)[1] != 0


BEFORE_THE_SWAP = [("open", 0), ("os.mkdir", 0), ("open", 300), ("os.mkdir", 5), ("ctypes.dlsym", 0)]
AFTER_THE_SWAP = [("shutil.rmtree", 0), ("os.remove", 90), ("os.rmdir", 0)]


def test_a_crash_before_the_swap_leaves_the_old_copy_whole(user: User, upgrade: Upgrade) -> None:
    for event, number in BEFORE_THE_SWAP:
        assert dies_before(event, number, upgrade), (event, number)
        assert version_of(user.skill) == "0.0.9"

    upgrade()
    assert version_of(user.skill) == __version__
    assert os.listdir(user.skill.parent) == [skillfiles.NAME]


@pytest.mark.parametrize(("event", "number"), AFTER_THE_SWAP)
def test_a_crash_after_the_swap_leaves_the_new_copy_whole(
    user: User, upgrade: Upgrade, event: str, number: int
) -> None:
    assert dies_before(event, number, upgrade)
    assert version_of(user.skill) == __version__

    upgrade()
    assert os.listdir(user.skill.parent) == [skillfiles.NAME]


def test_where_names_cannot_be_exchanged_a_crash_in_between_is_put_right_by_the_next(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").touch()

    def dies(one: Path, other: Path) -> bool:
        shutil.rmtree(one)
        return False

    def replaced() -> None:
        with folderswap.held(target) as aside:
            (aside / "new").mkdir()
            folderswap.swap(aside / "new", target, aside, exchange=dies)

    with pytest.raises(FileNotFoundError):
        replaced()

    assert os.listdir(target) == ["old"]
    assert os.listdir(tmp_path) == ["target"]


def test_where_names_cannot_be_exchanged_the_folder_is_replaced_all_the_same(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").touch()

    with folderswap.held(target) as aside:
        (aside / "new").mkdir()
        folderswap.swap(aside / "new", target, aside, exchange=lambda one, other: False)

    assert os.listdir(target) == []
    assert os.listdir(tmp_path) == ["target"]


def test_a_process_that_died_between_the_two_names_is_put_right(tmp_path: Path) -> None:
    aside = tmp_path / ".target.setup"
    (aside / folderswap.OLD).mkdir(parents=True)

    with folderswap.held(tmp_path / "target"):
        assert (tmp_path / "target").is_dir()


@pytest.mark.parametrize(
    ("change", "status"),
    [({"format": 2}, 5), ({"files": {"../../../elsewhere": "0"}}, 5), ({"files": {"/etc/passwd": "0"}}, 5)],
)
def test_a_manifest_that_is_newer_or_names_what_lies_elsewhere_is_not_followed(
    user: User, change: dict[str, object], status: int
) -> None:
    user.orchestrate("install")
    path = user.skill / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    before = tree(user.skill)

    done = user.orchestrate("install")
    user.orchestrate("uninstall")

    assert done.status == status
    assert tree(user.skill) == before


def older_workspace(folder: Path, change: Callable[[str], str] = str) -> Project:
    """A project whose workspace another version of the program has left."""
    project = Project(folder)
    shutil.copytree(OLDER / "format-1", project.workspace)
    (project.workspace / "inbox").mkdir()
    journal = project.workspace / "journal.jsonl"
    journal.write_text(change(journal.read_text().replace('"PROJECT"', json.dumps(str(project.folder)))))
    return project


def test_a_run_of_an_older_version_is_read_and_goes_on(tmp_path: Path) -> None:
    project = older_workspace(tmp_path)
    (project.folder / "go").touch()

    before = {task["id"]: task["status"] for task in json.loads(project.do("status", "--json").out)["tasks"]}
    project.do("retry", "--failed")
    done = project.do("run")

    assert before == {"T-01": "completed", "T-02": "failed", "T-03": "skipped"}
    assert done.status == 0, done.err
    assert (project.folder / "ran.txt").read_text() == "summed\n"


def test_a_journal_of_a_newer_version_is_an_error_and_stays(tmp_path: Path) -> None:
    project = older_workspace(tmp_path, lambda text: text.replace('"version":1}', '"version":99}', 1))
    before = (project.workspace / "journal.jsonl").read_bytes()

    done = project.do("run")

    assert done.status == 2
    assert "journal format 99 was written by another version of this program" in done.err
    assert (project.workspace / "journal.jsonl").read_bytes() == before


def test_the_official_validator_of_skills_accepts_the_copy(user: User) -> None:
    validator = pytest.importorskip("skills_ref", reason="skills-ref is not installed")
    user.orchestrate("install")

    assert validator.validate(user.skill) == []
