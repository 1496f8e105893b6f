"""What the commands about the daemon's service share: its description, its manager, its steps."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from jarvis_trio.cli.application import application_of
from jarvis_trio.desk.adoption import refuse_surprises
from jarvis_trio.errors import LaunchdError, StoreError, SystemdError
from jarvis_trio.foreground.application import Application, WrappedEngine
from jarvis_trio.foreground.session import CommandSession
from jarvis_trio.foreground.telling import note
from jarvis_trio.service.launchd.launchctl import Launchctl
from jarvis_trio.service.launchd.operations import status as status_of_agent
from jarvis_trio.service.launchd.plist import Agent, installed_arguments
from jarvis_trio.service.programs import run_program
from jarvis_trio.service.state import State
from jarvis_trio.service.steps import Step, perform
from jarvis_trio.service.systemd.operations import status as status_of_unit
from jarvis_trio.service.systemd.systemctl import DrySystemctl, Systemctl
from jarvis_trio.service.systemd.unit import UNIT, Unit, arguments_of
from jarvis_trio.service.waiting import Patience

_NO_LAUNCHCTL = "launchctl is not on PATH: launchd is macOS's"
_ON_LINUX = "on Linux a systemd user unit runs the daemon: jarvis-trio service install (docs/systemd.md)"
_NO_MANAGER = "neither launchctl nor systemctl is on PATH"
_RUN_IT = "keep `jarvis-trio run` alive with the supervisor that this machine has"

anyway_option = click.option("--anyway", is_flag=True, help="Install although the database was not adopted.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Print each step and do nothing.")


def check_tasks(session: CommandSession, application: Application | None, *, anyway: bool) -> None:
    """Raise JarvisError if tasks could not run, or would surprise their owner.

    With `anyway`, the owner has accepted the surprises.
    """
    if session.application is not None:
        session.application.require_usable()
    if not anyway and not isinstance(application, WrappedEngine):
        refuse_surprises(session)


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


def _checkout() -> Path | None:
    """The project's folder; None for an installed wheel, whose package needs none."""
    folder = Path(__file__).parents[2]
    return folder if (folder / "pyproject.toml").is_file() else None


def agent_as_installed(session: CommandSession) -> Agent:
    """The agent that `install` would write now. Raises JarvisError."""
    return Agent(**as_installed(session, installed_arguments(Path.home()) or ()))


def bare_agent(session: CommandSession) -> Agent:
    """The agent without its application.

    It can be removed, stopped or restarted even if the application is gone.
    """
    return Agent(**daemon_fields(session, None))


def find_launchctl() -> Launchctl:
    """launchd's own program. Raises LaunchdError if it is not on PATH."""
    program = shutil.which("launchctl")
    if program is None:
        raise LaunchdError(_NO_LAUNCHCTL, fix=_ON_LINUX)
    return Launchctl(program, os.getuid(), run_program, Patience(time.sleep, time.monotonic, say_short))


def on_mac() -> bool:
    """Whether launchd is here. The program decides, not the platform: tests have a stand-in."""
    return shutil.which("launchctl") is not None


def state(session: CommandSession) -> State:
    """How the service stands on this machine. Raises ServiceError."""
    if on_mac():
        return status_of_agent(agent_as_installed(session), find_launchctl())
    return status_of_unit(_unit_as_installed(session), find_systemctl())


def _unit_as_installed(session: CommandSession) -> Unit:
    file = unit_file()
    arguments = arguments_of(file.read_text(errors="replace")) if file.is_file() else None
    return Unit(config_home=config_home(), **as_installed(session, arguments or ()))


def bare_unit(session: CommandSession) -> Unit:
    """The unit without its application.

    It can be removed, stopped or restarted even if the application is gone.
    """
    return Unit(config_home=config_home(), **daemon_fields(session, None))


def has_unit() -> bool:
    """Whether there is a systemd unit of our name."""
    return unit_file().is_file()


def unit_file() -> Path:
    """Where the systemd unit of our name is, if there is one."""
    return config_home() / "systemd/user" / UNIT


def config_home() -> Path:
    """The folder of the user's configuration, in which systemd looks for units."""
    named = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return named if named.is_absolute() else Path.home() / ".config"


def find_systemctl(*, dry_run: bool = False) -> Systemctl:
    """systemd's own program. Raises SystemdError if it is not on PATH."""
    program = shutil.which("systemctl")
    if program is None:
        raise SystemdError(_NO_MANAGER, fix=_RUN_IT)
    patience = Patience(time.sleep, time.monotonic, say_short)
    if dry_run:
        return DrySystemctl(program, os.getuid(), run_program, patience, unit_file(), note)
    return Systemctl(program, os.getuid(), run_program, patience)


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
