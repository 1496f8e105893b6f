"""What the program remembers between two runs: `jarvis_meta`, one text under each key."""

from __future__ import annotations

from jarvis_trio.store.database import Database


class Notes:
    """Texts by key: the schema's version, the zone in which tasks were planned."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, key: str) -> str | None:
        """The text under `key`, or None."""
        text: str | None = self._database.value("SELECT value FROM jarvis_meta WHERE key = ?", (key,))
        return text

    def remember(self, key: str, value: str) -> None:
        """Keep `value` under `key`, in place of what was there."""
        self._database.write(
            "INSERT INTO jarvis_meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, value),
        )
