"""`jarvis-trio launchd ...`: the daemon as a macOS launchd agent."""

from __future__ import annotations

import math
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from jarvis_trio.cli.application import Application, WrappedEngine, application_of, application_options
from jarvis_trio.cli.output import json_option, print_json
from jarvis_trio.cli.session import CommandSession
from jarvis_trio.errors import LaunchdError, StoreError
from jarvis_trio.service.launchd.checks import check
from jarvis_trio.service.launchd.launchctl import Launchctl
from jarvis_trio.service.launchd.operations import (
    AgentState,
    install_steps,
    rollback_steps,
    status,
    uninstall_steps,
)
from jarvis_trio.service.launchd.plist import LABEL, Agent, installed_arguments, property_list, render
from jarvis_trio.service.programs import run_program
from jarvis_trio.service.state import Standing
from jarvis_trio.service.steps import Step, perform
from jarvis_trio.service.waiting import Patience

NO_LAUNCHCTL = "launchctl is not on PATH: launchd is macOS's"
ON_LINUX = (
    "on Linux run the daemon as a systemd user unit: copy launchd/jarvis-daemon.service to "
    "~/.config/systemd/user/, then: systemctl --user enable --now jarvis-daemon (docs/systemd.md)"
)


@click.group()
def launchd() -> None:
    """Run the daemon as a macOS launchd agent, in the place of the old ones.

    \b
    Example:
      jarvis-trio launchd install --dry-run
    """


_dry_run_option = click.option("--dry-run", is_flag=True, help="Print each step and do nothing.")


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
    agent = _agent_to_be(session, application)
    if as_json:
        print_json(property_list(agent))
    else:
        click.echo(render(agent), nl=False)


@launchd.command("install")
@application_options
@_dry_run_option
@click.pass_obj
def install_command(session: CommandSession, /, application: Application | None, dry_run: bool) -> None:
    """Retire the old agents and load this one.

    The agent gets the settings that are in force here and now; to change them
    later, install it again. Everything is checked first. If a step fails, the
    steps before it are taken back. com.chg.imessage-daemon and
    com.chg.jarvis-backup are not touched.

    \b
    Example:
      jarvis-trio launchd install --dry-run
      jarvis-trio launchd install
    """
    agent, launchctl = _agent_to_be(session, application), find_launchctl()
    check(agent, launchctl)
    if session.application is not None:
        session.application.require_usable()
    if _carry_out(install_steps(agent, launchctl), dry_run):
        _say(f"{LABEL} runs in {launchctl.domain}. Its log: {agent.settings['DAEMON_LOG_FILE']}")
        _say(f"If it crashes, launchd keeps its last words in {agent.standard_error}")


@launchd.command("uninstall")
@_dry_run_option
@click.pass_obj
def uninstall_command(session: CommandSession, dry_run: bool) -> None:
    """Stop the agent and remove its plist.

    Its tick finishes first. The old agents stay retired; `rollback` brings them back, also later.

    \b
    Example:
      jarvis-trio launchd uninstall
    """
    _carry_out(uninstall_steps(_agent(session, None, 0), find_launchctl()), dry_run)


@launchd.command("rollback")
@_dry_run_option
@click.pass_obj
def rollback_command(session: CommandSession, dry_run: bool) -> None:
    """Remove the agent and bring the old ones back as they were.

    \b
    Example:
      jarvis-trio launchd rollback
    """
    _carry_out(rollback_steps(_agent(session, None, 0), find_launchctl()), dry_run)


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
        _say(line)


def _agent(session: CommandSession, application: Application | None, longest_timeout_seconds: float) -> Agent:
    if isinstance(application, WrappedEngine) and application.folder is not None:
        session.use_application(application.folder)
    return Agent(
        home=Path.home(),
        python=Path(sys.executable),
        working_directory=_checkout() or session.settings.data_dir,
        settings=session.settings.environment(),
        environment=session.settings.carried(session.environment),
        longest_timeout_seconds=math.ceil(longest_timeout_seconds),
        arguments=() if application is None else ("run", *application.arguments),
    )


def _agent_to_be(session: CommandSession, application: Application | None) -> Agent:
    """The agent that is asked for. The tasks of an application's own engine have no limits of ours."""
    if isinstance(application, WrappedEngine):
        return _agent(session, application, 0)
    session.source = application
    return _agent(session, application, session.longest_timeout_seconds())


def agent_as_installed(session: CommandSession) -> Agent:
    """The agent that `install` would write now with the options that are installed.

    If they run an application, the session is that application's from then on. Raises JarvisError.
    """
    application = application_of(installed_arguments(Path.home()) or ())
    if not isinstance(application, WrappedEngine):
        session.source = session.source or application
    longest = 0.0
    with suppress(StoreError):  # the agent's state does not depend on the database
        longest = 0.0 if isinstance(application, WrappedEngine) else session.longest_timeout_seconds()
    return _agent(session, application, longest)


def _checkout() -> Path | None:
    """The project's folder; None for an installed wheel, whose package needs none."""
    folder = Path(__file__).parents[3]
    return folder if (folder / "pyproject.toml").is_file() else None


def find_launchctl() -> Launchctl:
    """launchd's own program. Raises LaunchdError if it is not on PATH."""
    program = shutil.which("launchctl")
    if program is None:
        raise LaunchdError(NO_LAUNCHCTL, fix=ON_LINUX)
    return Launchctl(program, os.getuid(), run_program, Patience(time.sleep, time.monotonic, _say))


def _carry_out(steps: list[Step], dry_run: bool) -> bool:
    """Show the steps and, unless it is a dry run, do them; return whether they were done."""
    if not steps:
        click.echo("Nothing to do.")
        return False
    click.echo("These are the steps:")
    for step in steps:
        _say(f"  {step.says}")
    if not dry_run:
        perform(steps, _say)
    return not dry_run


def _say(line: str) -> None:
    """Print a line, with the home folder as `~`, which a shell takes too."""
    click.echo(line.replace(f"{Path.home()}/", "~/"))


def _as_json(seen: AgentState) -> dict[str, Any]:
    """The state as plain data. Here `plist` and `domain` are what launchd calls the file and the place."""
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
