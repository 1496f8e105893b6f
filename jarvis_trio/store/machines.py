"""The machines that share a database: `machines`. A file that is nobody else's has none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jarvis_trio.errors import StoreError, UnknownTaskError
from jarvis_trio.notation.instants import parse_instant, utc_text
from jarvis_trio.store.database import Database


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine, and when its daemon was last seen (aware UTC, by the database's clock)."""

    name: str
    identity: str
    seen_at: datetime


class MachineTable(Database):
    """A row for each machine whose daemon or `tick` has used the database."""

    def check_in(self, name: str, identity: str, at: datetime) -> None:
        """Note that a machine is there.

        Raises StoreError if the name belongs to another one: each would take the other's
        runs for those of a dead process of its own, and run them again.
        """
        with self.transaction():
            self.write(
                "INSERT INTO machines (name, identity, seen_at) VALUES (?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at"
                " WHERE machines.identity = excluded.identity",
                (name, identity, utc_text(at)),
            )
            holder = self.value("SELECT identity FROM machines WHERE name = ?", (name,))
        if holder != identity:
            says = f"another machine is named {name!r}"
            raise StoreError(says, fix="set JARVIS_MACHINE, or `jarvis-trio machines forget NAME` if it is gone")

    def machines(self) -> list[Machine]:
        """All machines by name."""
        rows = self.read("SELECT name, identity, seen_at FROM machines ORDER BY name")
        return [Machine(row["name"], row["identity"], parse_instant(row["seen_at"])) for row in rows]

    def forget_machine(self, name: str) -> None:
        """Take a machine out of the list. Raises UnknownTaskError if there is none of that name."""
        if not self.write("DELETE FROM machines WHERE name = ?", (name,)).count:
            raise UnknownTaskError(f"no machine is named {name!r}", fix="`jarvis-trio machines` shows the names")
