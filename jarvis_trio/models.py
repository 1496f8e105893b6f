"""The frozen values that the modules hand each other."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, Self
from zoneinfo import available_timezones

from jarvis_trio.clock import Clock
from jarvis_trio.errors import ScheduleError
from jarvis_trio.notation.instants import duration_text, parse_duration, parse_zone
from jarvis_trio.notation.jsontext import json_object as json_object  # public: installed handlers take it from here
from jarvis_trio.notation.text import nearest


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
    REFUSED = "refused"
    NO_HANDLER = "no handler"
    HELD = "held"
    """A person wants it to wait until it is resumed."""


ASIDE = frozenset({TroubleKind.SET_ASIDE, TroubleKind.HELD})
"""In these troubles a task is out of the queue, and nothing of it fails."""

WAITING = frozenset({TroubleKind.REFUSED, TroubleKind.NO_HANDLER})
"""In these troubles a task stays due, and is not started before they are over."""

HELD_REASON = "held until it is resumed"


def aside_words(reason: str) -> str:
    """How people are told that a task is out of the queue, and why."""
    return reason if reason == HELD_REASON else f"set aside: {reason}"


class Trigger(StrEnum):
    """Who asked for a run: its schedule, or a person (`run-now`)."""

    SCHEDULE = "schedule"
    MANUAL = "manual"


NO_LIMIT_SECONDS = 10 * 366 * 86_400
"""Ten years, the longest duration of a policy. As a time limit it stands for none, so that versions
that know nothing of `none` read the row as well, and nothing has to add infinity to a time."""


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
    alert_channel: str | None = None
    alert_config: Mapping[str, Any] | None = None
    on: str | None = None

    def __post_init__(self) -> None:
        for option in POLICY_OPTIONS:
            option.kind.check(option.key, getattr(self, option.key))

    @classmethod
    def from_json(cls, text: str | None) -> Self:
        """The policy in the column's text; no text means all defaults.

        Keys that it does not know are left to whoever wrote them. Raises
        ScheduleError for text that is not a JSON object, or a value that is not allowed.
        """
        if text is None or not text.strip():
            return cls()
        values = json_object(text, "policy", ScheduleError)
        known = {f.name: values[f.name] for f in fields(cls) if values.get(f.name) is not None}
        if "on_interrupt" in known:
            known["on_interrupt"] = _on_interrupt(known["on_interrupt"])
        return cls(**known)

    def to_json(self) -> str | None:
        """The column's text: only what differs from the defaults; None if nothing does."""
        default = Policy()
        changed = {f.name: v for f in fields(self) if (v := getattr(self, f.name)) != getattr(default, f.name)}
        return json.dumps(changed) if changed else None


task_policy = lru_cache(maxsize=4096)(Policy.from_json)
"""`Policy.from_json`, remembered by its text."""


class PolicyKind(NamedTuple):
    """How the values of a policy option are written.

    `metavar` names one in a help text; `read` makes the stored value of what a person
    typed, or raises ScheduleError; `words` is its inverse; `check` is called with the key
    and the value of a row, and raises ScheduleError; `choices` are all values there are;
    `takes_none` says that `none` is such a value, and does not take back what was said.
    """

    metavar: str
    read: Callable[[str], Any]
    words: Callable[[Any], str]
    check: Callable[[str, Any], None]
    choices: tuple[str, ...] = ()
    takes_none: bool = False


class PolicyOption(NamedTuple):
    """What a task may say of its own runs: the name that people use, and the key in its row.

    The one table of these is `POLICY_OPTIONS`. From it follow the options of `add` and
    `edit`, what a policy is checked for, its words in `show`, and what `export` writes.
    """

    name: str
    key: str
    kind: PolicyKind
    help: str


def _read_seconds(text: str) -> float:
    """A duration in seconds: a whole number if it is one, since people read the row."""
    seconds = parse_duration(text).total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


