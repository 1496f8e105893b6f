"""`jarvis-trio launchd ...`: the daemon as a macOS launchd agent."""

from __future__ import annotations

import math
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from jarvis_trio import __version__
from jarvis_trio.cli.application import Application, WrappedEngine, application_of, application_options
from jarvis_trio.cli.definition import person_is_there
from jarvis_trio.cli.output import json_option, print_json
from jarvis_trio.cli.session import CommandSession
from jarvis_trio.desk import acts
from jarvis_trio.desk.adoption import refuse_surprises
from jarvis_trio.desk.requests import TaskRequest
from jarvis_trio.errors import JarvisError, LaunchdError, StoreError
from jarvis_trio.models import ScheduledTask, ScheduleType
from jarvis_trio.service.launchd.ability import MESSAGE_SCRIPT, MessageCommand
from jarvis_trio.service.launchd.checks import check
from jarvis_trio.service.launchd.launchctl import Launchctl
from jarvis_trio.service.launchd.operations import (
    AgentState,
    inherited_command,
    install_steps,
    rollback_steps,
    status,
    uninstall_steps,
)
from jarvis_trio.service.launchd.plist import LABEL, Agent, installed_arguments, property_list, render
from jarvis_trio.service.launchd.selftest import about_launchd, report, run_selftest, selftest_agent
from jarvis_trio.service.programs import run_program
from jarvis_trio.service.state import Standing
from jarvis_trio.service.steps import Step, perform
from jarvis_trio.service.waiting import Patience
from jarvis_trio.store import MemoryStore

NO_LAUNCHCTL = "launchctl is not on PATH: launchd is macOS's"
MESSAGE_TASK = "imessage_commands"
ON_LINUX = "on Linux a systemd user unit runs the daemon: jarvis-trio service install (docs/systemd.md)"


@click.group()
def launchd() -> None:
    """Run the daemon as a macOS launchd agent, in the place of the old ones.

    \b
    Example:
      jarvis-trio launchd install --dry-run
    """


anyway_option = click.option("--anyway", is_flag=True, help="Install although the database was not adopted.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Print each step and do nothing.")


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
    agent = Agent(**asked_for(session, application))
    if as_json:
        print_json(property_list(agent))
    else:
        click.echo(render(agent), nl=False)


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


def check_tasks(session: CommandSession, application: Application | None, *, anyway: bool) -> None:
    """Raise JarvisError if tasks could not run, or would surprise their owner.

    With `anyway`, the owner has accepted the surprises.
    """
    if session.application is not None:
        session.application.require_usable()
    if not anyway and not isinstance(application, WrappedEngine):
        refuse_surprises(session)


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
    agent, launchctl = bare_agent(session), find_launchctl()
    never_start = status(agent, launchctl).never_start
    carry_out(rollback_steps(agent, launchctl), dry_run)
    for label, why in never_start.items():
        say_short(f"{label} could never start, before or now: {why}")


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
    """Try this Mac with a throw-away agent, and print a report to paste into an issue.

    The agent has a label, a folder and logs of its own. It is loaded, ticks, is
    stopped as launchd stops agents, and nothing of it is left. The real agent
    and your data are not touched. It takes about ten seconds. The exit code is 1
    if a check fails.

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


def daemon_fields(session: CommandSession, application: Application | None) -> dict[str, Any]:
    """What a service is told of the daemon: the fields of `Daemon`.

    The tasks of an application's own engine have no time limits of ours.
    """
    if isinstance(application, WrappedEngine) and application.folder is not None:
        session.use_application(application.folder)
    longest = 0.0
    with suppress(StoreError):  # a check tells of the database; the service's state does not depend on it
        longest = 0.0 if isinstance(application, WrappedEngine) else session.longest_timeout_seconds()
    return {
        "home": Path.home(),
        "python": Path(sys.executable),
        "working_directory": _checkout() or session.settings.data_dir,
        "settings": session.settings.environment(),
        "environment": session.settings.carried(session.environment),
        "longest_timeout_seconds": math.ceil(longest),
        "arguments": () if application is None else ("run", *application.arguments),
    }


def asked_for(session: CommandSession, application: Application | None) -> dict[str, Any]:
    """The daemon that the options ask for."""
    if not isinstance(application, WrappedEngine):
        session.source = application
    return daemon_fields(session, application)


def as_installed(session: CommandSession, arguments: Sequence[str]) -> dict[str, Any]:
    """The daemon that `install` would set up now with the options that are installed.

    If they run an application, the session is that application's from then on. Raises JarvisError.
    """
    application = application_of(arguments)
    if not isinstance(application, WrappedEngine):
        session.source = session.source or application
    return daemon_fields(session, application)


def agent_as_installed(session: CommandSession) -> Agent:
    """The agent that `install` would write now. Raises JarvisError."""
    return Agent(**as_installed(session, installed_arguments(Path.home()) or ()))


def bare_agent(session: CommandSession) -> Agent:
    """The agent without its application.

    It can be removed, stopped or restarted even if the application is gone.
    """
    return Agent(**daemon_fields(session, None))


def _checkout() -> Path | None:
    """The project's folder; None for an installed wheel, whose package needs none."""
    folder = Path(__file__).parents[3]
    return folder if (folder / "pyproject.toml").is_file() else None


def find_launchctl() -> Launchctl:
    """launchd's own program. Raises LaunchdError if it is not on PATH."""
    program = shutil.which("launchctl")
    if program is None:
        raise LaunchdError(NO_LAUNCHCTL, fix=ON_LINUX)
    return Launchctl(program, os.getuid(), run_program, Patience(time.sleep, time.monotonic, say_short))


def carry_out(steps: list[Step], dry_run: bool) -> bool:
    """Show the steps and, unless it is a dry run, do them; return whether they were done."""
    if not steps:
        click.echo("Nothing to do.")
        return False
    click.echo("These are the steps:")
    for step in steps:
        say_short(f"  {step.says}")
    if not dry_run:
        perform(steps, say_short)
    return not dry_run


def say_short(line: str) -> None:
    """Print a line, with the home folder as `~`, which a shell takes too."""
    click.echo(line.replace(f"{Path.home()}/", "~/"))


def _as_json(seen: AgentState) -> dict[str, Any]:
    """The state as plain data, in launchd's words: `label`, `domain` and `plist`."""
    values = asdict(seen)
    names = {"name": "label", "place": "domain", "file": "plist"}
    return {names.get(name, name): str(value) if name == "file" else value for name, value in values.items()}


def _status_lines(seen: AgentState) -> Iterator[str]:
    """What was found, and for each thing that is wrong the fix."""
    install = shlex.join(["jarvis-trio", "launchd", "install", *seen.arguments[1:]])
    running = f"runs as process {seen.pid}" if seen.running else f"does not run ({seen.state})"
    yield f"{seen.name}: {running if seen.loaded else 'is not loaded'}, in {seen.place}"
    if seen.standing is Standing.DOWN:
        yield f"  last exit code: {seen.last_exit}; see {seen.crash_log}"
    yield f"  plist: {seen.file}{'' if seen.installed else ' (not there)'}"
    yield f"  log: {seen.log}"
    if seen.up_to_date is False:
        yield f"  The plist is not what the settings say now; to update it: {install}"
    if seen.replaced:
        yield f"  replaced: {', '.join(seen.replaced)}; to bring them back: jarvis-trio launchd rollback"
    for label, why in seen.never_start.items():
        yield f"  {label} could never start: {why}"
    for label in seen.old_agents_loaded:
        yield f"{label}: is loaded, and would run everything twice; to retire it: {install}"
