"""Which checks `doctor` makes, and in which order: each needs what those before it saw."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from jarvis_trio.cli.application import application_of
from jarvis_trio.cli.services import agent_as_installed, find_launchctl, has_unit, state
from jarvis_trio.desk.approvals import daemon_environment
from jarvis_trio.doctor.application import check_application
from jarvis_trio.doctor.daemon import check_agent, check_closed_folders, check_daemon, check_unit, daemon_words
from jarvis_trio.doctor.database import RESTORE, check_database, check_integrity, check_users
from jarvis_trio.doctor.files import check_inbox, check_logs, check_permissions, check_secrets
from jarvis_trio.doctor.findings import Finding, Level, failed, guarded
from jarvis_trio.doctor.machine import check_clock, check_disk, check_extras, check_program, check_watch, check_zone
from jarvis_trio.doctor.machines import check_machines
from jarvis_trio.doctor.tasks import (
    check_alerts,
    check_commands,
    check_delivery,
    check_handlers,
    check_own_alerts,
    check_schedules,
    check_troubles,
    check_undelivered,
    refused_commands,
)
from jarvis_trio.errors import JarvisError
from jarvis_trio.foreground.application import WrappedEngine
from jarvis_trio.foreground.session import CommandSession
from jarvis_trio.insight.machines import MachineState, machine_states, takers
from jarvis_trio.models import ScheduledTask, TroubleKind
from jarvis_trio.notation.text import size_words
from jarvis_trio.process.lock import Holder, holder
from jarvis_trio.process.watch import why_no_watch
from jarvis_trio.service.launchd.operations import status
from jarvis_trio.service.launchd.plist import SEARCH_PATH, Agent
from jarvis_trio.settings import Settings
from jarvis_trio.store import MemoryStore

_SLOW_BYTES = 50_000_000
_SETTING = "set it to what is allowed, or unset it"
_APPLICATION = "see that its folder and its interpreter are there"
_PERMISSION = "give yourself the permission that is missing"
_OF_AGENT = {"PATH": SEARCH_PATH}


def examine(session: CommandSession) -> Iterator[Finding]:
    """All that the checks find: of the machine first, of the tasks last.

    What would need what is broken is left out.
    """
    yield from check_program()
    yield from check_extras()
    yield from check_watch(why_no_watch())
    yield from check_zone(session.environment, session.zone())
    try:
        # First the agent: if it runs an application, that one's `config` counts.
        agent = agent_as_installed(session) if shutil.which("launchctl") else None
        settings = session.settings
    except JarvisError as error:
        yield failed("settings", error, _SETTING)
        return
    yield from _of_files(settings, agent)
    if agent is not None:
        yield from guarded("agent", "see: jarvis-trio launchd status", partial(_of_agent, agent))
    elif has_unit():
        yield from guarded("unit", "see: jarvis-trio service status", partial(_of_unit, session))
    yield from guarded("daemon", _PERMISSION, partial(_of_daemon, session))
    yield from guarded("database", RESTORE, partial(_of_database, session, agent))


def _of_files(settings: Settings, agent: Agent | None) -> Iterator[Finding]:
    written_by_launchd = [] if agent is None else [agent.standard_output, agent.standard_error]
    yield from guarded("disk", _PERMISSION, partial(check_disk, settings.memory_db_path.parent))
    yield from guarded("permissions", _PERMISSION, partial(check_permissions, settings))
    yield from guarded("secrets", _PERMISSION, partial(check_secrets, settings))
    yield from guarded("log", _PERMISSION, partial(check_logs, settings.log_file, written_by_launchd))


def _of_agent(agent: Agent) -> Iterator[Finding]:
    yield from check_agent(status(agent, find_launchctl()))
    yield from check_closed_folders(agent)


def _of_unit(session: CommandSession) -> Iterator[Finding]:
    yield from check_unit(state(session))


def _of_daemon(session: CommandSession) -> Iterator[Finding]:
    settings, now, zone = session.settings, session.now(), session.zone()
    longest = float(settings.handler_timeout_seconds)
    with suppress(JarvisError):
        longest = max(longest, session.longest_timeout_seconds())
    interval = timedelta(seconds=settings.tick_interval_seconds)
    daemon = holder(settings.lock_file)
    yield from check_daemon(daemon, now, zone, interval=interval, longest_run=timedelta(seconds=longest))
    yield from check_clock(now, zone, _latest_on_record(session, daemon))


def _latest_on_record(session: CommandSession, daemon: Holder | None) -> datetime | None:
    known = [daemon.last_tick_at if daemon else None]
    with suppress(JarvisError), session.look() as store:
        known.append(store.runs.last_started_at())
    return max((instant for instant in known if instant is not None), default=None)


def _of_database(session: CommandSession, agent: Agent | None) -> Iterator[Finding]:
    with session.look() as store:
        yield from check_database(store)
        if not session.settings.database_url:
            yield from check_users(store.path, session.settings.lock_file)
        found = _integrity(store) if store.machine is None else []  # a server looks after its own files
        yield from found
        if not any(finding.level is Level.PROBLEM for finding in found):
            yield from _of_tasks(session, store, agent)


def _integrity(store: MemoryStore) -> list[Finding]:
    """The check that can take long; a person is shown that it goes on."""
    size = store.path.stat().st_size if store.path.exists() else 0
    if size < _SLOW_BYTES or not sys.stderr.isatty():
        return list(check_integrity(store))
    from rich.console import Console  # noqa: PLC0415  # 40 ms, which `--json` need not pay
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415  # as above

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        progress.add_task(f"Checking all {size_words(size)} of the database", total=None)
        return list(check_integrity(store))


def _of_tasks(session: CommandSession, store: MemoryStore, agent: Agent | None) -> Iterator[Finding]:
    now, zone = session.now(), session.zone()
    tasks = here = store.list_scheduled_tasks()
    if store.machine is not None:
        states = machine_states(store, now)
        yield from check_machines(states, [task for task in tasks if task.enabled])
        here = _of_this_machine(store.machine, states, tasks)
    enabled = [task for task in here if task.enabled]

    refused = refused_commands(here, session.settings, _environment(session, agent))
    yield from check_troubles(store, tasks, zone, refused)
    aside = store.troubles.reasons_set_aside()  # what a task's trouble tells is told once
    scheduled = [task for task in enabled if task.id not in aside]
    yield from check_schedules(scheduled, zone, now, store.runs.has_slot_begun, store.runs.is_slot_over)
    yield from guarded("inbox", _PERMISSION, partial(check_inbox, session.settings.webhook_inbox_dir, tasks))

    running = application_of(daemon_words(session.settings.lock_file))
    if not isinstance(running, WrappedEngine):  # whose handlers are its own
        session.source = session.source or running
        yield from _of_handlers(session, store, enabled)
        yield from check_commands(store, enabled, refused)
    yield from _of_channels(session, store, enabled)


def _of_handlers(session: CommandSession, store: MemoryStore, enabled: list[ScheduledTask]) -> Iterator[Finding]:
    yield from guarded("application", _APPLICATION, partial(_of_application, session, enabled))

    told = store.troubles.tasks_in_trouble(TroubleKind.NO_HANDLER)
    yield from check_handlers([task for task in enabled if task not in told], session.handlers)


def _environment(session: CommandSession, agent: Agent | None) -> Mapping[str, str]:
    """The variables of the daemon that runs, or else of the one that would be started."""
    running = daemon_environment(session)
    if running is not None:
        return running
    installed = agent is not None and agent.plist.exists()
    # The agent has none of this shell's variables, and so none of its secrets.
    return _OF_AGENT | {"HOME": str(Path.home())} if installed else session.environment


def _of_channels(session: CommandSession, store: MemoryStore, enabled: list[ScheduledTask]) -> Iterator[Finding]:
    check = session.channels.check
    yield from check_delivery(enabled, check)
    yield from check_own_alerts(enabled, check)
    yield from guarded("alerts", _SETTING, partial(check_alerts, session.settings, check))
    yield from check_undelivered(store)


def _of_this_machine(name: str, states: list[MachineState], tasks: list[ScheduledTask]) -> list[ScheduledTask]:
    """The tasks that may run here: what the others need is installed and approved elsewhere."""
    here = [state for state in states if state.name == name]
    return [task for task in tasks if takers(here, task)] if here else tasks


def _of_application(session: CommandSession, enabled: list[ScheduledTask]) -> Iterator[Finding]:
    if session.source is not None and session.application is not None:
        types = {task.handler_type for task in enabled}
        theirs = {kind for kind in types if session.handlers.get(kind) is session.application}
        yield from check_application(session.application.look(), session.source, theirs)