def _check_seconds(name: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= NO_LIMIT_SECONDS:
        raise ScheduleError(f"policy: {name} must be a number of seconds greater than 0, at most ten years: {value!r}")


def _seconds_words(seconds: float) -> str:
    return duration_text(timedelta(seconds=seconds))


def _read_limit(text: str) -> float:
    """As `_read_seconds`, and `none` for no limit at all."""
    return NO_LIMIT_SECONDS if text == "none" else _read_seconds(text)


def _limit_words(seconds: float) -> str:
    return "none" if seconds >= NO_LIMIT_SECONDS else _seconds_words(seconds)


def _read_count(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ScheduleError(f"not a whole number: {text!r}", fix="write it in digits, such as 3") from None


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1000:
        raise ScheduleError(f"policy: {name} must be a whole number from 0 to 1000, not {value!r}")


def _read_zone(text: str) -> str:
    try:
        return parse_zone(text).key
    except ScheduleError:
        hint = nearest(text, sorted(available_timezones()))
        fix = f"{hint}use a name like Europe/Berlin or America/Denver"
        raise ScheduleError(f"unknown time zone: {text!r}", fix=fix) from None


def _check_zone(_: str, value: str | None) -> None:
    if value is not None:
        parse_zone(value)


def _check_on_interrupt(_: str, value: object) -> None:
    _on_interrupt(value)


def _check_channel(name: str, value: object) -> None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ScheduleError(f"policy: {name} must be the name of a channel, not {value!r}")


def _read_config(text: str) -> dict[str, Any]:
    return json_object(text, "alert_config", ScheduleError)


def _check_config(name: str, value: object) -> None:
    if value is not None and not isinstance(value, Mapping):
        raise ScheduleError(f"policy: {name} must be a JSON object, not {value!r}")


_CHANNEL = PolicyKind("CHANNEL", str, str, _check_channel)
_CONFIG = PolicyKind("JSON", _read_config, json.dumps, _check_config)
_ZONE = PolicyKind("ZONE", _read_zone, str, _check_zone)
_DURATION = PolicyKind("DURATION", _read_seconds, _seconds_words, _check_seconds)
_LIMIT = PolicyKind("DURATION|none", _read_limit, _limit_words, _check_seconds, takes_none=True)
_COUNT = PolicyKind("N", _read_count, str, _check_count)
_CHOICES = tuple(str(action) for action in OnInterrupt)
_INTERRUPT = PolicyKind("ACTION", lambda text: str(_on_interrupt(text)), str, _check_on_interrupt, _CHOICES)


def _check_machine(key: str, value: Any) -> None:
    if value is not None and not (isinstance(value, str) and re.fullmatch(r"[\w.-]{1,63}", value)):
        raise ScheduleError(f"policy: {key} must be the name of a machine, or any: {value!r:.80}")


ANYWHERE = "any"
"""The place of a task that any machine may run."""

_MACHINE = PolicyKind("MACHINE", str, str, _check_machine)

POLICY_OPTIONS = (
    PolicyOption("timezone", "timezone", _ZONE, "Read local times in this zone, such as Europe/Berlin."),
    PolicyOption(
        "timeout", "timeout_seconds", _LIMIT, "Stop a run after this long; none: never; default: as all others."
    ),
    PolicyOption("retries", "retries", _COUNT, "Try a failed run again up to N times."),
    PolicyOption(
        "retry_delay", "retry_delay_seconds", _DURATION, "Wait this long before the first retry, then twice as long."
    ),
    PolicyOption("grace", "misfire_grace_seconds", _DURATION, "Do not start a run that is later than this."),
    PolicyOption("on_interrupt", "on_interrupt", _INTERRUPT, "What to do if the process dies during a run."),
    PolicyOption("alert_after", "alert_after_seconds", _DURATION, "Alert if it has not succeeded for this long."),
    PolicyOption("alert", "alert_channel", _CHANNEL, "Tell this channel of its failures and recoveries."),
    PolicyOption("alert_config", "alert_config", _CONFIG, "That channel's configuration, a JSON object."),
    PolicyOption("on", "on", _MACHINE, "In a shared database: run on this machine or label, or on any."),
)
"""A new option is a field of `Policy`, and a line here."""


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
