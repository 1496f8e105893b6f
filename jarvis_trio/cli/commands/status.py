"""`jarvis-trio status`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

import click

from jarvis_trio.cli.output import Cell, console, draw, json_option, pairs, print_json
from jarvis_trio.desk import looks, views
from jarvis_trio.desk.looks import Status
from jarvis_trio.desk.names import short_name
from jarvis_trio.desk.session import Session
from jarvis_trio.insight.machines import MachineState
from jarvis_trio.models import Run
from jarvis_trio.notation.text import counted, moment_words, relative, size_words
from jarvis_trio.process.identity import owner_machine
from jarvis_trio.process.lock import Holder

if TYPE_CHECKING:
    from rich.table import Table

_REFRESH_SECONDS = 1.0
_NO_DAEMON = 3

_Row = tuple[str, Cell]
"""What a line is about, and what it says."""


@click.command()
@click.option("--watch", is_flag=True, help="Keep it on the screen and up to date, until Ctrl-C.")
@click.option("--check", is_flag=True, help="End with exit code 3 if no daemon runs.")
@json_option
@click.pass_obj
def status(session: Session, /, watch: bool, check: bool, as_json: bool) -> None:
    """Say how the daemon and the tasks stand, and what runs.

    \b
    Example:
      jarvis-trio status
      jarvis-trio status --watch
      jarvis-trio status --check || jarvis-trio run
    """
    if watch and (as_json or not sys.stdout.isatty()):
        raise click.UsageError("--watch is for a terminal; leave it out to print the status once")
    if watch:
        _watch(session)
        return
    seen = looks.status(session)
    if as_json:
        print_json(views.status_view(seen, session.zone()))
    else:
        draw(pairs(_rows(seen, session.now(), session.zone())))
    if check and seen.daemon is None:
        raise click.exceptions.Exit(_NO_DAEMON)


def _watch(session: Session) -> None:
    from rich.live import Live  # noqa: PLC0415  # 20 ms, which only this needs

    try:
        with Live(_table(session), console=console(), screen=False, auto_refresh=False) as live:
            while True:
                time.sleep(_REFRESH_SECONDS)
                live.update(_table(session), refresh=True)
    except KeyboardInterrupt:
        pass  # how a person ends it


def _table(session: Session) -> Table:
    return pairs(_rows(looks.status(session), session.now(), session.zone()))


def _rows(seen: Status, now: datetime, zone: tzinfo) -> Iterator[_Row]:
    yield from _of_daemon(seen.daemon, now, zone)
    if seen.room is not None and seen.room.is_short():
        free = f"only {size_words(seen.room.free_bytes)} are free at {seen.room.folder}"
        yield "disk", Cell(f"{free}; make room: what cannot be recorded does not run", "bold red")
    for run, pids in seen.runs:
        yield "runs", _run(run, pids, now, zone)
    yield from _of_tasks(seen, now, zone)
    for state in seen.machines:
        yield "machine", _machine(state)


def _of_daemon(daemon: Holder | None, now: datetime, zone: tzinfo) -> Iterator[_Row]:
    if daemon is None:
        yield "daemon", Cell("does not run; to start it: jarvis-trio run", "bold red")
        return
    yield "daemon", Cell(f"runs, PID {daemon.pid or 'unknown'}", "green")
    if daemon.started_at is not None:
        yield "started", Cell(_when(daemon.started_at, now, zone))
    if daemon.last_tick_at is not None:
        yield "last tick", Cell(_when(daemon.last_tick_at, now, zone))


def _run(run: Run, pids: Sequence[int], now: datetime, zone: tzinfo) -> Cell:
    machine = owner_machine(run.owner)
    place = "" if machine is None else f" on {machine}"
    processes = f", PID {', '.join(map(str, pids))}" if pids else ""
    return Cell(f"{short_name(run.task_name)}{place} since {_when(run.started_at, now, zone)}{processes}", "cyan")


def _of_tasks(seen: Status, now: datetime, zone: tzinfo) -> Iterator[_Row]:
    yield "tasks", Cell(f"{seen.total}, of which {seen.enabled} enabled")
    if seen.overdue:
        yield "overdue", Cell(str(seen.overdue), "cyan" if seen.daemon else "bold yellow")
    if seen.failing:
        yield "failing", Cell(", ".join(seen.failing), "bold red")
    if seen.set_aside:
        yield "set aside", Cell(", ".join(seen.set_aside), "bold red")
    if seen.undelivered:
        yield "undelivered", Cell(counted(seen.undelivered, "message"), "yellow")
    if seen.next is not None:
        name, slot = seen.next
        yield "next", Cell(f"{short_name(name)}, {_when(slot, now, zone)}")


def _machine(state: MachineState) -> Cell:
    told = [f"{state.name} is away, last seen {state.seen}" if state.away else f"{state.name}, seen {state.seen}"]
    told += [f"version {state.machine.version}"] if state.machine.version else []
    told += [state.clock_words] if state.clock_words else []
    return Cell(", ".join(told), "yellow" if state.away or state.clock_words else "")


def _when(instant: datetime, now: datetime, zone: tzinfo) -> str:
    return f"{relative(instant, now)} ({moment_words(instant, zone)})"
