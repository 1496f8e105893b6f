"""`jarvis-trio adopt`: what happens to an assistant's tasks, before anything runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from jarvis_trio.cli.application import handler_options
from jarvis_trio.cli.definition import person_is_there
from jarvis_trio.cli.output import json_option, print_json, say
from jarvis_trio.cli.services import find_launchctl
from jarvis_trio.desk import adoption as desk
from jarvis_trio.desk.adoption import Overdue
from jarvis_trio.desk.approvals import approve_command
from jarvis_trio.desk.session import Session, require_database
from jarvis_trio.errors import JarvisError
from jarvis_trio.foreground.telling import note
from jarvis_trio.moving.agents import closed_folders, old_agents
from jarvis_trio.moving.survey import OldAgent, Survey, Unapproved
from jarvis_trio.notation.instants import local_text
from jarvis_trio.notation.text import counted, moment_words, with_name
from jarvis_trio.schedules.schedule import stored_next_run

_WAYS = [str(way) for way in Overdue]


@click.command()
@handler_options
@click.option(
    "--overdue",
    type=click.Choice(_WAYS),
    help="What overdue tasks do: run at once, skip to their next time, or be held until you resume them.",
)
@click.option("--yes", is_flag=True, help="Go on: ask for approvals, and do what --overdue says.")
@json_option
@click.pass_obj
def adopt(session: Session, /, overdue: str | None, yes: bool, as_json: bool) -> None:
    """Say what happens to an assistant's tasks, before anything runs.

    It looks at the database that MEMORY_DB_PATH names, and at the agents that are
    loaded, and says what would run at once, what needs your approval, which tasks
    nobody can run, and what is read differently. Without --yes it changes nothing.

    \b
    Example:
      jarvis-trio adopt
      jarvis-trio adopt --yes --overdue skip
      jarvis-trio adopt --app-dir . --handlers scheduler.handlers:execute_handler
    """
    require_database(session.settings)
    seen = desk.look(session)
    if not as_json:
        _say_survey(seen, session)
        _say_agents(session)

    approved: list[str] = []
    if yes:
        approved = _go_on(session, seen, _chosen(seen, overdue, ask=not as_json), ask=not as_json)

    if as_json:
        print_json(_as_json(seen, session) | {"changed": yes, "approved": approved})
    elif yes:
        say("Adopted. Next: jarvis-trio launchd install, or jarvis-trio run")
    else:
        say("Nothing was changed. To go on: jarvis-trio adopt --yes")


def _chosen(seen: Survey, overdue: str | None, *, ask: bool) -> Overdue:
    if overdue is not None or not seen.at_once:
        return Overdue(overdue or Overdue.RUN)
    count = counted(len(seen.at_once), "overdue task")
    if not ask or not person_is_there():
        raise click.UsageError(f"say what becomes of {count}: --overdue run, skip or hold")
    choice = click.Choice(_WAYS)
    chosen = click.prompt(f"{count}: run at once, skip to the next time, or hold?", type=choice, default="skip")
    return Overdue(chosen)


def _go_on(session: Session, seen: Survey, overdue: Overdue, *, ask: bool) -> list[str]:
    """Do what was decided; returns the tasks whose commands were approved."""
    desk.adopt(session, seen, overdue)
    if overdue is not Overdue.RUN:
        _say_overdue(session, seen)
    return [found.task for found in seen.needs_approval if ask and _approve(session, found)]


def _say_overdue(session: Session, seen: Survey) -> None:
    held, zone = session.store.troubles.held_tasks(), session.zone()
    for found in seen.at_once:
        task = session.task(found.task)
        if task.id in held:
            note(f"{task.name} is held; {with_name('jarvis-trio resume {}', task.name)}")
        elif (slot := stored_next_run(task, zone)) is not None:
            note(f"{task.name} runs next on {moment_words(slot, zone)}")


def _approve(session: Session, found: Unapproved) -> bool:
    if desk.refusal(session, session.task(found.task)) is None:
        return False  # it needs no more than was approved for another task just now
    if not person_is_there() or not click.confirm(f"{found.task}: may it run `{found.command}`?", err=True):
        return False
    try:
        approve_command(session, session.task(found.task), by_person=True)
    except JarvisError as error:
        note(f"{found.task}: {error}")
        return False
    return True


def _say_survey(seen: Survey, session: Session) -> None:
    zone = session.zone()
    say(f"{seen.database}: {counted(seen.tasks, 'enabled task')}{', adopted before' if seen.adopted else ''}")
    _section(
        "These run at the first tick, since they are overdue",
        [f"{found.task}, due {moment_words(found.due, zone)}" for found in seen.at_once],
    )
    _section("These are held until you resume them", seen.held)
    _section(
        "These need your approval before they run",
        [f"{found.task}: {found.command} ({found.reason})" for found in seen.needs_approval],
    )
    _section(
        "These have no handler here; an application runs its own with --app-dir and --handlers",
        [f"{found.task}: {found.handler_type}" for found in seen.nobody_has],
    )
    _section("These are read differently", _readings(seen, differs=True))
    _section("These had to be guessed, and are read as the assistant reads them", _readings(seen, differs=False))


def _readings(seen: Survey, *, differs: bool) -> list[str]:
    return [
        f"{found.name}: {found.says}{f' -> {found.fix}' if found.fix else ''}"
        for found in seen.readings
        if found.differs is differs
    ]


def _section(heading: str, lines: list[str] | tuple[str, ...]) -> None:
    if lines:
        say("")
        say(f"{heading}:")
        for line in lines:
            say(f"  {line}")


def _say_agents(session: Session) -> None:
    agents, closed = _of_mac(session)
    _section("These agents are replaced", [line for agent in agents for line in _agent_lines(agent)])
    _section('macOS keeps agents out of these; docs/launchd.md, "Closed folders", has the way', closed)
    say("")


def _agent_lines(agent: OldAgent) -> Iterator[str]:
    yield f"{agent.label} ({'loaded' if agent.loaded else 'not loaded'}): {agent.runs or 'its plist names no program'}"
    yield f"  {agent.keeps}"
    if agent.cannot_start:
        yield f"  it could never start: {agent.cannot_start}"


def _of_mac(session: Session) -> tuple[list[OldAgent], list[str]]:
    """The old agents, and what lies where agents may not read. Nothing of it on other systems."""
    if shutil.which("launchctl") is None:
        return [], []
    home, source = Path.home(), session.source
    paths = [session.settings.memory_db_path, session.settings.webhook_inbox_dir]
    paths += [source.folder, source.python] if source else []
    return old_agents(find_launchctl(), home), closed_folders(paths, home)


def _as_json(seen: Survey, session: Session) -> dict[str, Any]:
    agents, closed = _of_mac(session)
    at_once = [{"task": found.task, "due": local_text(found.due, session.zone())} for found in seen.at_once]
    rest = {"agents": [asdict(agent) for agent in agents], "closed_folders": closed}
    return asdict(seen) | {"database": str(seen.database), "at_once": at_once} | rest
