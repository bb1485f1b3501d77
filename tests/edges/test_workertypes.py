"""Worker types of a project: which folders they come from, and whose counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.core.plan import Task
from orchestrator.core.workers import BUNDLED, DEFAULT_TOOLS, READERS, denied_of
from orchestrator.edges import workertypes
from orchestrator.edges.templates import templates_folder
from orchestrator.edges.workertypes import WorkerTypes, beside, load
from orchestrator.errors import UsageError

ANY = Task(id="T-01")


class House:
    """A home, a project and a workspace, each with a place for worker files."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.project = folder / "project"
        self.templates = self.project / ".orchestrator" / "templates"
        self.places = {
            "home": self.home / "agents",
            "project": self.project / ".claude" / "agents",
            "workspace": self.templates / "workers",
        }
        for place in self.places.values():
            place.mkdir(parents=True)

    def add(self, place: str, name: str, text: str | None = None) -> Path:
        """A file that says where it is, or `text`."""
        path = self.places[place] / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text if text is not None else f"---\nname: {path.stem}\n---\nFrom {place}.\n")
        return path

    def types(self, *, trusted: bool = True) -> WorkerTypes:
        return load(self.templates, self.project, self.home, trusted=trusted)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def only(types: WorkerTypes, name: str) -> str:
    """The prompt of the type of that name."""
    return types.find([name])[name].prompt


def test_the_program_brings_one_file_for_each_of_its_types(house: House) -> None:
    files = {path.stem for path in (templates_folder() / "workers").iterdir()}
    assert files == set(BUNDLED) == set(house.types())
    for name, worker in house.types().find(BUNDLED).items():
        assert worker.name == name
        assert worker.bundled
        assert worker.model == "sonnet"
        assert worker.description
        assert "# Your role\n" in worker.prompt


def test_each_type_has_the_least_tools_for_its_job(house: House) -> None:
    found = house.types().find(BUNDLED)
    reading = {name for name, worker in found.items() if set(worker.tools or ()) <= set(READERS)}
    assert reading == {"code-analyzer", "system-architect", "orchestrator"}
    assert all(found[name].permission_mode == "dontAsk" for name in reading)
    assert all(found[name].permission_mode == "acceptEdits" for name in found.keys() - reading)
    assert found["orchestrator"].tools == ()
    assert found["general"].tools == found["code-developer"].tools == DEFAULT_TOOLS
    running = {name for name, worker in found.items() if "Bash" not in denied_of(ANY, worker)}
    assert running == {"test-engineer", "performance-optimizer"}
    assert "Bash" not in {tool for worker in found.values() for tool in worker.tools or ()}


def test_a_type_that_reads_is_denied_the_tools_that_write(house: House) -> None:
    for worker in house.types().find(["code-analyzer", "system-architect", "orchestrator"]).values():
        assert denied_of(ANY, worker) == ("Edit", "Write", "NotebookEdit", "Bash")


def test_the_nearest_file_of_a_name_counts(house: House) -> None:
    for place in house.places:
        path = house.add(place, "general")
        types = house.types()
        assert only(types, "general") == f"From {place}."
        assert types.source("general") == path
        assert not types.find(["general"])["general"].bundled


def test_subagents_lie_in_folders_of_folders_and_go_by_the_name_they_say(house: House) -> None:
    house.add("project", "team/one", "---\nname: reviewer\n---\nReview.")
    types = house.types()
    assert "reviewer" in types
    assert "one" not in types
    assert only(types, "reviewer") == "Review."


def test_the_planner_is_not_a_subagent_that_has_its_name(house: House) -> None:
    house.add("home", "orchestrator")
    house.add("project", "boss", "---\nname: orchestrator\ntools: Task\n---\nDelegate.")
    assert house.types().find(["orchestrator"])["orchestrator"].bundled
    house.add("workspace", "orchestrator")
    assert only(house.types(), "orchestrator") == "From workspace."


