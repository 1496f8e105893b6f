"""Runs as a table."""

from __future__ import annotations

from datetime import datetime, tzinfo

from jarvis_trio.cli.output import STYLES, Cell, Column, Fit, print_table
from jarvis_trio.desk.names import short_name
from jarvis_trio.desk.words import run_summary
from jarvis_trio.models import Run
from jarvis_trio.notation.instants import time_between
from jarvis_trio.notation.text import relative, short_duration
from jarvis_trio.process.identity import owner_machine

_COLUMNS = (
    Column("RUN"),
    Column("TASK", Fit.FOLD),
    Column("SCHEDULED FOR", only_wide=True),
    Column("STARTED"),
    Column("STATUS"),
    Column("TOOK"),
    Column("WHAT CAME OF IT", Fit.CUT),
)
_MACHINE = Column("MACHINE")


def print_runs(runs: list[Run], now: datetime, zone: tzinfo) -> None:
    """Draw a table of runs; of several machines' runs, with the machine of each."""
    shared = any(owner_machine(run.owner) for run in runs)
    columns = (*_COLUMNS[:2], _MACHINE, *_COLUMNS[2:]) if shared else _COLUMNS
    print_table(columns, (_row(run, now, zone, shared) for run in runs))


def _row(run: Run, now: datetime, zone: tzinfo, shared: bool) -> list[Cell]:
    return [
        Cell(str(run.id), "dim"),
        Cell(short_name(run.task_name), "bold"),
        *([Cell(owner_machine(run.owner) or "")] if shared else []),
        Cell(f"{run.scheduled_for.astimezone(zone):%Y-%m-%d %H:%M:%S}"),
        Cell(relative(run.started_at, now)),
        Cell(run.status if run.attempt == 1 else f"{run.status} ({run.attempt})", STYLES[run.status]),
        Cell(took(run, now)),
        Cell(run_summary(run)),
    ]


def took(run: Run, now: datetime) -> str:
    """How long a run took, or has taken until now; `?` if the clock was set back meanwhile."""
    duration = time_between(run.started_at, run.finished_at or now)
    if duration is None:
        return "?"
    milliseconds = round(duration.total_seconds() * 1000)
    return f"{milliseconds} ms" if milliseconds < 1000 else short_duration(duration)
