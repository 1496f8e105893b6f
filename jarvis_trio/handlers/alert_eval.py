"""Evaluates the alert rules, and tells the person of those that match.

Other programs write the rules, and the assistant's own evaluator takes nearly anything. A
rule that it understands is understood here too; what had to be guessed is a warning in the
result, so that a person can write it properly.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, NamedTuple

from jarvis_trio.errors import DeliveryError, HandlerError, HandlerTimeoutError, ScheduleError
from jarvis_trio.models import AlertRule, HandlerContext, ScheduledTask
from jarvis_trio.notation.instants import parse_instant
from jarvis_trio.notation.text import counted, printable

QUIET_TIME = timedelta(hours=4)
"""How long a rule stays quiet after it triggered."""

# Two runs in slots four hours apart can start some milliseconds less than four hours apart.
_JITTER = timedelta(seconds=30)

# How often a run that waits for its turn looks whether its time is over.
_LOOK_SECONDS = 0.1

_BACKUP_FACT = ("work", "backup_last_success")
_LEADING_DATE = re.compile(r"\s*(\d{4}-\d{2}-\d{2})(?!\d)")

Notify = Callable[[str, str], object]
"""Shows the person a title and a text. Raises DeliveryError if it cannot."""


class AlertEval:
    """The handler `alert_eval`.

    Args:
        notify: shows the person an alert's title and text.
    """

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self._turn = threading.Lock()

    def __call__(self, task: ScheduledTask, context: HandlerContext) -> dict[str, Any]:
        """Evaluate every enabled rule; one that cannot be evaluated does not stop the others.

        Returns `rules`, how many there are; the names of those `triggered`, and of those that
        match but are `quiet`. With them, only if there are any: `undelivered`, names and why
        the person could not be told; `warnings`, names and what in the rule had to be guessed;
        `errors`, names and what is wrong with the rule. With errors the `status` is `error`,
        so that a person hears of it. Raises StoreError, and HandlerTimeoutError if its time is
        over before all rules are evaluated.
        """
        with self._in_turn(context):
            return self._evaluate_all(context)

    @contextmanager
    def _in_turn(self, context: HandlerContext) -> Iterator[None]:
        """Wait until no other run evaluates rules.

        Several tasks may have this handler, and after a night all of them are due at once. Each
        would find the same rules, not yet stamped, and tell the person of them. To stamp a rule
        before the person is told was rejected: a process that dies in between would tell nobody.
        """
        while not self._turn.acquire(timeout=_LOOK_SECONDS):
            if context.cancelled.is_set():
                raise HandlerTimeoutError("another task's run still evaluates the alert rules; the next run goes on")
        try:
            yield
        finally:
            self._turn.release()

    def _evaluate_all(self, context: HandlerContext) -> dict[str, Any]:
        report = _Report()
        rules = [_named(rule) for rule in context.store.assistant.enabled_alert_rules()]

        for number, rule in enumerate(rules):
            if context.cancelled.is_set():
                raise HandlerTimeoutError(
                    f"{number} of {counted(len(rules), 'alert rule')} evaluated; the next run goes on"
                )
            try:
                self._evaluate(rule, context, report)
            except (HandlerError, ScheduleError) as error:
                report.errors[rule.name] = str(error)

        return report.result(len(rules))

    def _evaluate(self, rule: AlertRule, context: HandlerContext, report: _Report) -> None:
        reading = read_rule(rule)
        if reading.warnings:
            report.warnings[rule.name] = "; ".join(reading.warnings)
        if reading.kind is None or not (found := reading.kind.matches(context, reading.limit)):
            return
        if _is_quiet(rule, context):
            report.quiet.append(rule.name)
            return

        report.triggered.append(rule.name)
        try:
            self._notify(f"Alert: {printable(rule.name)}", f"{found} {reading.alert_type} found")
        except DeliveryError as error:
            report.undelivered[rule.name] = str(error)
        # Stamped even if the message could not be delivered: the rule did trigger, and on a
        # machine without notifications it would be tried at every run. Stamped last: a process
        # that dies in between tells the person twice rather than never.
        context.store.assistant.stamp_alert_rule(rule.id, _naive_text(context.started_at, _machine_zone(context)))


def _named(rule: AlertRule) -> AlertRule:
    """The rule, called by its number if another program gave it no name."""
    return rule if rule.name else rule._replace(name=f"rule {rule.id}")


@dataclass
class _Report:
    """What came of the rules, by their names."""

    triggered: list[str] = field(default_factory=list)
    quiet: list[str] = field(default_factory=list)
    undelivered: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def result(self, rules: int) -> dict[str, Any]:
        result: dict[str, Any] = {"status": "ok", "rules": rules, "triggered": self.triggered, "quiet": self.quiet}
        if self.undelivered:
            result["undelivered"] = self.undelivered
        if self.warnings:
            result["warnings"] = self.warnings
        if self.errors:
            reasons = "; ".join(f"{name!r}: {reason}" for name, reason in self.errors.items())
            text = f"{len(self.errors)} of {counted(rules, 'alert rule')} cannot be evaluated: {reasons}"
            result |= {"status": "error", "error": text, "errors": self.errors}
        return result


class Reading(NamedTuple):
    """What a rule means.

    `alert_type` is its type as it is compared, `kind` None if nobody knows that type;
    `limit` is how old or how near counts. `warnings` name what had to be guessed.
    """

    alert_type: str
    kind: _Kind | None
    limit: timedelta
    warnings: tuple[str, ...]


def read_rule(rule: AlertRule) -> Reading:
    """Read a rule as leniently as the assistant's own evaluator does.

    Letter case and blanks around the type do not count. A condition that is not a JSON object
    sets nothing. A number may be a text, and a fraction is cut off. An unknown type matches
    nothing. Raises HandlerError if the number cannot be read even so.
    """
    alert_type = (rule.alert_type or "").strip().lower()  # NULL, if another program made the table
    kind = _KINDS.get(alert_type)
    if kind is None:
        known = ", ".join(_KINDS)
        unknown = f"unknown alert_type {rule.alert_type!r:.100} matches nothing; the types are {known}"
        return Reading(alert_type, None, timedelta(0), (unknown,))

    condition, warnings = _condition(rule.condition)
    if alert_type != rule.alert_type:
        warnings.append(f"alert_type {rule.alert_type!r:.100} is read as {alert_type}")
    value = condition.get(kind.key, kind.default)
    number = _whole_number(kind.key, value)
    if number != value or isinstance(value, bool):
        warnings.append(f"condition: {kind.key} {value!r:.100} is read as {number}")

    return Reading(alert_type, kind, kind.unit * number, tuple(warnings))


def _condition(text: str | None) -> tuple[dict[str, Any], list[str]]:
    """The condition, and a warning if there is one that says nothing."""
    if text is None or not text.strip():
        return {}, []
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value, []
    return {}, [f"condition {text[:80]!r} is not a JSON object, so the default counts"]


def _whole_number(key: str, value: object) -> int:
    """What `int()` makes of a value, within bounds that no date leaves. Raises HandlerError."""
    try:
        number = int(value)  # type: ignore[call-overload]  # what it does not take is the error below
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or abs(number) > _LARGEST:
        raise HandlerError(f"condition: {key} must be a whole number up to {_LARGEST}, not {value!r:.100}")
    return int(number)


_LARGEST = 100_000


def _is_quiet(rule: AlertRule, context: HandlerContext) -> bool:
    """Whether the rule triggered lately.

    A time far ahead does not count: it comes from before the clock was set back.
    """
    try:
        last = parse_instant(rule.last_triggered_at or "", _machine_zone(context))
    except ScheduleError:
        return False
    return abs(context.started_at - last) < QUIET_TIME - _JITTER


def _machine_zone(context: HandlerContext) -> tzinfo:
    """The zone of the stamps.

    The assistant's own evaluator reads and writes them too, and it does not know a task's zone.
    """
    zone: tzinfo = context.store.clock.zone()
    return zone


def _naive_text(instant: datetime, zone: tzinfo) -> str:
    """Local time without its offset.

    A stamp with an offset makes the assistant's own evaluator fail for that rule. The price: a rule
    that triggered in the hour that comes twice may be quiet for an hour less.
    """
    return instant.astimezone(zone).replace(tzinfo=None).isoformat()


def _count_overdue(context: HandlerContext, limit: timedelta) -> int:
    today = _today(context)
    return sum(
        due < today and due <= today - limit for due in _days(context, context.store.assistant.delegations_due())
    )


def _count_upcoming(context: HandlerContext, limit: timedelta) -> int:
    today = _today(context)
    return sum(today <= due <= today + limit for due in _days(context, context.store.assistant.delegations_due()))


def _count_stale_decisions(context: HandlerContext, limit: timedelta) -> int:
    latest = _today(context) - limit
    return sum(made < latest for made in _days(context, context.store.assistant.decisions_pending_since()))


def _count_stale_backup(context: HandlerContext, limit: timedelta) -> int:
    """1 if the last backup is older than `limit`, or if nobody can tell."""
    found = _LEADING_DATE.match(context.store.assistant.fact(*_BACKUP_FACT) or "")
    if found is None:
        return 1
    days = list(_instants(context, [found[1]]))
    return int(not days or context.started_at - days[0] > limit)


def _days(context: HandlerContext, texts: Iterable[str]) -> Iterator[date]:
    for instant in _instants(context, texts):
        yield instant.astimezone(context.zone).date()


def _today(context: HandlerContext) -> date:
    return context.started_at.astimezone(context.zone).date()


def _instants(context: HandlerContext, texts: Iterable[str]) -> Iterator[datetime]:
    """The times that can be read; the log tells of the others."""
    for text in texts:
        try:
            yield parse_instant(text, context.zone)
        except ScheduleError as error:
            context.logger.warning("Alert rules pass over %s", error)


class _Kind(NamedTuple):
    """An alert type: what it counts, and how a rule's condition names the limit, in units."""

    matches: Callable[[HandlerContext, timedelta], int]
    key: str
    default: int
    unit: timedelta


_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_KINDS: Mapping[str, _Kind] = {
    "overdue_delegation": _Kind(_count_overdue, "days_overdue", 1, _DAY),
    "pending_decision": _Kind(_count_stale_decisions, "days_stale", 7, _DAY),
    "stale_decision": _Kind(_count_stale_decisions, "days_stale", 7, _DAY),
    "upcoming_deadline": _Kind(_count_upcoming, "within_days", 3, _DAY),
    "stale_backup": _Kind(_count_stale_backup, "max_age_hours", 48, _HOUR),
}

RULE_TYPES: Mapping[str, tuple[str, int]] = {name: (kind.key, kind.default) for name, kind in _KINDS.items()}
"""Each type of rule, with the key of its condition and what that is by default."""
