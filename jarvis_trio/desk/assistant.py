"""What people do with the assistant's own tables: alert rules, and the events of webhooks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jarvis_trio.desk.names import checked_name, composed
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import TaskError, UnknownTaskError
from jarvis_trio.notation.instants import local_text
from jarvis_trio.notation.jsontext import json_value
from jarvis_trio.notation.text import nearest
from jarvis_trio.store.assistant import EventRow, RuleRow

PENDING, PROCESSED, FAILED = EVENT_STATUSES = ("pending", "processed", "failed")


def rules(session: Session) -> list[RuleRow]:
    """All alert rules by name."""
    return session.store.assistant.alert_rules()


def rule(session: Session, name: str) -> RuleRow:
    """The rule with that name. Raises UnknownTaskError."""
    found = {row.name: row for row in rules(session)}
    name = name if name in found else composed(name)
    if name not in found:
        hint = nearest(name, list(found))
        raise UnknownTaskError(f"no rule is named {name!r}", fix=f"{hint}`jarvis-trio rules list` shows the names")
    return found[name]


def add_rule(
    session: Session, name: str, kind: str, condition: Mapping[str, Any] | None, description: str | None
) -> RuleRow:
    """Add a rule that the task `alert_eval` evaluates.

    Args:
        kind: what it looks for, one of `alert_eval.RULE_TYPES`.
        condition: its limit, such as `{"days_overdue": 2}`; None takes the usual one.

    Raises TaskError for a kind, a condition or a name that means nothing, or a name that is taken.
    """
    from jarvis_trio.handlers.alert_eval import RULE_TYPES  # noqa: PLC0415  # as `Session.handlers`

    name = checked_name(name, "a rule")
    if kind not in RULE_TYPES:
        raise TaskError(f"unknown type of rule {kind!r}", fix=f"the types are {', '.join(RULE_TYPES)}")
    key, default = RULE_TYPES[kind]
    wanted = dict(condition or {key: default})
    if set(wanted) != {key} or isinstance(wanted[key], bool) or not isinstance(wanted[key], int | float):
        raise TaskError(f"a rule of type {kind} has one number, {key}", fix=f'write it like {{"{key}": {default}}}')
    if any(row.name == name for row in rules(session)):
        raise TaskError(f"a rule named {name!r} exists", fix="choose another name, or remove that one")

    session.store.assistant.add_alert_rule(name, kind, json.dumps(wanted), description, _now(session))
    return rule(session, name)


def enable_rule(session: Session, name: str, enabled: bool) -> RuleRow:
    """Have a rule evaluated again, or no longer. Raises UnknownTaskError."""
    session.store.assistant.enable_alert_rule(rule(session, name).id, enabled)
    return rule(session, name)


def remove_rule(session: Session, name: str) -> None:
    """Remove a rule. Raises UnknownTaskError."""
    session.store.assistant.delete_alert_rule(rule(session, name).id)


def events(session: Session, status: str | None = None, limit: int | None = None) -> list[EventRow]:
    """The events of webhooks, or those with a status, the newest first."""
    return session.store.assistant.webhook_events(status, -1 if limit is None else limit)


def event(session: Session, number: int) -> EventRow:
    """One event. Raises UnknownTaskError."""
    found = session.store.assistant.webhook_event(number)
    if found is None:
        raise UnknownTaskError(f"no event has the number {number}", fix="see: jarvis-trio events list")
    return found


def add_event(session: Session, source: str, kind: str, payload: Mapping[str, Any]) -> EventRow:
    """Add a pending event, as a file in the inbox would.

    Raises TaskError if it has no source or no type.
    """
    if not (source.strip() and kind.strip()):
        raise TaskError("an event has a source and a type", fix="give both, such as: github push")
    return event(session, session.store.assistant.add_webhook_event(source, kind, json.dumps(payload), _now(session)))


def set_events(session: Session, numbers: Sequence[int], status: str) -> list[EventRow]:
    """Note how events stand, one of `EVENT_STATUSES`: all of them or none.

    Raises UnknownTaskError.
    """
    processed_at = None if status == PENDING else _now(session)
    with session.store.transaction():
        for number in numbers:
            event(session, number)
            session.store.assistant.set_webhook_event(number, status, processed_at)
    return [event(session, number) for number in numbers]


def remove_events(session: Session, numbers: Iterable[int]) -> None:
    """Remove events: all of them or none. Raises UnknownTaskError."""
    with session.store.transaction():
        for number in dict.fromkeys(numbers):
            event(session, number)
            session.store.assistant.delete_webhook_event(number)


def rule_view(row: RuleRow) -> dict[str, Any]:
    """A rule for `--json`; its condition is what its JSON means."""
    return row._asdict() | {"condition": json_value(row.condition)}


def event_view(row: EventRow) -> dict[str, Any]:
    """An event for `--json`; its payload is what its JSON means."""
    return row._asdict() | {"payload": json_value(row.payload)}


def _now(session: Session) -> str:
    return local_text(session.now(), session.zone())
