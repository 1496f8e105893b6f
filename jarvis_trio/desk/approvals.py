"""People approve a task's command as it stands, or an executable with any arguments (law 9).

Only a face behind which a person sits may call what changes the list.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from jarvis_trio.desk.definition import COMMAND_TYPE
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import HandlerError, TaskError
from jarvis_trio.handlers.commands import Command, command_of
from jarvis_trio.handlers.steering import runs_anything
from jarvis_trio.handlers.trust import shown


def allow_task(session: Session, name: str, *, pin: bool = False) -> Command:
    """Approve exactly the command that a task has now.

    Raises UnknownTaskError; TaskError if it runs no command; HandlerError, NotApprovedError
    if the command makes no sense or cannot be approved.
    """
    command = _command(session, name)
    session.approvals.allow_command(command, session.environment.get("PATH", os.defpath), pin=pin)
    return command


def revoke_task(session: Session, name: str) -> tuple[Command, ...]:
    """Take back all approvals of exactly one command that a task has had.

    The task may be gone. Raises NotApprovedError if there are none.
    """
    task = session.find_task(name)
    command: Command | None = None
    if task is not None and task.handler_type == COMMAND_TYPE:
        with suppress(HandlerError):  # what makes no sense now was approved as something else
            command = command_of(task)
    return session.approvals.revoke_commands(name if task is None else task.name, command)


def warning_about(path: Path) -> str | None:
    """What it means that an executable may run with any arguments, if it means any program."""
    kind = runs_anything(path)
    if kind is None:
        return None
    return (
        f"{shown(path)} is {kind}: whoever can write the database can now run any program with it; "
        f"to take that back: jarvis-trio allow --revoke {shown(path)}; to approve one command: "
        "jarvis-trio allow --task NAME"
    )


def list_approvals(session: Session) -> list[dict[str, Any]]:
    """All approvals: executables by `path`, then commands by `command`. Raises NotApprovedError."""
    executables = [
        {"path": str(entry.path), "pinned": entry.pinned, "for_agents": entry.for_agents}
        for entry in session.approvals.executables()
    ]
    commands = [
        {
            "command": list(entry.command.words),
            "program": str(entry.program),
            "env": sorted(entry.command.variables),
            "secrets": list(entry.command.secrets),
            "cwd": entry.command.folder,
            "task": entry.command.task or None,
            "pinned": entry.pinned,
        }
        for entry in session.approvals.commands()
    ]
    return [*executables, *commands]


def _command(session: Session, name: str) -> Command:
    task = session.task(name)
    if task.handler_type != COMMAND_TYPE:
        raise TaskError(f"task {task.name!r} runs no command, so there is nothing to approve")
    return command_of(task)
