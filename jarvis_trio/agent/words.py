"""What a person is told, in the words of a model: tools, where a person types commands. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

from jarvis_trio.agent.tools import TOOLS

_TOOLS = {
    "list": "list_tasks",
    "show": "list_tasks",
    "history": "list_runs",
    "output": "read_run",
    "explain": "explain_task",
    "forecast": "forecast_runs",
    "status": "scheduler_status",
    "add": "add_task",
    "edit": "change_task",
    "pause": "pause_task",
    "resume": "pause_task",
    "remove": "remove_task",
    "run-now": "run_task",
}
"""The tool that does what a command does."""

_COMMAND = re.compile(r"(`?)jarvis-trio ([a-z][a-z-]*)((?: [^`;,]*)?)\1")
_SHELL = re.compile(r"write its words apart: -- .*", re.DOTALL)
_FOR_THE_PERSON = " (for the person, at a terminal)"


def for_model(text: str, offered: Collection[str]) -> str:
    """`text` with the tool for each command that has one.

    What no tool does, an approval above all, is for the person, and says so.

    Args:
        text: an error, with its fix.
        offered: the names of the tools that the client has.
    """
    text = _SHELL.sub("give its words apart in `command`", text)
    told = _COMMAND.sub(lambda found: _tool_for(found[2], found[3], offered) or found[0], text)
    return told + _FOR_THE_PERSON if "jarvis-trio " in told else told


def _tool_for(command: str, rest: str, offered: Collection[str]) -> str | None:
    """How a tool does what the command does; None if none can."""
    name = _TOOLS.get(command)
    tool = next((tool for tool in TOOLS if tool.name == name and name in offered), None)
    options = [option.replace("-", "_") for option in re.findall(r"--([a-z-]+)", rest)]
    if tool is None or not set(options) <= set(tool.arguments) or rest.strip().startswith("-- "):
        return None
    if command in ("pause", "resume"):
        return f"{name} with paused {'true' if command == 'pause' else 'false'}"
    return f"{name} with {', '.join(options)}" if options else name
