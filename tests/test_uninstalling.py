"""What `uninstall` takes away, and what stays."""

from __future__ import annotations

from installation import ADDED, CHANGED, User, personalise, tree


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
