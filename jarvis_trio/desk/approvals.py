"""Whether a task's command may run, and how people approve it (law 9).

Only a face behind which a person sits may approve: by `allow_task`, or by an act that is told so.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jarvis_trio.desk.session import Session
from jarvis_trio.errors import HandlerError, JarvisError, NotApprovedError, TaskError
from jarvis_trio.models import ScheduledTask
from jarvis_trio.process.identity import Processes
from jarvis_trio.process.lock import Holder
from jarvis_trio.service import search_paths

if TYPE_CHECKING:
    from jarvis_trio.handlers.commands import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Whether a task's command may run.

    It was `approved` just now, or it is `refused` until a person approves it.

    Both are None if it was approved before, or if the task runs no command. `programs` are what the
    first word of the approved command means here and to the daemons. `surprises` says what in the
    command will not do what it looks like.
    """

    approved: Command | None = None
    programs: tuple[Path, ...] = ()
    refused: NotApprovedError | None = None
    surprises: tuple[str, ...] = ()


def approve_command(session: Session, task: ScheduledTask, *, by_person: bool) -> Approval:
    """Approve exactly what a task runs if a person asks; else tell whether it is approved.

    Raises HandlerError, TaskError if the command cannot run, NotApprovedError if a
    person asks for one that cannot be approved.
    """
    if not task.runs_command:
        return Approval()
    from jarvis_trio.desk.commands import missing_secrets, surprises  # noqa: PLC0415  # as `Session.handlers`

    refused = command_refusal(session, task)
    if by_person and refused is None:
        with suppress(HandlerError):  # a daemon that has another PATH may not run either
            refused = refusal_elsewhere(session, task)
    told = (*surprises(task, session.environment), *missing_secrets(session, task))
    if refused is None or not by_person:
        return Approval(refused=refused, surprises=told)
    command, programs = _allow(session, task)
    return Approval(approved=command, programs=programs, surprises=told)


def command_refusal(session: Session, task: ScheduledTask) -> NotApprovedError | None:
    """Why a task's command is not approved; None if it is, or if the task runs none.

    It needs no database, so it serves a look at one that must stay as it is.

    Raises HandlerError, TaskError if the command cannot run.
    """
    if not task.runs_command:
        return None
    from jarvis_trio.desk.commands import usable_command  # noqa: PLC0415  # as `Session.handlers`
    from jarvis_trio.handlers.custom import home_folder  # noqa: PLC0415  # as above

    command = usable_command(session, task)
    try:
        session.approvals.check(command, session.search_path, home_folder(session.environment))
    except NotApprovedError as refused:
        return refused
    return None


def refusal_elsewhere(session: Session, task: ScheduledTask) -> NotApprovedError | None:
    """Why a daemon may not run what `command_refusal` has nothing against; None if it may.

    A program without a path is looked for on the daemon's PATH, which need not be this shell's:
    `python3` may be one of a venv here, and the system's there.

    Raises HandlerError if a daemon does not find the program, and no other one refuses it.
    """
    from jarvis_trio.handlers.commands import command_of  # noqa: PLC0415  # as `Session.handlers`
    from jarvis_trio.handlers.custom import home_folder  # noqa: PLC0415  # as above

    if not task.runs_command:
        return None
    missing: HandlerError | None = None
    for path in _paths_of_daemons(session):
        try:
            session.approvals.check(command_of(task), path, home_folder(session.environment))
        except NotApprovedError as refused:
            return refused
        except HandlerError as error:
            missing = error
    if missing is not None:
        raise missing
    return None


def is_approved(session: Session, task: ScheduledTask) -> bool:
    """Whether the command of a task may run as it stands, whichever daemon finds its program.

    It may not if its program is gone. A task that runs no command needs no approval.
    """
    try:
        if command_refusal(session, task) is not None:
            return False
        with suppress(HandlerError):  # what a daemon does not find cannot be approved for it either
            return refusal_elsewhere(session, task) is None
    except (HandlerError, TaskError):
        return False
    return True


def allow_task(session: Session, name: str, *, pin: bool) -> tuple[Command, tuple[Path, ...]]:
    """Approve exactly the command that a task has now; returns it, and the programs that it means.

    Raises UnknownTaskError; TaskError if it runs no command; HandlerError, NotApprovedError
    if the command makes no sense or cannot be approved.
    """
    task = session.task(name)
    if not task.runs_command:
        raise TaskError(f"task {task.name!r} runs no command, so there is nothing to approve")
    return _allow(session, task, pin=pin)


def revoke_task(session: Session, name: str) -> tuple[Command, ...]:
    """Take back all approvals of exactly one command that a task has had.

    The task may be gone. Raises NotApprovedError if there are none.
    """
    from jarvis_trio.handlers.commands import command_of  # noqa: PLC0415  # as `Session.handlers`

    task = session.find_task(name)
    command: Command | None = None
    if task is not None and task.runs_command:
        with suppress(HandlerError):  # what makes no sense now was approved as something else
            command = command_of(task)
    return session.approvals.revoke_commands(name if task is None else task.name, command)


def warning_about(path: Path) -> str | None:
    """What it means that an executable may run with any arguments, if it means any program."""
    from jarvis_trio.handlers.steering import runs_anything  # noqa: PLC0415  # as `Session.handlers`
    from jarvis_trio.handlers.trust import shown  # noqa: PLC0415  # as above

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


def _allow(session: Session, task: ScheduledTask, *, pin: bool = False) -> tuple[Command, tuple[Path, ...]]:
    """Approve what a command means here, and what it means to a daemon.

    Raises HandlerError if neither finds its program, and NotApprovedError as `allow_command` does.
    """
    from jarvis_trio.handlers.commands import command_of  # noqa: PLC0415  # as `Session.handlers`

    command, missing = command_of(task), None
    programs: list[Path] = []
    try:
        programs.append(session.approvals.allow_command(command, session.search_path, pin=pin))
    except NotApprovedError:
        raise
    except HandlerError as error:
        missing = error
    for path in _paths_of_daemons(session):
        with suppress(HandlerError):  # the daemon says so if it is to run it
            programs.append(session.approvals.allow_command(command, path, pin=pin))
    if missing is not None and not programs:
        raise missing
    return command, tuple(dict.fromkeys(programs))


def daemon_environment(session: Session) -> dict[str, str] | None:
    """The variables of the daemon that runs.

    None if no daemon runs, or if they are not to be had, as in another container.
    """
    with suppress(JarvisError):
        return _environment_of(session.daemon())
    return None


def _paths_of_daemons(session: Session) -> Iterator[str]:
    """The PATH of the daemon that runs, and the one that a service has."""
    if (running := daemon_environment(session)) is not None and "PATH" in running:
        yield running["PATH"]
    on_a_mac = shutil.which("launchctl", path=session.search_path) is not None
    yield search_paths.LAUNCHD if on_a_mac else search_paths.SYSTEMD


def _environment_of(daemon: Holder | None) -> dict[str, str] | None:
    if daemon is None or daemon.pid is None or not Processes().is_seen(daemon.owner):
        return None
    import psutil  # noqa: PLC0415  # 20 ms, and only here

    try:
        return psutil.Process(daemon.pid).environ()
    except psutil.Error:
        return None
