"""`jarvis-trio list`."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, tzinfo

import click

from jarvis_trio.cli.output import STYLES, Amount, Cell, Column, Fit, json_option, print_json, print_table, say
from jarvis_trio.cli.session import pass_looking_session
from jarvis_trio.desk import looks, views
from jarvis_trio.desk.looks import TaskState
from jarvis_trio.desk.names import short_name
from jarvis_trio.desk.requests import TasksRequest
from jarvis_trio.desk.session import Session
from jarvis_trio.desk.words import schedule_words
from jarvis_trio.errors import ScheduleError
from jarvis_trio.foreground.telling import note
from jarvis_trio.models import Run, ScheduledTask, ScheduleType, is_held
from jarvis_trio.notation.instants import parse_instant
from jarvis_trio.notation.text import moment_words, relative, short_duration
from jarvis_trio.policy import task_policy
from jarvis_trio.schedules.schedule import stored_next_run

_SCREEN = 200
_COLUMNS = (
    Column("NAME", Fit.FOLD),
    Column("SCHEDULE", Fit.FOLD),
    Column("HANDLER", only_wide=True),
    Column("NEXT"),
    Column("NEXT AT", only_wide=True),
    Column("LAST RUN"),
)


@click.command("list")
@click.argument("text", required=False)
@click.option("--failing", is_flag=True, help="Only tasks in trouble.")
@click.option("--due", is_flag=True, help="Only tasks whose time has come.")
@click.option("--all", "finished", is_flag=True, help="Also tasks that ran once, more than a day ago.")
@click.option(
    "--limit",
    metavar="N",
    type=Amount(min=1),
    help=f"Show at most N tasks; by default {_SCREEN}, with --json all.",
)
@json_option
@pass_looking_session
def list_tasks(
    session: Session,
    /,
    text: str | None,
    failing: bool,
    due: bool,
    finished: bool,
    limit: int | None,
    as_json: bool,
) -> None:
    """List the tasks, with their next and their last run.

    TEXT keeps those that have it in their name, description or command.

    \b
    Example:
      jarvis-trio list
      jarvis-trio list backup --failing
    """
    limit = limit or (None if as_json else _SCREEN)
    request = TasksRequest(text=text, failing=failing, due=due, finished=finished, limit=limit)
    chosen, now, zone = looks.chosen_tasks(session, request), session.now(), session.zone()
    states = chosen.states
    if as_json:
        print_json([views.task_view(state, zone) for state in states])
        return
    if not states and session.store.tasks.count_scheduled_tasks():
        say("There are no such tasks; --all shows also those that are finished.")
        return
    if not states:
        say("There are no tasks yet. To add one: jarvis-trio add NAME --every 5m -- COMMAND")
        return
    print_table(_COLUMNS, (_row(state, now, zone) for state in states))
    for state in states:
        if state.set_aside is not None:
            reason = state.set_aside
            why = reason if is_held(reason) else f"set aside until it is fixed: {reason}"
            say(f"{short_name(state.task.name)} is {why}")
    if chosen.more:
        note(f"{chosen.more:,} more; --limit {len(states) + chosen.more} shows all, a TEXT those that have it")


def _row(state: TaskState, now: datetime, zone: tzinfo) -> list[Cell]:
    task, last = state.task, state.last
    slot = stored_next_run(task, zone)
    return [
        Cell(short_name(task.name), "bold"),
        Cell(_schedule(task, zone)),
        Cell(task.handler_type),
        _next(state, slot, now),
        Cell(moment_words(slot, zone) if slot is not None and _is_scheduled(state) else "", "dim"),
        _last(task, now, zone) if last is None else Cell(_ran(last, now), STYLES[last.status]),
    ]


def _is_scheduled(state: TaskState) -> bool:
    return state.task.enabled and state.set_aside is None


def _schedule(task: ScheduledTask, zone: tzinfo) -> str:
    words = schedule_words(task, zone)
    with suppress(ScheduleError):
        own_zone = task_policy(task.policy).timezone
        return words if own_zone is None or task.schedule_type != ScheduleType.CRON else f"{words} ({own_zone})"
    return words


def _next(state: TaskState, slot: datetime | None, now: datetime) -> Cell:
    if state.running is not None:
        return Cell(f"runs for {short_duration(now - state.running.started_at)}", "cyan")
    if state.set_aside is not None:
        return Cell("held", "yellow") if is_held(state.set_aside) else Cell("set aside", "bold red")
    if not state.task.enabled:
        return Cell("paused", "yellow")
    if slot is None:  # the daemon has yet to read a new row
        return Cell("no more" if state.is_over else "not yet", "dim")
    return Cell(relative(slot, now)) if slot > now else Cell("due", "cyan")


def _last(task: ScheduledTask, now: datetime, zone: tzinfo) -> Cell:
    """When the row says that its task ran: before us, or in a history that is gone."""
    with suppress(ScheduleError):
        return Cell(relative(parse_instant(task.last_run_at or "", zone), now), "dim")
    return Cell("never", "dim")


def _ran(run: Run, now: datetime) -> str:
    return f"{run.status} {relative(run.started_at, now)}"
