"""What happens to an assistant's tasks when this daemon takes over. Reads, never writes.

The first tick of a daemon on a file that is two weeks old runs whatever is overdue, and mails
'not approved' for each command. So a person sees it before.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jarvis_trio.errors import HandlerError, ScheduleError
from jarvis_trio.handlers.commands import command_words
from jarvis_trio.insight.forecast import queued_slot
from jarvis_trio.models import ScheduledTask, require_id
from jarvis_trio.moving.readings import CheckDelivery, Reading, delivery_readings, rule_readings, task_readings
from jarvis_trio.schedules.schedule import task_schedule
from jarvis_trio.store import MemoryStore

ADOPTED = "adopted"
"""The note in the database that a person has seen the survey and gone on."""

Refusal = Callable[[ScheduledTask], str | None]
"""Why a task's command may not run, or None if it may."""


@dataclass(frozen=True, slots=True)
class AtOnce:
    """A task that runs at the first tick, since its slot at `due` (aware UTC) has passed."""

    task: str
    due: datetime


@dataclass(frozen=True, slots=True)
class Unapproved:
    """A task whose command a person has to approve first."""

    task: str
    command: str
    reason: str


@dataclass(frozen=True, slots=True)
class Orphaned:
    """A task of a type that nobody here has."""

    task: str
    handler_type: str


@dataclass(frozen=True, slots=True)
class OldAgent:
    """One of the agents that ours replaces.

    `runs` is its command line. `keeps` says what becomes of its work, `cannot_start` why it could
    not start even now; both may be empty.
    """

    label: str
    loaded: bool
    runs: str
    keeps: str
    cannot_start: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a person should know before the daemon takes over.

    Attributes:
        database: the file.
        tasks: how many of its tasks are enabled.
        adopted: whether a person has seen this before and gone on.
        at_once: what runs at the first tick.
        held: the tasks that wait until a person resumes them.
        needs_approval: commands that do not run until a person approves them.
        nobody_has: tasks that cannot run, since nobody has a handler of their type.
        readings: what is read otherwise than the assistant reads it, or had to be guessed.
    """

    database: Path
    tasks: int
    adopted: bool
    at_once: tuple[AtOnce, ...]
    held: tuple[str, ...]
    needs_approval: tuple[Unapproved, ...]
    nobody_has: tuple[Orphaned, ...]
    readings: tuple[Reading, ...]

    @property
    def would_surprise(self) -> int:
        """How many things would go otherwise than a person expects."""
        return len(self.at_once) + len(self.needs_approval) + len(self.nobody_has)


def survey(
    store: MemoryStore,
    *,
    handlers: Container[str],
    refusal: Refusal,
    check_delivery: CheckDelivery,
    now: datetime,
    folder: Path | None,
) -> Survey:
    """Look at all tasks and alert rules.

    Args:
        store: the assistant's database, opened to be read.
        handlers: the types that can be run here.
        refusal: why a task's command may not run.
        check_delivery: whether a channel takes a task's configuration.
        now: aware UTC.
        folder: the application's, where its commands found their relative paths.
    """
    held = store.troubles.held_tasks()
    enabled = [task for task in store.list_scheduled_tasks() if task.enabled]
    free = [task for task in enabled if require_id(task) not in held]
    coming = {task.name: slot for task in free if (slot := _next_slot(store, task, now)) is not None}
    waiting = [task for task in free if task.name in coming]  # not what ran once and has
    known = [task for task in waiting if task.handler_type in handlers]
    return Survey(
        database=store.path,
        tasks=len(enabled),
        adopted=is_adopted(store),
        at_once=tuple(AtOnce(task.name, coming[task.name]) for task in known if coming[task.name] <= now),
        held=tuple(task.name for task in enabled if require_id(task) in held),
        needs_approval=tuple(_unapproved(known, refusal)),
        nobody_has=tuple(Orphaned(task.name, task.handler_type) for task in waiting if task not in known),
        readings=(
            *task_readings(enabled, store.clock.zone(), folder),
            *delivery_readings(waiting, check_delivery),
            *rule_readings(store, now),
        ),
    )


def is_adopted(store: MemoryStore) -> bool:
    """Whether a person has gone on with this file, or a daemon of ours has worked on it."""
    return store.notes.note(ADOPTED) is not None or store.runs.last_started_at() is not None


def _next_slot(store: MemoryStore, task: ScheduledTask, now: datetime) -> datetime | None:
    """The slot that the daemon will queue; None without one, or if the schedule cannot be read."""
    try:
        return queued_slot(store, task, task_schedule(task, store.clock.zone()), now)
    except ScheduleError:
        return None  # it is set aside; the readings say so


def _unapproved(tasks: list[ScheduledTask], refusal: Refusal) -> Iterator[Unapproved]:
    for task in tasks:
        if not task.runs_command or (reason := refusal(task)) is None:
            continue
        with suppress(HandlerError):  # a command that nobody can read cannot be approved; the readings say so
            yield Unapproved(task.name, shlex.join(command_words(task)), reason)
