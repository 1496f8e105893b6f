"""`jarvis-trio launchd ...`: the daemon as a macOS launchd agent."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from jarvis_trio import __version__
from jarvis_trio.cli.application import application_options
from jarvis_trio.cli.definition import person_is_there
from jarvis_trio.cli.output import json_option, print_json
from jarvis_trio.cli.services import (
    agent_as_installed,
    anyway_option,
    asked_for,
    bare_agent,
    carry_out,
    check_tasks,
    dry_run_option,
    find_launchctl,
    say_short,
)
from jarvis_trio.desk import acts
from jarvis_trio.desk.requests import TaskRequest
from jarvis_trio.errors import JarvisError
from jarvis_trio.foreground.application import Application
from jarvis_trio.foreground.session import CommandSession
from jarvis_trio.models import ScheduledTask, ScheduleType
from jarvis_trio.service.launchd.ability import MESSAGE_SCRIPT, MessageCommand
from jarvis_trio.service.launchd.checks import check
from jarvis_trio.service.launchd.operations import (
    AgentState,
    inherited_command,
    install_steps,
    rollback_steps,
    status,
    uninstall_steps,
)
from jarvis_trio.service.launchd.plist import LABEL, Agent, property_list, render
from jarvis_trio.service.launchd.selftest import about_launchd, report, run_selftest, selftest_agent
from jarvis_trio.service.state import Standing
from jarvis_trio.store import MemoryStore

MESSAGE_TASK = "imessage_commands"


@click.group()
def launchd() -> None:
    """Run the daemon as a macOS launchd agent, in the place of the old ones.

    \b
    Example:
      jarvis-trio launchd install --dry-run
    """


@launchd.command("render")
@application_options
@json_option
@click.pass_obj
def render_command(session: CommandSession, /, application: Application | None, as_json: bool) -> None:
    """Print the agent's property list with the settings in force.

    \b
    Example:
      jarvis-trio launchd render | plutil -lint -
    """
    show_property_list(session, application, as_json=as_json)


@launchd.command("install")
@application_options
@anyway_option
@dry_run_option
@click.pass_obj
def install_command(session: CommandSession, /, application: Application | None, anyway: bool, dry_run: bool) -> None:
    """Retire the old agents and load this one.

    The agent gets the settings that are in force here and now; to change them
    later, install it again. Everything is checked first; an assistant's database
    has to be adopted. If a step fails, the steps before it are taken back.
    com.chg.imessage-daemon and com.chg.jarvis-backup are not touched.

    \b
    Example:
      jarvis-trio launchd install --dry-run
      jarvis-trio launchd install
    """
    install(session, application, dry_run=dry_run, anyway=anyway)


@launchd.command("uninstall")
@dry_run_option
@click.pass_obj
def uninstall_command(session: CommandSession, dry_run: bool) -> None:
    """Stop the agent and remove its plist.

    Its tick finishes first. The old agents stay retired; `rollback` brings them back, also later.

    \b
    Example:
      jarvis-trio launchd uninstall
    """
    carry_out(uninstall_steps(bare_agent(session), find_launchctl()), dry_run)


@launchd.command("rollback")
@dry_run_option
@click.pass_obj
def rollback_command(session: CommandSession, dry_run: bool) -> None:
    """Remove the agent and bring the old ones back as they were.

    \b
    Example:
      jarvis-trio launchd rollback
    """
    rollback(session, dry_run=dry_run)


@launchd.command("status")
@json_option
@click.pass_obj
def status_command(session: CommandSession, as_json: bool) -> None:
    """Say how the agent and the old ones stand.

    \b
    Example:
      jarvis-trio launchd status --json
    """
    seen = status(agent_as_installed(session), find_launchctl())
    if as_json:
        print_json(_as_json(seen))
        return
    for line in _status_lines(seen):
        say_short(line)


@launchd.command("selftest")
@click.pass_obj
def selftest_command(session: CommandSession) -> None:
    """Try this Mac with a throw-away agent, and print a report.

    The agent has a label, a folder and logs of its own. It is loaded, ticks, is
    stopped as launchd stops agents, and nothing of it is left. The real agent
    and your data are not touched. It takes about ten seconds. The exit code is 1
    if a check fails: then paste the report into an issue.

    \b
    Example:
      jarvis-trio launchd selftest
    """
    launchctl = find_launchctl()
    folder = Path.home() / f"Library/Caches/jarvis-selftest-{os.getpid()}"
    agent = selftest_agent(bare_agent(session), folder)
    checks = list(run_selftest(agent, launchctl, _make_selftest_database))
    python = ".".join(map(str, sys.version_info[:3]))
    about = [f"version {__version__}, Python {python}, {os.uname().machine}", *about_launchd(launchctl)]
    click.echo(report(checks, about, Path.home()), nl=False)
    raise click.exceptions.Exit(int(not all(check.passed for check in checks)))


# What `service` does on a Mac as well.


def show_property_list(session: CommandSession, application: Application | None, *, as_json: bool) -> None:
    """Print the agent's property list, as launchd reads it or as JSON."""
    agent = Agent(**asked_for(session, application))
    if as_json:
        print_json(property_list(agent))
    else:
        click.echo(render(agent), nl=False)


