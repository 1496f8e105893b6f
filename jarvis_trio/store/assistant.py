"""The assistant's other tables: webhook events, alert rules, and what those rules look at."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import NamedTuple

from jarvis_trio.models import AlertRule, WebhookEvent
from jarvis_trio.store.database import Database


class RuleRow(NamedTuple):
    """A row of `alert_rules`, whole, as people see it. Texts are what the row holds."""

    id: int
    name: str
    description: str | None
    alert_type: str
    condition: str | None
    enabled: bool
    last_triggered_at: str | None
    created_at: str | None


class EventRow(NamedTuple):
    """A row of `webhook_events`. Texts are what the row holds."""

    id: int
    source: str
    event_type: str
    payload: str | None
    status: str
    received_at: str | None
    processed_at: str | None


_RULE = ", ".join(
    "enabled" if name == "enabled" else f"CAST({name} AS TEXT) AS {name}" for name in RuleRow._fields if name != "id"
)
_EVENT = ", ".join(f"CAST({name} AS TEXT) AS {name}" for name in EventRow._fields if name != "id")
# CAST, since a column takes a value of any type from another program.


class AssistantTables:
    """`webhook_events`, `alert_rules`, `delegations`, `decisions` and `facts`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_webhook_events(
        self, inbox: bytes, events: Iterable[WebhookEvent], at_hand: Set[bytes], received_at: str
    ) -> int:
        """Add the events whose file was not taken in before, and remember their files.

        Args:
            inbox: the folder that the files come from.
            events: what they say.
            at_hand: every file that is still to be moved away; others are forgotten.
            received_at: local ISO text with its offset.

        Returns how many events were new. Raises StoreError; then none was added.
        """
        with self._database.transaction():
            known = {
                row["file"] for row in self._database.read("SELECT file FROM webhook_files WHERE inbox = ?", (inbox,))
            }
            new = [event for event in events if event.file not in known]
            self._database.write_many(
                "INSERT INTO webhook_events (source, event_type, payload, status, received_at)"
                " VALUES (?, ?, ?, 'pending', ?)",
                ((event.source, event.event_type, event.payload, received_at) for event in new),
            )
            self._database.write_many("INSERT INTO webhook_files VALUES (?, ?)", ((inbox, event.file) for event in new))
            self._database.write_many(
                "DELETE FROM webhook_files WHERE inbox = ? AND file = ?", ((inbox, file) for file in known - at_hand)
            )
        return len(new)

    def enabled_alert_rules(self) -> list[AlertRule]:
        """Every enabled rule, in the order in which they were made. Raises StoreError."""
        rows = self._database.read(
            # CAST, since a column takes a value of any type from another program.
            "SELECT id, CAST(name AS TEXT) AS name, CAST(alert_type AS TEXT) AS alert_type,"
            " CAST(condition AS TEXT) AS condition, CAST(last_triggered_at AS TEXT) AS last_triggered_at"
            " FROM alert_rules WHERE enabled = 1 ORDER BY id"
        )
        return [AlertRule(**dict(row)) for row in rows]

    def stamp_alert_rule(self, rule_id: int, triggered_at: str) -> None:
        """Note when a rule triggered, as local ISO text with its offset. Raises StoreError."""
        self._database.write("UPDATE alert_rules SET last_triggered_at = ? WHERE id = ?", (triggered_at, rule_id))

    def delegations_due(self) -> list[str]:
        """The due dates of all active delegations that have one, as they are. Raises StoreError."""
        return self._texts("SELECT CAST(due_date AS TEXT) FROM delegations WHERE status = 'active' AND due_date <> ''")

    def decisions_pending_since(self) -> list[str]:
        """When each decision that awaits its execution was made, as it is. Raises StoreError."""
        return self._texts(
            "SELECT CAST(created_at AS TEXT) FROM decisions WHERE status = 'pending_execution' AND created_at <> ''"
        )

    def fact(self, category: str, key: str) -> str | None:
        """The value of a fact; None if there is none. Raises StoreError."""
        query = "SELECT CAST(value AS TEXT) FROM facts WHERE category = ? AND key = ?"
        value: str | None = self._database.value(query, (category, key))
        return value

    def alert_rules(self) -> list[RuleRow]:
        """Every rule, by name. Raises StoreError."""
        rows = self._database.read(f"SELECT id, {_RULE} FROM alert_rules ORDER BY name")
        return [RuleRow(**dict(row) | {"enabled": row["enabled"] == 1}) for row in rows]

    def add_alert_rule(self, name: str, alert_type: str, condition: str, description: str | None, at: str) -> None:
        """Add an enabled rule. Raises sqlite3.IntegrityError if one has that name; StoreError."""
        self._database.write(
            "INSERT INTO alert_rules (name, alert_type, condition, description, enabled, created_at)"
            " VALUES (?, ?, ?, ?, 1, ?)",
            (name, alert_type, condition, description, at),
        )

    def enable_alert_rule(self, rule_id: int, enabled: bool) -> None:
        """Have a rule evaluated, or not. Raises StoreError."""
        self._database.write("UPDATE alert_rules SET enabled = ? WHERE id = ?", (int(enabled), rule_id))

    def delete_alert_rule(self, rule_id: int) -> None:
        """Delete a rule. Raises StoreError."""
        self._database.write("DELETE FROM alert_rules WHERE id = ?", (rule_id,))

    def webhook_events(self, status: str | None, limit: int) -> list[EventRow]:
        """The events, or those with a status, the newest first; -1 sets no limit.

        Raises StoreError.
        """
        where, values = ("", []) if status is None else ("WHERE status = ?", [status])
        most, limits = ("", []) if limit < 0 else ("LIMIT ?", [limit])
        query = f"SELECT id, {_EVENT} FROM webhook_events {where} ORDER BY id DESC {most}"
        rows = self._database.read(query, [*values, *limits])
        return [EventRow(**dict(row)) for row in rows]

    def webhook_event(self, number: int) -> EventRow | None:
        """One event, or None. Raises StoreError."""
        rows = self._database.read(f"SELECT id, {_EVENT} FROM webhook_events WHERE id = ?", (number,))
        return EventRow(**dict(rows[0])) if rows else None

    def add_webhook_event(self, source: str, event_type: str, payload: str, received_at: str) -> int:
        """Add a pending event; returns its number. Raises StoreError."""
        rows = self._database.write(
            "INSERT INTO webhook_events (source, event_type, payload, status, received_at)"
            " VALUES (?, ?, ?, 'pending', ?) RETURNING id",
            (source, event_type, payload, received_at),
        ).rows
        return int(rows[0][0])

    def set_webhook_event(self, number: int, status: str, processed_at: str | None) -> None:
        """Note how an event stands. Raises StoreError."""
        self._database.write(
            "UPDATE webhook_events SET status = ?, processed_at = ? WHERE id = ?", (status, processed_at, number)
        )

    def delete_webhook_event(self, number: int) -> None:
        """Delete an event. Raises StoreError."""
        self._database.write("DELETE FROM webhook_events WHERE id = ?", (number,))

    def _texts(self, sql: str) -> list[str]:
        return [row[0] for row in self._database.read(sql)]
