"""`jarvis-trio history`."""

from __future__ import annotations

from datetime import datetime, tzinfo

import click

from jarvis_trio.cli.output import STYLES, Cell, Column, Fit, json_option, print_json, print_table, say
from jarvis_trio.cli.session import complete_task, pass_looking_session
from jarvis_trio.desk import looks, views
from jarvis_trio.desk.names import short_name
from jarvis_trio.desk.requests import RunsRequest
from jarvis_trio.desk.session import Session
from jarvis_trio.desk.words import run_summary
from jarvis_trio.models import Run, RunStatus
from jarvis_trio.notation.text import relative, short_duration

_SCREEN = 20
_COLUMNS = (
    Column("RUN"),
    Column("TASK", Fit.FOLD),
    Column("SCHEDULED FOR", only_wide=True),
    Column("STARTED"),
    Column("STATUS"),
    Column("TOOK"),
    Column("WHAT CAME OF IT", Fit.CUT),
)


@click.command()
@click.argument("name", required=False, shell_complete=complete_task)
@click.option("--task", metavar="NAME", shell_complete=complete_task, help="Only this task; the same as NAME.")
@click.option("--status", type=click.Choice([str(status) for status in RunStatus]), help="Only runs with this status.")
@click.option("--since", metavar="TIME", help="Only runs that started since: 2h (ago), yesterday, 2026-12-01.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=1),
    help=f"Show at most N runs; by default {_SCREEN}, with --json all.",
)
@json_option
@pass_looking_session
def history(
    session: Session,
    /,
    name: str | None,
    task: str | None,
    status: str | None,
    since: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """List the runs, the newest first.

    \b
    Example:
      jarvis-trio history
      jarvis-trio history backup --status error --since 7d
    """
    if name and task and name != task:
        raise click.UsageError("NAME and --task name different tasks; give one of them")
    limit = limit or (None if as_json else _SCREEN)
    runs = looks.runs(session, RunsRequest(task=name or task, status=status, since=since, limit=limit))
    if as_json:
        print_json([views.run_view(run, session.zone()) for run in runs])
    elif runs:
        print_runs(runs, session.now(), session.zone())
    else:
        say("There are no such runs.")


def print_runs(runs: list[Run], now: datetime, zone: tzinfo) -> None:
    """Draw a table of runs."""
    print_table(_COLUMNS, (_row(run, now, zone) for run in runs))


def _row(run: Run, now: datetime, zone: tzinfo) -> list[Cell]:
    return [
        Cell(str(run.id), "dim"),
        Cell(short_name(run.task_name), "bold"),
        Cell(f"{run.scheduled_for.astimezone(zone):%Y-%m-%d %H:%M:%S}"),
        Cell(relative(run.started_at, now)),
        Cell(run.status if run.attempt == 1 else f"{run.status} ({run.attempt})", STYLES[run.status]),
        Cell(took(run, now)),
        Cell(run_summary(run)),
    ]


def took(run: Run, now: datetime) -> str:
    """How long a run took, or has taken until now."""
    duration = (run.finished_at or now) - run.started_at
    milliseconds = round(duration.total_seconds() * 1000)
    return f"{milliseconds} ms" if milliseconds < 1000 else short_duration(duration)
