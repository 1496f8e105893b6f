"""`jarvis-trio allow`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from jarvis_trio.cli.definition import say_approved
from jarvis_trio.cli.output import json_option, print_json, say
from jarvis_trio.cli.session import complete_task
from jarvis_trio.desk import approvals
from jarvis_trio.desk.session import Session
from jarvis_trio.foreground.telling import note

_USAGE = "give the path of an executable, --task NAME, or --list (with --json, if you like)"


@click.command()
@click.argument("executables", nargs=-1, metavar="PATH...")
@click.option(
    "--task",
    "tasks",
    metavar="NAME",
    multiple=True,
    shell_complete=complete_task,
    help="Approve exactly the command of this task.",
)
@click.option("--pin", is_flag=True, help="Only with the content that the executable has now.")
@click.option("--for-agents", is_flag=True, help="Also in tasks that an AI assistant adds.")
@click.option("--revoke", "--remove", is_flag=True, help="Take these approvals back.")
@click.option("--list", "as_list", is_flag=True, help="List what is approved.")
@json_option
@click.pass_obj
def allow(
    session: Session,
    /,
    executables: tuple[str, ...],
    tasks: tuple[str, ...],
    pin: bool,
    for_agents: bool,
    revoke: bool,
    as_list: bool,
    as_json: bool,
) -> None:
    """Approve what tasks may run.

    `allow --task NAME` approves exactly the command that the task has now: its
    words, its folder and the names of its variables. `allow PATH` approves an
    executable with any arguments; whoever can write the database then decides
    what they are. A new version of the program stays approved unless you --pin it.

    \b
    Example:
      jarvis-trio allow --task backup
      jarvis-trio allow /usr/local/bin/backup
      jarvis-trio allow --list
      jarvis-trio allow --revoke /usr/local/bin/backup
      jarvis-trio allow --revoke --task backup
    """
    if bool(executables or tasks) == as_list or (as_json and not as_list) or (for_agents and (tasks or revoke)):
        raise click.UsageError(_USAGE)
    if as_list:
        _show(session, as_json)
    for name in tasks:
        _task(session, name, pin=pin, revoke=revoke)
    for executable in executables:
        _executable(session, executable, pin=pin, for_agents=for_agents, revoke=revoke)


def _task(session: Session, name: str, *, pin: bool, revoke: bool) -> None:
    if revoke:
        for command in approvals.revoke_task(session, name):
            say(f"No longer approved: {shlex.join(command.words)}")
    else:
        say_approved(*approvals.allow_task(session, name, pin=pin), pin=pin)


def _executable(session: Session, executable: str, *, pin: bool, for_agents: bool, revoke: bool) -> None:
    if revoke:
        say(f"No longer approved: {session.approvals.revoke(executable)}")
        return
    path = session.approvals.allow(executable, pin=pin, for_agents=for_agents)
    extra = f"{', for agents too' if for_agents else ''}{', pinned' if pin else ''}"
    say(f"Approved: {path} with any arguments{extra}")
    if (warning := approvals.warning_about(path)) is not None:
        note(warning)


def _show(session: Session, as_json: bool) -> None:
    entries = approvals.list_approvals(session)
    if as_json:
        print_json(entries)
        return
    for entry in entries:
        say(_words(entry))
    if not entries:
        note("nothing is approved; to approve the command of a task: jarvis-trio allow --task NAME")


def _words(entry: dict[str, Any]) -> str:
    extra = [word for word, is_so in (("pinned", entry["pinned"]), ("for agents", entry.get("for_agents"))) if is_so]
    if "path" in entry:
        return f"{Path(entry['path'])} with any arguments{_in_brackets(extra)}"
    extra += [f"{key} {value}" for key, value in _settings(entry) if value]
    return f"exactly: {shlex.join(entry['command'])}{_in_brackets(extra)}"


def _settings(entry: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("program", "" if Path(entry["command"][0]).is_absolute() else entry["program"]),
        ("task", entry["task"] or ""),
        ("folder", entry["cwd"] or ""),
        ("variables", ", ".join(entry["env"])),
        ("secrets", ", ".join(entry["secrets"])),
    ]


def _in_brackets(words: list[str]) -> str:
    return f" ({'; '.join(words)})" if words else ""
