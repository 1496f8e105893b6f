"""What a model is told in place of the commands that a person types."""

from __future__ import annotations

import pytest

from jarvis_trio.agent.tools import TOOLS
from jarvis_trio.agent.words import for_model

ALL = {tool.name for tool in TOOLS}
LOOKING = {tool.name for tool in TOOLS if tool.looks}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "no task is named 'bakup'; did you mean 'backup'? `jarvis-trio list` shows the names",
            "no task is named 'bakup'; did you mean 'backup'? list_tasks shows the names",
        ),
        ("no run has the number 7; see: jarvis-trio history", "no run has the number 7; see: list_runs"),
        ("a task named 'x' exists; or `jarvis-trio edit` that one", "a task named 'x' exists; or change_task that one"),
        ("it is paused; `jarvis-trio resume x` lets it run", "it is paused; pause_task with paused false lets it run"),
        (
            "it has run; give it a new time: jarvis-trio edit 'a b' --at TIME",
            "it has run; give it a new time: change_task with at",
        ),
        (
            "no daemon runs; start it with: jarvis-trio run",
            "no daemon runs; start it with: jarvis-trio run (for the person, at a terminal)",
        ),
        (
            "to give it one: jarvis-trio edit x --on MACHINE",
            "to give it one: jarvis-trio edit x --on MACHINE (for the person, at a terminal)",
        ),
        (
            "no program; write its words apart: -- a b; or: --shell 'a b'",
            "no program; give its words apart in `command`",
        ),
        ("`every` must be a duration", "`every` must be a duration"),
    ],
)
def test_a_command_becomes_the_tool_that_does_it_or_is_for_the_person(text: str, told: str) -> None:
    assert for_model(text, ALL) == told


def test_what_only_looks_changes_nothing_so_the_person_does() -> None:
    text = "it is paused; `jarvis-trio resume x` lets it run again"
    assert for_model(text, LOOKING) == f"{text} (for the person, at a terminal)"
