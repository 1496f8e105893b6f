"""The frozen values that the modules hand each other, and what a handler meets."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from jarvis_trio.clock import Clock

# Public: installed handlers take these from here.
from jarvis_trio.notation.jsontext import json_object as json_object
from jarvis_trio.policy import OnInterrupt as OnInterrupt
from jarvis_trio.policy import Policy as Policy


class ScheduleType(StrEnum):
    """How a task's slots are told: `scheduled_tasks.schedule_type`."""

    INTERVAL = "interval"
    CRON = "cron"
    ONCE = "once"


class RunStatus(StrEnum):
    """How a run stands, or how it ended: `task_runs.status`."""

    RUNNING = "running"
    EXECUTED = "executed"
    ERROR = "error"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"
    MISSED = "missed"
    SKIPPED = "skipped"


FAILED = (RunStatus.ERROR, RunStatus.TIMEOUT)
"""It ran, and what it was to do is not done."""

UNRUN = (RunStatus.MISSED, RunStatus.SKIPPED)
"""It came due, and did not run."""


class TroubleKind(StrEnum):
    """What can be wrong with a task: `task_troubles.kind`."""

    FAILING = "failing"
    MISSED = "missed"
    STALE = "stale"
    SET_ASIDE = "set aside"
    REFUSED = "refused"
    NO_HANDLER = "no handler"
    HELD = "held"
    """A person wants it to wait until it is resumed."""


ASIDE = frozenset({TroubleKind.SET_ASIDE, TroubleKind.HELD})
"""In these troubles a task is out of the queue, and nothing of it fails."""

WAITING = frozenset({TroubleKind.REFUSED, TroubleKind.NO_HANDLER})
"""In these troubles a task stays due, and is not started before they are over."""

HELD_REASON = "held until it is resumed"


def is_held(reason: str) -> bool:
    """Whether a task is out of the queue because a person wants it to wait, by the reason told."""
    return reason == HELD_REASON


def aside_words(reason: str) -> str:
    """How people are told that a task is out of the queue, and why."""
    return reason if is_held(reason) else f"set aside: {reason}"


class Trigger(StrEnum):
    """Who asked for a run: its schedule, or a person (`run-now`)."""

    SCHEDULE = "schedule"
    MANUAL = "manual"


COMMAND_TYPE = "custom"
"""The handler type of a task that runs a command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledTask:
    """A row of `scheduled_tasks`, each column as the table holds it.

    Times are the row's own ISO text; naive text, as other programs write it, is
    local time. The configurations are JSON text.
    """

    name: str
    schedule_type: str
    schedule_config: str
    handler_type: str
    handler_config: str | None = None
    description: str | None = None
    enabled: bool = True
    last_run_at: str | None = None
    next_run_at: str | None = None
    last_result: str | None = None
    delivery_channel: str | None = None
    delivery_config: str | None = None
    policy: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    id: int | None = None

    @property
    def runs_command(self) -> bool:
        """Whether it runs a command, which a person has to approve."""
        return self.handler_type == COMMAND_TYPE


def require_id(task: ScheduledTask) -> int:
    """The number of a task that came from the store: every task there has one."""
    assert task.id is not None, "the task is not stored"
    return task.id


class Due(NamedTuple):
    """The head of the queue: a task, and which of its slots or retries is due.

    `changed` says that somebody changed the task, so that its row must be read again.
    `due_at` is when it is due: for a slot its nominal time, for a retry some time later.
    `origin` is the instant from which its schedule leads to the slot, None if it was put there by
    hand.
    `collapsed` counts the earlier slots that this one stands for. `running_since` is
    set while another run of the task is alive. Instants are aware UTC.
    """

    task: ScheduledTask
    attempt: int
    scheduled_for: datetime
    changed: bool
    collapsed: int
    running_since: datetime | None
    due_at: datetime
    origin: datetime | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A row of `task_runs`: an attempt at a slot, by process `owner`. Instants are aware UTC.

    If machines share the database, `place` is the machine or label on which it was to run, None for
    any; it stays as it was when the attempt began.
    """

    id: int
    task_id: int
    task_name: str
    scheduled_for: datetime
    attempt: int
    started_at: datetime
    status: RunStatus
    finished_at: datetime | None = None
    reason: str | None = None
    result: str | None = None
    trigger: Trigger = Trigger.SCHEDULE
    collapsed: int = 0
    delivery: str | None = None
    owner: str | None = None
    place: str | None = None


