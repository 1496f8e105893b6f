"""The frozen values that the modules hand each other."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache
from typing import Any, Self

from jarvis_trio.errors import ScheduleError
from jarvis_trio.instants import parse_zone
from jarvis_trio.jsontext import json_object as json_object  # public: installed handlers take it from here


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


class OnInterrupt(StrEnum):
    """What becomes of a slot whose run died with its process."""

    RETRY = "retry"
    SKIP = "skip"


class TroubleKind(StrEnum):
    """What can be wrong with a task: `task_troubles.kind`."""

    FAILING = "failing"
    MISSED = "missed"
    STALE = "stale"
    SET_ASIDE = "set aside"


class Trigger(StrEnum):
    """Who asked for a run: its schedule, or a person (`run-now`)."""

    SCHEDULE = "schedule"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a task says of its own runs: `scheduled_tasks.policy`, JSON text.

    All durations are in seconds. `None` means: the program's default
    (`timezone`: the machine's zone; `timeout_seconds`: the setting;
    `misfire_grace_seconds`, `alert_after_seconds`: no limit).
    """

    timezone: str | None = None
    timeout_seconds: float | None = None
    retries: int = 0
    retry_delay_seconds: float = 30.0
    misfire_grace_seconds: float | None = None
    on_interrupt: OnInterrupt = OnInterrupt.RETRY
    alert_after_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.timezone is not None:
            parse_zone(self.timezone)
        if isinstance(self.retries, bool) or not isinstance(self.retries, int) or not 0 <= self.retries <= 1000:
            raise ScheduleError(f"policy: retries must be a whole number from 0 to 1000, not {self.retries!r}")
        for name in ("timeout_seconds", "retry_delay_seconds", "misfire_grace_seconds", "alert_after_seconds"):
            _check_seconds(name, getattr(self, name))

    @classmethod
    def from_json(cls, text: str | None) -> Self:
        """The policy in the column's text; nothing there means all defaults.

        Keys that it does not know are left to whoever wrote them. Raises
        ScheduleError for text that is no JSON object, or a value not allowed.
        """
        if text is None or not text.strip():
            return cls()
        values = json_object(text, "policy", ScheduleError)
        known = {f.name: values[f.name] for f in fields(cls) if values.get(f.name) is not None}
        if "on_interrupt" in known:
            known["on_interrupt"] = _on_interrupt(known["on_interrupt"])
        return cls(**known)

    def to_json(self) -> str | None:
        """The column's text: only what differs from the defaults; None where nothing does."""
        default = Policy()
        changed = {f.name: v for f in fields(self) if (v := getattr(self, f.name)) != getattr(default, f.name)}
        return json.dumps(changed) if changed else None


task_policy = lru_cache(maxsize=4096)(Policy.from_json)
"""`Policy.from_json`, remembered by its text."""


def _check_seconds(name: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 10 * 366 * 86_400:
        raise ScheduleError(f"policy: {name} must be a number of seconds greater than 0, at most ten years: {value!r}")


def _on_interrupt(value: object) -> OnInterrupt:
    try:
        return OnInterrupt(str(value))
    except ValueError:
        raise ScheduleError(f"policy: on_interrupt must be retry or skip, not {value!r}") from None


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


def require_id(task: ScheduledTask) -> int:
    """The number of a task that came from the store, where every task has one."""
    assert task.id is not None, "the task is not stored"
    return task.id


@dataclass(frozen=True, slots=True)
class Due:
    """The head of the queue: a task, and which of its slots or retries is due.

    `changed` says that somebody changed the task, so that its slot must be read anew.
    `collapsed` counts the earlier slots that this one stands for. `running_since` is
    set while another run of the task is alive. Instants are aware UTC.
    """

    task: ScheduledTask
    attempt: int
    scheduled_for: datetime
    changed: bool
    collapsed: int
    running_since: datetime | None


@dataclass(frozen=True, slots=True)
class Run:
    """A row of `task_runs`: one attempt at one slot. Instants are aware UTC."""

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


@dataclass(frozen=True, slots=True)
class Claim:
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

    `lingers` says that the handler's thread is alive beyond its time limit.
    """

    status: RunStatus
    result: str | None = None
    reason: str | None = None
    lingers: bool = False

    @property
    def last_result(self) -> str | None:
        """What the task's row tells other programs, which expect JSON there."""
        if self.result is None and self.reason is not None:
            return json.dumps({"status": self.status, "error": self.reason})
        return self.result


@dataclass(frozen=True, slots=True)
class HandlerContext:
    """What a handler is told besides its task.

    `scheduled_for` is the slot's nominal time (aware UTC); `started_at` when this
    attempt began; `timeout` how long it may take; `zone` the zone in which the
    task's local times and dates are meant. `cancelled` is set when that
    time is over: a handler that looks at it can stop by itself, which is all that
    can be done, since a thread cannot be killed. `store` is the engine's
    `MemoryStore`, which stays open whatever the handler does (typed loosely, as a
    handler may be tested with any other).
    """

    store: Any
    scheduled_for: datetime
    attempt: int
    started_at: datetime
    timeout: timedelta
    logger: logging.Logger | logging.LoggerAdapter[logging.Logger]
    zone: tzinfo = UTC
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def deadline(self) -> datetime:
        """When the time limit is over (aware UTC)."""
        return self.started_at + self.timeout


HandlerResult = Mapping[str, Any] | str | None
Handler = Callable[[ScheduledTask, HandlerContext], HandlerResult]
