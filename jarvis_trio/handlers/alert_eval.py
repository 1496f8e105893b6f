"""Evaluates the alert rules, and tells the person of those that match."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from jarvis_trio.errors import DeliveryError, HandlerError, HandlerTimeoutError, ScheduleError
from jarvis_trio.instants import local_text, parse_instant
from jarvis_trio.models import HandlerContext, ScheduledTask, json_object
from jarvis_trio.store.assistant import AlertRule
from jarvis_trio.text import printable

QUIET_TIME = timedelta(hours=4)
"""A rule that triggered stays quiet for so long."""

# A run that starts some milliseconds earlier in its slot than the one four hours before is not within four hours of it.
_JITTER = timedelta(seconds=30)

_BACKUP_FACT = ("work", "backup_last_success")
_BACKUP_DATE = re.compile(r"(\d{4}-\d{2}-\d{2}):")

Notify = Callable[[str, str], object]
"""Shows the person a title and a text. Raises DeliveryError where it cannot."""


class AlertEval:
    """The handler `alert_eval`.

    Args:
        notify: shows the person a title and a text.
    """

    def __init__(self, notify: Notify) -> None:
        self._notify = notify

    def __call__(self, task: ScheduledTask, context: HandlerContext) -> dict[str, Any]:
        """Evaluate every enabled rule; one that cannot be evaluated does not stop the others.

        Returns `rules`, how many there are; the names of those `triggered`, and of those that
        match but are `quiet`; `undelivered`, names and why the person could not be told; and
        `errors`, names and what is wrong with the rule: where there are any, `status` is
        `error`, so that a person hears of it. Raises StoreError, and HandlerTimeoutError
        where its time is over before all rules are evaluated.
        """
        report = _Report()
        rules = [_named(rule) for rule in context.store.enabled_alert_rules()]
        for number, rule in enumerate(rules):
            if context.cancelled.is_set():
                raise HandlerTimeoutError(f"{number} of {len(rules)} alert rules evaluated; the next run goes on")
            try:
                self._evaluate(rule, context, report)
            except (HandlerError, ScheduleError) as error:
                report.errors[rule.name] = str(error)
        return report.result(len(rules))

    def _evaluate(self, rule: AlertRule, context: HandlerContext, report: _Report) -> None:
        kind = _KINDS.get(rule.alert_type)
        if kind is None:
            raise HandlerError(f"unknown alert_type {rule.alert_type!r:.100}; the types are {', '.join(_KINDS)}")
        found = kind.matches(context, kind.limit(rule.condition))
        if not found:
            return
        if _is_quiet(rule, context):
            report.quiet.append(rule.name)
            return
        report.triggered.append(rule.name)
        try:
            self._notify(f"Alert: {printable(rule.name)}", f"{found} {rule.alert_type} found")
        except DeliveryError as error:
            report.undelivered[rule.name] = str(error)
        # Also where it could not be delivered: the rule did trigger, and where there are no
        # notifications at all it would else be tried at every run. And only now: dying
        # in between, the person is told twice and not never.
        context.store.stamp_alert_rule(rule.id, local_text(context.started_at, context.zone))


def _named(rule: AlertRule) -> AlertRule:
    """The rule; by its number where another program left it without a name."""
    return rule if rule.name else replace(rule, name=f"rule {rule.id}")


class _Report:
    def __init__(self) -> None:
        self.triggered: list[str] = []
        self.quiet: list[str] = []
        self.undelivered: dict[str, str] = {}
        self.errors: dict[str, str] = {}

    def result(self, rules: int) -> dict[str, Any]:
        result: dict[str, Any] = {"status": "ok", "rules": rules, "triggered": self.triggered, "quiet": self.quiet}
        if self.undelivered:
            result["undelivered"] = self.undelivered
        if self.errors:
            reasons = "; ".join(f"{name!r}: {reason}" for name, reason in self.errors.items())
            text = f"{len(self.errors)} of {rules} alert rules cannot be evaluated: {reasons}"
            result |= {"status": "error", "error": text, "errors": self.errors}
        return result


def _is_quiet(rule: AlertRule, context: HandlerContext) -> bool:
    """Whether the rule triggered lately; a time far ahead, left by a clock since set back, is no such time."""
    try:
        last = parse_instant(rule.last_triggered_at or "", context.zone)
    except ScheduleError:
        return False
    return abs(context.started_at - last) < QUIET_TIME - _JITTER


def _count_overdue(context: HandlerContext, limit: timedelta) -> int:
    latest = _today(context) - limit
    return sum(due <= latest for due in _due_dates(context))


def _count_upcoming(context: HandlerContext, limit: timedelta) -> int:
    today = _today(context)
    return sum(today <= due <= today + limit for due in _due_dates(context))


def _count_stale_decisions(context: HandlerContext, limit: timedelta) -> int:
    earliest = context.started_at - limit
    return sum(made < earliest for made in _instants(context, context.store.decisions_pending_since()))


def _count_stale_backup(context: HandlerContext, limit: timedelta) -> int:
    """1 where the last backup is older than `limit`, or where it cannot be told."""
    found = _BACKUP_DATE.match(context.store.fact(*_BACKUP_FACT) or "")
    if found is None:
        return 1
    days = list(_instants(context, [found[1]]))
    return int(not days or context.started_at - days[0] > limit)


def _due_dates(context: HandlerContext) -> Iterator[date]:
    for instant in _instants(context, context.store.delegations_due()):
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
    """An alert type: what it counts up to a limit, and how a rule's condition names that limit, in units."""

    matches: Callable[[HandlerContext, timedelta], int]
    key: str
    default: int
    unit: timedelta

    def limit(self, condition: str | None) -> timedelta:
        """The limit that a rule's condition sets. Raises ScheduleError, HandlerError."""
        value = json_object(condition, "condition").get(self.key, self.default)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value <= 100_000:
            raise HandlerError(f"condition: {self.key} must be a number from 0 to 100000, not {value!r:.100}")
        return self.unit * float(value)


_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_KINDS: Mapping[str, _Kind] = {
    "overdue_delegation": _Kind(_count_overdue, "days_overdue", 1, _DAY),
    "pending_decision": _Kind(_count_stale_decisions, "days_stale", 7, _DAY),
    "stale_decision": _Kind(_count_stale_decisions, "days_stale", 7, _DAY),
    "upcoming_deadline": _Kind(_count_upcoming, "within_days", 3, _DAY),
    "stale_backup": _Kind(_count_stale_backup, "max_age_hours", 48, _HOUR),
}