def test_a_bad_file_is_told_where_its_type_is_used_and_nowhere_else(house: House) -> None:
    path = house.add("project", "bad", "no front matter")
    house.add("home", "worse", "---\nname: worse\nmodel: --x\n---\n")
    house.add("home", "good")
    assert only(house.types(), "good") == "From home."
    with pytest.raises(UsageError) as caught:
        house.types().find(["good", "bad", "worse"])
    assert [line.split(": ")[0] for line in str(caught.value).split("\n")] == [
        f"{path}:1",
        f"{house.home}/agents/worse.md:3",
    ]


def test_a_name_that_is_no_plain_word_is_told_by_its_file(house: House) -> None:
    path = house.add("home", "review", "---\nname: Code Review\n---\n")
    types = house.types()
    assert "Code Review" in types
    assert set(types) == set(BUNDLED)
    with pytest.raises(UsageError, match=f"{path}:2: name: 'Code Review' cannot be one"):
        types.find(["Code Review"])


def test_a_name_without_a_file_is_told_with_what_was_meant(house: House) -> None:
    house.add("home", "reviewer")
    with pytest.raises(UsageError, match=r"no worker type 'reviwer'; did you mean 'reviewer'\?"):
        house.types().find(["reviwer"])
    with pytest.raises(UsageError, match="no worker type 'zzz'"):
        house.types().source("zzz")


def test_in_a_folder_that_is_not_trusted_its_subagents_grant_nothing(house: House) -> None:
    house.add("project", "code-analyzer", "---\nname: code-analyzer\ntools: Bash\n---\nObey.")
    house.add("project", "own")
    types = house.types(trusted=False)
    assert types.find(["code-analyzer"])["code-analyzer"].bundled
    with pytest.raises(UsageError, match=r"own\.md: does not count, for the project folder is not trusted"):
        types.find(["own"])
    assert only(house.types(), "code-analyzer") == "Obey."


def test_files_are_looked_at_when_a_name_is_asked_for(house: House) -> None:
    types = house.types()
    assert "general" in types
    house.add("home", "late")
    assert "late" in types
    house.add("home", "later")
    assert "later" not in types


def test_folders_that_are_not_there_hold_nothing(tmp_path: Path) -> None:
    assert set(load(tmp_path / "a", tmp_path / "b", None, trusted=True)) == set(BUNDLED)


def test_a_folder_of_very_many_files_is_not_read_to_its_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        house.add("home", f"w{number}")
    (house.places["home"] / "notes.txt").write_text("---\nname: notes\n---\n")
    monkeypatch.setattr(workertypes, "MOST_FILES", 8)
    assert len(house.types()) == len(BUNDLED) + 7
    monkeypatch.setattr(workertypes, "MOST_FILES", 3)
    assert "w2" in house.types()
    assert "w3" not in house.types()


def test_beside_a_plan_are_the_types_of_its_workspace_and_of_the_user(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(house.home))
    monkeypatch.chdir(tmp_path)
    for place in house.places:
        house.add(place, f"of-{place}")
    plan = house.templates.parent / "plan.yaml"
    for path in (plan, plan.relative_to(tmp_path)):
        assert {"of-home", "of-project", "of-workspace"} <= set(beside(path))
    assert set(beside(tmp_path / "plan.yaml")) == {*BUNDLED, "of-home"}
    monkeypatch.chdir(house.project)
    assert {"of-home", "of-project", "of-workspace"} <= set(beside(tmp_path / "plan.yaml"))


def test_two_files_of_one_folder_for_one_name_are_refused_by_both_their_names(house: House) -> None:
    text = "---\nname: reviewer\n---\nReview.\n"
    first, second = house.add("project", "reviewer", text), house.add("project", "team/reviewer-2", text)
    with pytest.raises(UsageError) as raised:
        house.types().find(["reviewer"])
    assert str(raised.value) == f"{second}: has the same name as {first}: 'reviewer'; rename one of the two"
    house.add("workspace", "reviewer")
    assert only(house.types(), "reviewer") == "From workspace."
