"""Agents, the numbered seats of tasks: how files and tables call them."""

from __future__ import annotations


def agent_name(agent: int) -> str:
    """`Agent-01`."""
    return f"Agent-{agent:02d}"


def task_file(agent: int) -> str:
    """The name of the file with the prompt of its task."""
    return f"agent-{agent:02d}.md"


def result_file(agent: int) -> str:
    """The name of the file with the result of its task."""
    return f"agent-{agent:02d}-result.md"
