"""Checks of the daemon: who holds the lock, when it ticked last, and how its service stands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from jarvis_trio import __version__
from jarvis_trio.doctor.findings import Finding, problem, warning
from jarvis_trio.errors import JarvisError
from jarvis_trio.notation.instants import duration_text
from jarvis_trio.notation.text import duration_words, moment_words
from jarvis_trio.process.lock import Holder, holder
from jarvis_trio.service.launchd.checks import check_privacy
from jarvis_trio.service.launchd.operations import AgentState
from jarvis_trio.service.launchd.plist import Agent
from jarvis_trio.service.state import Standing, State

_MARGIN = timedelta(minutes=1)


def check_daemon(
    daemon: Holder | None, now: datetime, zone: tzinfo, *, interval: timedelta, longest_run: timedelta
) -> Iterator[Finding]:
    """Whether a daemon runs and ticks at least every `interval`, or as late as its longest run
    allows.
    """
    if daemon is None:
        fix = "jarvis-trio run, or for good: jarvis-trio service install"
        yield problem("daemon", "none is running, so no task runs", fix)
        return
    runs = f"PID {daemon.pid or 'unknown'}"
    if daemon.started_at is not None:
        runs += f", since {moment_words(daemon.started_at, zone)}"
    seen = daemon.last_tick_at or daemon.started_at
    if seen is not None and now - seen > 2 * interval + longest_run + _MARGIN:
        says = f"{runs}, has not ticked for {duration_words(now - seen)}, and should every {duration_text(interval)}"
        fix = f"see what holds it up: jarvis-trio logs; to have it started again: kill {daemon.pid or 'PID'}"
        yield problem("daemon", says, fix)
    elif daemon.last_tick_at is not None:
        yield Finding("daemon", f"{runs}, ticked last {duration_words(now - daemon.last_tick_at)} ago")
    else:
        yield Finding("daemon", f"{runs}, has not ticked yet")
    yield from _check_version(daemon)


def _check_version(daemon: Holder) -> Iterator[Finding]:
    """After an upgrade the old daemon runs on until it is restarted."""
    if daemon.started_at is not None and daemon.version != __version__:
        theirs = daemon.version or "1"
        says = f"the daemon is of version {theirs}, and this command of {__version__}"
        yield warning("version", says, "jarvis-trio service restart, or stop it and start it again")


def daemon_words(lock_file: Path) -> list[str]:
    """The command line of the running daemon, as far as the system tells; empty without one."""
    import psutil  # noqa: PLC0415  # 20 ms of import, for this alone

    try:
        daemon = holder(lock_file)
        return [] if daemon is None or daemon.pid is None else psutil.Process(daemon.pid).cmdline()
    except (JarvisError, psutil.Error):
        return []


def check_agent(seen: AgentState) -> Iterator[Finding]:
    """How our launchd agent and the old ones stand."""
    install = shlex.join(["jarvis-trio", "launchd", "install", *seen.arguments[1:]])
    for label in seen.old_agents_loaded:
        yield problem("old agent", f"{label} is loaded, and would run everything twice", install)
    yield _service_finding("agent", seen, install)


def check_unit(seen: State) -> Iterator[Finding]:
    """How our systemd unit stands."""
    yield _service_finding("unit", seen, shlex.join(["jarvis-trio", "service", "install", *seen.arguments[1:]]))


def _service_finding(subject: str, seen: State, install: str) -> Finding:
    match seen.standing:
        case Standing.NOT_INSTALLED:
            return Finding(subject, f"{seen.says}; to have the system run the daemon: {install}")
        case Standing.NOT_LOADED:
            return problem(subject, seen.says, install)
        case Standing.DOWN:
            return problem(subject, seen.says, f"put right what its last words say, in {seen.crash_log}")
        case Standing.OUTDATED:
            return warning(subject, seen.says, install)
        case Standing.RUNNING:
            return Finding(subject, seen.says)


def check_closed_folders(agent: Agent) -> Iterator[Finding]:
    """Whether macOS lets an agent open what it needs. Raises LaunchdError if it does not."""
    check_privacy(agent)
    yield Finding("folders", "none is in a folder that macOS closes to agents")
