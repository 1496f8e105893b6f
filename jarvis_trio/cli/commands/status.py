"""`jarvis-trio status`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

import click

from jarvis_trio.cli.names import short_name
from jarvis_trio.cli.output import Cell, console, draw, json_option, pairs, print_json, relative
from jarvis_trio.cli.session import Session
from jarvis_trio.instants import local_text
from jarvis_trio.models import TroubleKind
from jarvis_trio.process.lock import Holder, holder
from jarvis_trio.schedules.schedule import stored_next_run
from jarvis_trio.text import counted, moment_words

if TYPE_CHECKING:
    from rich.table import Table

_REFRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Status:
    """How the daemon and the tasks stand. `next` is a task's name and its slot (aware UTC)."""

    daemon: Holder | None
    total: int
    enabled: int
    overdue: int
    failing: list[str]
    set_aside: list[str]
    next: tuple[str, datetime] | None
    undelivered: int


@click.command()
@click.option("--watch", is_flag=True, help="Keep it on the screen and up to date, until Ctrl-C.")
@json_option
@click.pass_obj
def status(session: Session, /, watch: bool, as_json: bool) -> None:
    """Say whether the daemon runs, and how the tasks stand.

    \b
    Example:
      jarvis-trio status
      jarvis-trio status --watch
    """
    if watch and (as_json or not sys.stdout.isatty()):
        raise click.UsageError("--watch is for a terminal; leave it out to print the status once")
    if as_json:
        print_json(_json(look(session), session.zone()))
    elif watch:
        _watch(session)
    else:
        draw(_table(session))


def look(session: Session) -> Status:
    """How things stand now."""
    now, zone = session.now(), session.zone()
    with session.look() as store:  # anew each time: other programs may write to what was nobody's before
        tasks, troubled, undelivered = store.list_scheduled_tasks(), store.troubles(), store.letters_waiting()
    names = {task.id: task.name for task in tasks}
    troubles = {(trouble.kind, names.get(trouble.task_id, "")) for trouble in troubled}
    slots = [(task.name, slot) for task in tasks if task.enabled and (slot := stored_next_run(task, zone)) is not None]
    return Status(
        daemon=holder(session.settings.lock_file),
        total=len(tasks),
        enabled=sum(task.enabled for task in tasks),
        overdue=sum(slot <= now for _, slot in slots),
        failing=sorted(name for kind, name in troubles if kind is not TroubleKind.SET_ASIDE),
        set_aside=sorted(name for kind, name in troubles if kind is TroubleKind.SET_ASIDE),
        next=min(slots, key=lambda pair: pair[1], default=None),
        undelivered=undelivered,
    )


def _json(seen: Status, zone: tzinfo) -> dict[str, Any]:
    daemon = seen.daemon or Holder(None, None, None)
    return {
        "running": seen.daemon is not None,
        "pid": daemon.pid,
        "started_at": daemon.started_at and local_text(daemon.started_at, zone),
        "last_tick_at": daemon.last_tick_at and local_text(daemon.last_tick_at, zone),
        "tasks": {
            "total": seen.total,
            "enabled": seen.enabled,
            "overdue": seen.overdue,
            "failing": len(seen.failing),
            "set_aside": len(seen.set_aside),
        },
        "next": seen.next and {"task": seen.next[0], "at": local_text(seen.next[1], zone)},
        "undelivered": seen.undelivered,
    }


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
    return pairs(_rows(look(session), session.now(), session.zone()))


def _rows(seen: Status, now: datetime, zone: tzinfo) -> Iterator[tuple[str, Cell]]:
    if seen.daemon is None:
        yield "daemon", Cell("does not run; to start it: jarvis-trio run", "bold red")
    else:
        yield "daemon", Cell(f"runs, PID {seen.daemon.pid or 'unknown'}", "green")
        if seen.daemon.started_at is not None:
            yield "started", Cell(_when(seen.daemon.started_at, now, zone))
        if seen.daemon.last_tick_at is not None:
            yield "last tick", Cell(_when(seen.daemon.last_tick_at, now, zone))
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


def _when(instant: datetime, now: datetime, zone: tzinfo) -> str:
    return f"{relative(instant, now)} ({moment_words(instant, zone)})"
