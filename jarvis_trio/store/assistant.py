"""The assistant's other tables: webhook events, alert rules, and what those rules look at."""

from __future__ import annotations

from collections.abc import Iterable, Set

from jarvis_trio.models import AlertRule, WebhookEvent
from jarvis_trio.store.database import Database


class AssistantTables(Database):
    """`webhook_events`, `alert_rules`, `delegations`, `decisions` and `facts`."""

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
        with self.transaction():
            known = {row["file"] for row in self.read("SELECT file FROM webhook_files WHERE inbox = ?", (inbox,))}
            new = [event for event in events if event.file not in known]
            self.write_many(
                "INSERT INTO webhook_events (source, event_type, payload, status, received_at)"
                " VALUES (?, ?, ?, 'pending', ?)",
                ((event.source, event.event_type, event.payload, received_at) for event in new),
            )
            self.write_many("INSERT INTO webhook_files VALUES (?, ?)", ((inbox, event.file) for event in new))
            self.write_many(
                "DELETE FROM webhook_files WHERE inbox = ? AND file = ?", ((inbox, file) for file in known - at_hand)
            )
        return len(new)

    def enabled_alert_rules(self) -> list[AlertRule]:
        """Every enabled rule, in the order in which they were made. Raises StoreError."""
        rows = self.read(
            # CAST, since a column takes a value of any type from another program.
            "SELECT id, CAST(name AS TEXT) AS name, CAST(alert_type AS TEXT) AS alert_type,"
            " CAST(condition AS TEXT) AS condition, CAST(last_triggered_at AS TEXT) AS last_triggered_at"
            " FROM alert_rules WHERE enabled = 1 ORDER BY id"
        )
        return [AlertRule(**dict(row)) for row in rows]

    def stamp_alert_rule(self, rule_id: int, triggered_at: str) -> None:
        """Note when a rule triggered, as local ISO text with its offset. Raises StoreError."""
        self.write("UPDATE alert_rules SET last_triggered_at = ? WHERE id = ?", (triggered_at, rule_id))

    def delegations_due(self) -> list[str]:
        """The due dates of all active delegations that have one, as they are. Raises StoreError."""
        return self._texts("SELECT CAST(due_date AS TEXT) FROM delegations WHERE status = 'active' AND due_date <> ''")

    def decisions_pending_since(self) -> list[str]:
        """When each decision that awaits its execution was made, as it is. Raises StoreError."""
        return self._texts(
            "SELECT CAST(created_at AS TEXT) FROM decisions WHERE status = 'pending_execution' AND created_at <> ''"
        )

    def fact(self, category: str, key: str) -> str | None:
        """The value of a fact; None where there is none. Raises StoreError."""
        query = "SELECT CAST(value AS TEXT) FROM facts WHERE category = ? AND key = ?"
        value: str | None = self.value(query, (category, key))
        return value

    def _texts(self, sql: str) -> list[str]:
        return [row[0] for row in self.read(sql)]
