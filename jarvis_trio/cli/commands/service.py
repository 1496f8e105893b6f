"""`jarvis-trio service ...`: the daemon under launchd on a Mac, under systemd on Linux."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from jarvis_trio.cli.application import application_options
from jarvis_trio.cli.commands import launchd as mac
from jarvis_trio.cli.output import json_option, print_json
from jarvis_trio.cli.services import (
    anyway_option,
    asked_for,
    bare_agent,
    bare_unit,
    carry_out,
    check_tasks,
    config_home,
    dry_run_option,
    find_launchctl,
    find_systemctl,
    has_unit,
    on_mac,
    say_short,
    state,
)
from jarvis_trio.errors import ServiceError
from jarvis_trio.foreground.application import Application
from jarvis_trio.foreground.session import CommandSession
from jarvis_trio.process.lock import holder
from jarvis_trio.service.launchd.launchctl import Launchctl
from jarvis_trio.service.launchd.operations import restart_steps as restart_agent
from jarvis_trio.service.launchd.operations import stop_steps as stop_agent
from jarvis_trio.service.launchd.operations import uninstall_steps as uninstall_agent
from jarvis_trio.service.launchd.plist import Agent
from jarvis_trio.service.purge import Purge, plan_purge, purge
from jarvis_trio.service.state import Standing, State
from jarvis_trio.service.steps import Step
from jarvis_trio.service.systemd.checks import check
from jarvis_trio.service.systemd.operations import (
    UnitState,
    install_steps,
    restart_steps,
    rollback_steps,
    stop_steps,
    uninstall_steps,
)
from jarvis_trio.service.systemd.systemctl import Systemctl
from jarvis_trio.service.systemd.unit import UNIT, Unit, render

_NOTHING_TO_RESTART = "No service of yours runs; nothing to restart."
_LINGER = "It runs while you are logged in. To have it from boot on: loginctl enable-linger"


@click.group()
def service() -> None:
    """Run the daemon for good, under launchd or systemd.

    On a Mac it becomes a launchd agent, on Linux a systemd unit of the user.

    \b
    Example:
      jarvis-trio service install --dry-run
      jarvis-trio service install
    """


@service.command("render")
@application_options
@json_option
@click.pass_obj
def render_command(session: CommandSession, /, application: Application | None, as_json: bool) -> None:
    """Print the file that `install` would write.

    It is a property list on a Mac, and a unit file on Linux.

    \b
    Example:
      jarvis-trio service render
    """
    if on_mac():
        mac.show_property_list(session, application, as_json=as_json)
        return
    unit = _unit_to_be(session, application)
    if as_json:
        print_json({"file": str(unit.file), "text": render(unit)})
    else:
        click.echo(render(unit), nl=False)


@service.command("install")
@application_options
@anyway_option
@dry_run_option
@click.pass_obj
def install_command(session: CommandSession, /, application: Application | None, anyway: bool, dry_run: bool) -> None:
    """Start the daemon now, and at each login.

    It gets what the environment adds to the settings file here and now; to
    change that later, install it again. Everything is checked first. If a step
    fails, the steps before it are taken back.

    \b
    Example:
      jarvis-trio service install --dry-run
      jarvis-trio service install
    """
    if on_mac():
        mac.install(session, application, dry_run=dry_run, anyway=anyway)
        return
    unit, systemctl = _unit_to_be(session, application), find_systemctl(dry_run=dry_run)
    check(unit, systemctl)
    check_tasks(session, application, anyway=anyway)
    if carry_out(install_steps(unit, systemctl), dry_run):
        say_short(f"{UNIT} runs. Its log: {unit.log}")
    if systemctl.lingers() is False:
        say_short(_LINGER)


@service.command("uninstall")
@click.option("--purge", "with_files", is_flag=True, help="Remove the data, the settings file and the logs as well.")
@click.option("--yes", is_flag=True, help="Remove them without asking.")
@dry_run_option
@click.pass_obj
def uninstall_command(session: CommandSession, with_files: bool, yes: bool, dry_run: bool) -> None:
    """Stop the daemon and remove its service.

    Its tick finishes first. With --purge everything else that the program made
    goes as well: the list is shown, and you are asked.

    \b
    Example:
      jarvis-trio service uninstall
      jarvis-trio service uninstall --purge --dry-run
    """
    if with_files and not (yes or dry_run or sys.stdin.isatty()):
        raise click.UsageError("nobody is there to be asked; give --yes to remove them")
    plan = plan_purge(session.settings, Path.home()) if with_files else None
    carry_out(_steps(session, "uninstall", dry_run=dry_run), dry_run)
    if plan is not None:
        _show_purge(plan)
        if not dry_run and (yes or click.confirm("Remove them? The history and your tasks go with them")):
            _purge(session, plan)


@service.command("rollback")
@dry_run_option
@click.pass_obj
def rollback_command(session: CommandSession, dry_run: bool) -> None:
    """Remove the service, and bring back what it replaced as it was.

    \b
    Example:
      jarvis-trio service rollback
    """
    if on_mac():
        mac.rollback(session, dry_run=dry_run)
    else:
        carry_out(rollback_steps(bare_unit(session), find_systemctl(dry_run=dry_run)), dry_run)


@service.command("restart")
@click.option("--if-running", is_flag=True, help="Do nothing, and be content, if it does not run.")
@dry_run_option
@click.pass_obj
def restart_command(session: CommandSession, if_running: bool, dry_run: bool) -> None:
    """Stop the daemon, let its tick finish, and start it again.

    Do so after an upgrade, or after you changed a setting.

    \b
    Example:
      jarvis-trio service restart
    """
    if if_running and not _runs(session):
        click.echo(_NOTHING_TO_RESTART + _by_hand(session))
        return
    carry_out(_steps(session, "restart", dry_run=dry_run), dry_run)


@service.command("stop")
@dry_run_option
@click.pass_obj
def stop_command(session: CommandSession, dry_run: bool) -> None:
    """Stop the daemon until the next login, or until `restart`.

    Its tick finishes first.

    \b
    Example:
      jarvis-trio service stop
    """
    carry_out(_steps(session, "stop", dry_run=dry_run), dry_run)


@service.command("status")
@json_option
@click.pass_obj
def status_command(session: CommandSession, as_json: bool) -> None:
    """Say how the service stands.

    \b
    Example:
      jarvis-trio service status --json
    """
    seen = state(session)
    if as_json:
        values: dict[str, Any] = asdict(seen)
        print_json(values | {"file": str(seen.file), "standing": seen.standing.name.lower()})
        return
    for line in _status_lines(seen):
        say_short(line)


def _unit_to_be(session: CommandSession, application: Application | None) -> Unit:
    return Unit(config_home=config_home(), **asked_for(session, application))


_STEPS: dict[str, tuple[Callable[[Agent, Launchctl], list[Step]], Callable[[Unit, Systemctl], list[Step]]]] = {
    "uninstall": (uninstall_agent, uninstall_steps),
    "restart": (restart_agent, restart_steps),
    "stop": (stop_agent, stop_steps),
}
"""What to do to the agent on a Mac, and to the unit on Linux."""


def _steps(session: CommandSession, what: str, *, dry_run: bool) -> list[Step]:
    """The steps of `what` on this machine."""
    to_agent, to_unit = _STEPS[what]
    if on_mac():
        return to_agent(bare_agent(session), find_launchctl())
    if what == "uninstall" and not has_unit():
        return []  # there may be no service manager to ask, as in a container
    return to_unit(bare_unit(session), find_systemctl(dry_run=dry_run))


def _runs(session: CommandSession) -> bool:
    """Whether a service of ours runs; not on a machine without a service manager."""
    return (on_mac() or has_unit()) and state(session).running


def _by_hand(session: CommandSession) -> str:
    """What to do about a daemon without a service, such as one in a terminal; or nothing."""
    found = holder(session.settings.lock_file)
    if found is None:
        return ""
    return f" But a daemon runs, PID {found.pid}, that you started yourself: stop it, and start it again."


def _show_purge(plan: Purge) -> None:
    say_short("These files and folders of the program would go:" if plan.files else "There are no files to remove.")
    for path in (*plan.files, *plan.folders):
        say_short(f"  {path}{' (if nothing else is in it)' if path in plan.folders else ''}")
    for path, why in plan.kept:
        say_short(f"  {path} stays: {why}")


def _purge(session: CommandSession, plan: Purge) -> None:
    daemon = holder(session.settings.lock_file)
    if daemon is not None:
        raise ServiceError(f"a daemon (PID {daemon.pid or 'unknown'}) works with these files", fix="stop it first")
    try:
        purge(plan)
    except OSError as error:
        raise ServiceError(f"not all could be removed: {error}") from None
    say_short("Removed.")


def _status_lines(seen: State) -> Iterator[str]:
    install = shlex.join(["jarvis-trio", "service", "install", *seen.arguments[1:]])
    yield seen.says
    yield f"  file: {seen.file}{'' if seen.installed else ' (not there)'}"
    yield f"  log: {seen.log}"
    if seen.standing is Standing.DOWN:
        yield f"  its last words: {seen.crash_log}"
    if seen.standing in (Standing.NOT_INSTALLED, Standing.NOT_LOADED, Standing.OUTDATED):
        yield f"  to install it: {install}"
    if isinstance(seen, UnitState) and seen.installed and seen.lingers is False:
        yield f"  {_LINGER}"