def install(session: CommandSession, application: Application | None, *, dry_run: bool, anyway: bool) -> None:
    """Check, show the steps, and do them."""
    agent, launchctl = Agent(**asked_for(session, application)), find_launchctl()
    check(agent, launchctl)
    by_message = inherited_command(agent, launchctl)
    check_tasks(session, application, anyway=anyway)
    if carry_out(install_steps(agent, launchctl), dry_run):
        say_short(f"{LABEL} runs in {launchctl.domain}. Its log: {agent.settings['DAEMON_LOG_FILE']}")
        say_short(f"If it crashes, launchd keeps its last words in {agent.standard_error}")
    if by_message is not None:
        _keep_message_commands(session, by_message, dry_run=dry_run)


def rollback(session: CommandSession, *, dry_run: bool) -> None:
    """Show the steps back and do them; say which old agent could never start."""
    agent, launchctl = bare_agent(session), find_launchctl()
    never_start = status(agent, launchctl).never_start
    carry_out(rollback_steps(agent, launchctl), dry_run)
    for label, why in never_start.items():
        say_short(f"{label} could never start, before or now: {why}")


def _keep_message_commands(session: CommandSession, command: MessageCommand, *, dry_run: bool) -> None:
    """com.chg.inbox-monitor looks for commands by message: a task goes on with that.

    A person at the terminal approves its command by this; anybody else is shown what to type.
    """
    tasks = session.store.list_scheduled_tasks()
    if any(MESSAGE_SCRIPT in (task.handler_config or "") for task in tasks):
        return
    folder = () if command.folder is None else ("--cwd", command.folder)
    add = shlex.join(["jarvis-trio", "add", MESSAGE_TASK, "--every", "5m", *folder, "--", *command.words])
    if dry_run or not person_is_there():
        say_short(f"An old agent looks for commands by message ({MESSAGE_SCRIPT}). To go on with that: {add}")
    else:
        _add_message_task(session, command, add)
        say_short(f"Added and approved {MESSAGE_TASK}, since an old agent looked for commands by message: {add}")
    if command.variables:
        say_short(f"That agent also sets {', '.join(command.variables)}: give them with `edit --env` or `--secret`")


def _add_message_task(session: CommandSession, command: MessageCommand, add: str) -> None:
    request = TaskRequest(
        every="5m", command=command.words, cwd=command.folder, description="Looks for commands by message."
    )
    try:
        acts.add(session, MESSAGE_TASK, request, by_person=True)
    except JarvisError as error:
        raise JarvisError(
            f"the daemon is installed, but the task for commands by message was not added: {error.says}",
            fix=f"put that right, then: {add}",
        ) from error


def _make_selftest_database(path: Path) -> None:
    task = ScheduledTask(
        name="selftest",
        schedule_type=ScheduleType.INTERVAL,
        schedule_config='{"seconds": 2}',
        handler_type="alert_eval",
        next_run_at="2026-01-01T00:00:00+00:00",
    )
    with MemoryStore(path) as store:
        store.store_scheduled_task(task)


def _as_json(seen: AgentState) -> dict[str, Any]:
    """The state as plain data, in launchd's words: `label`, `domain` and `plist`."""
    values = asdict(seen)
    names = {"name": "label", "place": "domain", "file": "plist"}
    return {names.get(name, name): str(value) if name == "file" else value for name, value in values.items()}


def _status_lines(seen: AgentState) -> Iterator[str]:
    """What was found, and for each thing that is wrong the fix."""
    install = shlex.join(["jarvis-trio", "launchd", "install", *seen.arguments[1:]])
    if seen.name in seen.old_agents_loaded:
        yield f"{seen.name}: is not installed; the assistant's own daemon has that label"
    else:
        yield from _own_lines(seen)
    yield f"  log: {seen.log}"
    if seen.up_to_date is False:
        yield f"  The plist is not what the settings say now; to update it: {install}"
    if seen.replaced:
        yield f"  replaced: {', '.join(seen.replaced)}; to bring them back: jarvis-trio launchd rollback"
    for label, why in seen.never_start.items():
        yield f"  {label} could never start: {why}"
    for label in seen.old_agents_loaded:
        yield f"{label}: is loaded, and would run everything twice; to retire it: {install}"


def _own_lines(seen: AgentState) -> Iterator[str]:
    running = f"runs as process {seen.pid}" if seen.running else f"does not run ({seen.state})"
    yield f"{seen.name}: {running if seen.loaded else 'is not loaded'}, in {seen.place}"
    if seen.standing is Standing.DOWN:
        yield f"  last exit code: {seen.last_exit}; see {seen.crash_log}"
    yield f"  plist: {seen.file}{'' if seen.installed else ' (not there)'}"
