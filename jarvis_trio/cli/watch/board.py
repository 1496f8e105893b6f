"""What the live screen shows, as values: read from the desk, drawn by the app. No Textual here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from jarvis_trio.desk import looks
from jarvis_trio.desk.looks import Status, TaskDetail
from jarvis_trio.desk.requests import RunsRequest
from jarvis_trio.desk.session import Session
from jarvis_trio.desk.words import run_summary, schedule_words
from jarvis_trio.insight.machines import why_it_waits
from jarvis_trio.insight.timeline import Timeline, timeline
from jarvis_trio.models import Run, RunStatus
from jarvis_trio.notation.text import printable
from jarvis_trio.schedules.schedule import stored_next_run

STRIP = 10
"""How many last outcomes of a task are shown."""

_OUTPUT_BYTES = 8_192
_OUTPUT_LINES = 30

_RECENT = 1_000
"""Runs that the strips are made of; a task that has none among them shows its last one alone."""

DAY = timedelta(hours=16)
"""How far the timeline looks back; it looks ahead a quarter of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A task on the screen.

    Attributes:
        schedule: in words.
        next_at: its next slot (aware UTC); None if it has none, is paused or set aside.
        running: its run that is under way.
        strip: its last outcomes, the oldest first.
        says: the most telling line of its last run, or the last line that it writes just now.
        enabled: whether it is scheduled; a task that is set aside is not.
        set_aside: why it was set aside.
        waits: why no machine runs it at present, if several share the database.
    """

    name: str
    schedule: str
    next_at: datetime | None
    running: Run | None
    strip: tuple[RunStatus, ...]
    says: str
    enabled: bool
    set_aside: str | None
    waits: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """All that the screen shows at `at` (aware UTC); times are told in `zone`."""

    at: datetime
    zone: tzinfo
    status: Status
    rows: tuple[Row, ...]
    day: Timeline


def read_board(session: Session) -> Board:
    """Read everything once. Raises JarvisError."""
    zone, runs, status = session.zone(), _last_runs(session), looks.status(session)
    rows = []
    for state in looks.tasks(session):
        task = state.task
        last = runs.get(task.name) or ([state.last] if state.last else [])
        running = next((run for run in last if run.status is RunStatus.RUNNING), None)
        shown = task.enabled and state.set_aside is None
        rows.append(
            Row(
                name=task.name,
                schedule=schedule_words(task, zone),
                next_at=stored_next_run(task, zone) if shown else None,
                running=running,
                strip=tuple(run.status for run in reversed(last)),
                says=_says(session, last[0], running) if last else "",
                enabled=task.enabled,
                set_aside=state.set_aside,
                waits=str((shown and why_it_waits(status.machines, task)) or ""),
            )
        )
    day = timeline(session.store, DAY, session.now())
    return Board(at=session.now(), zone=zone, status=status, rows=tuple(rows), day=day)


def read_detail(session: Session, name: str) -> TaskDetail:
    """One task with its next slots and its last runs. Raises UnknownTaskError."""
    return looks.task_detail(session, name)


def output_end(session: Session, run_id: int) -> str:
    """The last lines that a run wrote, cleaned of what would act on a terminal."""
    text = session.outputs.end(run_id, _OUTPUT_BYTES).decode(errors="replace")
    return "\n".join(printable(line) for line in text.splitlines()[-_OUTPUT_LINES:])


def _says(session: Session, last: Run, running: Run | None) -> str:
    if running is None:
        return printable(run_summary(last))
    return output_end(session, running.id).rpartition("\n")[2]


def matching(rows: Sequence[Row], text: str) -> list[Row]:
    """The rows whose name or schedule holds the text, in any case."""
    wanted = text.casefold()
    return [row for row in rows if wanted in row.name.casefold() or wanted in row.schedule.casefold()]


def countdown(duration: timedelta) -> str:
    """A duration in columns that do not jump: `4s`, `2m05s`, `3h10m`, `2d04h`."""
    seconds = round(abs(duration.total_seconds()))
    for unit, part, size in (("d", "h", 86_400), ("h", "m", 3_600), ("m", "s", 60)):
        if seconds >= size:
            smaller = {"h": 3_600, "m": 60, "s": 1}[part]
            return f"{seconds // size}{unit}{seconds % size // smaller:02}{part}"
    return f"{seconds}s"


def _last_runs(session: Session) -> dict[str, list[Run]]:
    """The last runs of each task, the newest first: one query, whatever the history holds."""
    recent = looks.runs(session, RunsRequest(limit=_RECENT))
    running = looks.runs(session, RunsRequest(status=RunStatus.RUNNING))

    by_task: dict[str, list[Run]] = defaultdict(list)
    for run in sorted({run.id: run for run in (*recent, *running)}.values(), key=lambda run: -run.id):
        if len(by_task[run.task_name]) < STRIP:
            by_task[run.task_name].append(run)
    return by_task