class Claim(NamedTuple):
    """An attempt that this process, and no other, has to run (law 2)."""

    run_id: int
    task: ScheduledTask
    scheduled_for: datetime
    attempt: int
    started_at: datetime
    trigger: Trigger = Trigger.SCHEDULE


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended: what the handler gave back, or why it gave nothing.

    `lingers` says that the handler's thread is alive beyond its time limit. `subscribe` then
    takes a callback, and calls it when that thread has ended. `cut_off` says that it was ended
    because its machine had lost the database that it shares, so that the slot runs again.
    """

    status: RunStatus
    result: str | None = None
    reason: str | None = None
    lingers: bool = False
    cut_off: bool = False
    subscribe: Callable[[Callable[[], None]], None] | None = field(default=None, compare=False, repr=False)

    def when_over(self, release: Callable[[], None]) -> None:
        """Have `release` called when nothing of the attempt is alive: now, unless it lingers."""
        if self.subscribe is None:
            release()
        else:
            self.subscribe(release)

    @property
    def last_result(self) -> str | None:
        """What the task's row tells other programs, which expect JSON there."""
        if self.result is None and self.reason is not None:
            return json.dumps({"status": self.status, "error": self.reason})
        return self.result


class WebhookEvent(NamedTuple):
    """What a file of the inbox says.

    `file` tells that very file from all others; `payload` is JSON text.
    """

    file: bytes
    source: str
    event_type: str
    payload: str


class AlertRule(NamedTuple):
    """A row of `alert_rules`, as the table holds it: `condition` should be JSON, the time
    ISO text.
    """

    id: int
    name: str
    alert_type: str
    condition: str | None
    last_triggered_at: str | None


class HandlerNotes(Protocol):
    """Texts that handlers remember, by key."""

    def note(self, key: str) -> str | None:
        """The text that was remembered under `key`, or None."""

    def remember(self, key: str, value: str) -> None:
        """Keep a text under `key`."""


class AssistantRows(Protocol):
    """What handlers read and write of the assistant's own tables."""

    def add_webhook_events(
        self, inbox: bytes, events: Iterable[WebhookEvent], at_hand: Set[bytes], received_at: str
    ) -> int:
        """Add the events whose file was not taken in before; returns how many were new."""

    def enabled_alert_rules(self) -> list[AlertRule]:
        """Every enabled rule."""

    def stamp_alert_rule(self, rule_id: int, triggered_at: str) -> None:
        """Note when a rule triggered."""

    def delegations_due(self) -> list[str]:
        """The due dates of all active delegations."""

    def decisions_pending_since(self) -> list[str]:
        """When each decision that awaits its execution was made."""

    def fact(self, category: str, key: str) -> str | None:
        """The value of a fact, or None."""


class HandlerStore(Protocol):
    """What a handler may ask of the database, which stays open whatever the handler does.

    Statements take `?` for each value. What they return is told at `MemoryStore`.
    """

    @property
    def clock(self) -> Clock:
        """What the time is."""

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> Sequence[Any]:
        """All rows of a query."""

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The first column of a query's first row; None if there is none."""

    def write(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Execute one statement, in the open transaction or in one of its own."""

    def transaction(self) -> AbstractContextManager[None]:
        """All of what is written inside, or nothing of it."""

    def get_scheduled_task_by_name(self, name: str) -> ScheduledTask | None:
        """The task with that name, or None."""

    @property
    def notes(self) -> HandlerNotes:
        """Texts to remember from one run to the next."""

    @property
    def assistant(self) -> AssistantRows:
        """The assistant's own rows."""


@dataclass(frozen=True, slots=True)
class HandlerContext:
    """What a handler is told besides its task.

    `scheduled_for` is the slot's nominal time (aware UTC); `started_at` when this
    attempt began; `timeout` how long it may take; `zone` the zone in which the
    task's local times and dates are meant. `cancelled` is set when that
    time is over or a person stops the run: a handler that looks at it can end by itself,
    which is all that can be done, since a thread cannot be killed. `store` is the engine's
    database, which stays open whatever the handler does. `run_id` is the number of the
    run, under which its output is kept; None if it has none, as in a test. What the
    handler started and could not end goes into `lingering`, as a call that returns when
    it is over: until then the task does not start again.
    """

    store: HandlerStore
    scheduled_for: datetime
    attempt: int
    started_at: datetime
    timeout: timedelta
    logger: logging.Logger | logging.LoggerAdapter[logging.Logger]
    zone: tzinfo = UTC
    cancelled: threading.Event = field(default_factory=threading.Event)
    run_id: int | None = None
    lingering: list[Callable[[], object]] = field(default_factory=list)

    @property
    def deadline(self) -> datetime:
        """When the time limit is over (aware UTC)."""
        return self.started_at + self.timeout


HandlerResult = Mapping[str, Any] | str | None
Handler = Callable[[ScheduledTask, HandlerContext], HandlerResult]
