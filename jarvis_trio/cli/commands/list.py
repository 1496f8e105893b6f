"""`jarvis-trio list`."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, tzinfo

import click

from jarvis_trio.cli.describe import schedule_words, task_json
from jarvis_trio.cli.names import short_name
from jarvis_trio.cli.output import STYLES, Cell, Column, Fit, json_option, print_json, print_table, relative, say
from jarvis_trio.cli.session import Session, pass_looking_session
from jarvis_trio.errors import ScheduleError
from jarvis_trio.models import Run, ScheduledTask, ScheduleType, require_id, task_policy
from jarvis_trio.schedules.schedule import stored_next_run
from jarvis_trio.text import moment_words

_COLUMNS = (
    Column("NAME", Fit.FOLD),
    Column("SCHEDULE", Fit.FOLD),
    Column("HANDLER", only_wide=True),
    Column("NEXT"),
    Column("NEXT AT", only_wide=True),
    Column("LAST RUN"),
)


@click.command("list")
@json_option
@pass_looking_session
def list_tasks(session: Session, as_json: bool) -> None:
    """List the tasks, with their next and their last run.

    \b
    Example:
      jarvis-trio list
      jarvis-trio list --json
    """
    tasks, last_runs = session.store.list_scheduled_tasks(), session.store.last_runs()
    set_aside = session.store.reasons_set_aside()
    if as_json:
        print_json([task_json(t, last_runs.get(require_id(t)), set_aside.get(require_id(t))) for t in tasks])
        return
    if not tasks:
        say("There are no tasks yet. To add one: jarvis-trio add NAME --every 5m -- COMMAND")
        return
    now, zone = session.now(), session.zone()
    print_table(
        _COLUMNS,
        (_row(t, last_runs.get(require_id(t)), require_id(t) in set_aside, now, zone) for t in tasks),
    )
    for task in tasks:
        if (reason := set_aside.get(require_id(task))) is not None:
            say(f"{short_name(task.name)} is set aside until it is mended: {reason}")


def _row(task: ScheduledTask, last: Run | None, set_aside: bool, now: datetime, zone: tzinfo) -> list[Cell]:
    slot = stored_next_run(task, zone)
    return [
        Cell(short_name(task.name), "bold"),
        Cell(_schedule(task, zone)),
        Cell(task.handler_type),
        _next(task, last, slot, set_aside, now),
        Cell(moment_words(slot, zone) if slot is not None and task.enabled else "", "dim"),
        Cell("never", "dim") if last is None else Cell(_last(last, now), STYLES[last.status]),
    ]


def _schedule(task: ScheduledTask, zone: tzinfo) -> str:
    words = schedule_words(task, zone)
    with suppress(ScheduleError):
        own_zone = task_policy(task.policy).timezone
        return words if own_zone is None or task.schedule_type != ScheduleType.CRON else f"{words} ({own_zone})"
    return words


def _next(task: ScheduledTask, last: Run | None, slot: datetime | None, set_aside: bool, now: datetime) -> Cell:
    if set_aside:
        return Cell("set aside", "bold red")
    if not task.enabled:
        return Cell("paused", "yellow")
    if slot is None:  # of a new row the daemon has yet to set it
        is_over = last is not None and task.schedule_type == ScheduleType.ONCE
        return Cell("no more" if is_over else "not yet", "dim")
    return Cell(relative(slot, now)) if slot > now else Cell("due", "cyan")


def _last(run: Run, now: datetime) -> str:
    return f"{run.status} {relative(run.started_at, now)}"
