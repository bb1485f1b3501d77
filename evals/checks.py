"""What SKILL.md promises, each as a check with the real program and a scripted model that does what is written there.

A check takes the version of the program and raises `Fault` where something is not so; its first line says what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import lasting
import loading
import stories
from claude_program import NEWEST, OLDEST
from promises import Fault

__all__ = ["CHECKS", "VERSIONS", "Check", "Fault"]

Check = Callable[[str], None]
CHECKS: Mapping[str, Check] = {
    check.__name__.replace("_", "-"): check
    for check in (
        *(loading.installed, loading.listed, loading.loaded_by_name, loading.loaded_by_the_model),
        loading.known_to_plugin_eval,
        *(stories.sample_is_valid, stories.commands_work, stories.growing_plans_work),
        *(lasting.detached_outlives_the_session, lasting.detached_outlives_a_kill, lasting.waiting_wakes),
        *(lasting.short_waits_fit, lasting.foreground_is_cut_off),
    )
}
VERSIONS: Mapping[str, tuple[str, ...]] = {
    name: (NEWEST,) if name in ("waiting-wakes", "known-to-plugin-eval") else (NEWEST, OLDEST)
    for name in CHECKS
}
"""The versions with which a check can pass: the oldest ends its background commands with the session, and has no
`claude plugin eval`.
"""
