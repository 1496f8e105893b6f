"""The machines that share a database: `machines`. A file that is nobody else's has none."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from jarvis_trio.errors import StoreError, UnknownTaskError
from jarvis_trio.notation.instants import parse_instant, utc_text
from jarvis_trio.store.connection import Row
from jarvis_trio.store.database import Database


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine, and when it was last seen (aware UTC, by the database's clock).

    Attributes:
        labels: names that it shares with others; a task may be placed by one.
        takes_any: whether it runs what may run anywhere; if not, only what names it or a label.
        handlers: the types of handlers that it has.
    """

    name: str
    identity: str
    seen_at: datetime
    labels: tuple[str, ...] = ()
    takes_any: bool = True
    handlers: frozenset[str] = frozenset()

    def may_take(self, place: str | None) -> bool:
        """Whether it may run what is to run at `place`: a machine or a label; None is anywhere."""
        return self.takes_any if place is None else place == self.name or place in self.labels


class MachineTable:
    """A row for each machine whose daemon or `tick` has used the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def check_in(
        self,
        name: str,
        identity: str,
        at: datetime,
        *,
        labels: Iterable[str] = (),
        takes_any: bool = True,
        handlers: Iterable[str] = (),
    ) -> None:
        """Note that a machine is there, and what it takes.

        Raises StoreError if the name belongs to another one: each would take the other's
        runs for those of a dead process of its own, and run them again. The same holds for a
        name that is another one's label.
        """
        texts = (json.dumps(sorted(labels)), "any" if takes_any else "own", json.dumps(sorted(handlers)))
        with self._database.transaction():
            self._database.write(
                "INSERT INTO machines (name, identity, seen_at, labels, takes, handlers) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at, labels = excluded.labels,"
                " takes = excluded.takes, handlers = excluded.handlers WHERE machines.identity = excluded.identity",
                (name, identity, utc_text(at), *texts),
            )
            _require_own_name(name, identity, self.list_machines())

    def list_machines(self) -> list[Machine]:
        """All machines by name."""
        return [_to_machine(row) for row in self._database.read("SELECT * FROM machines ORDER BY name")]

    def forget_machine(self, name: str) -> None:
        """Take a machine out of the list. Raises UnknownTaskError if there is none of that name."""
        if not self._database.write("DELETE FROM machines WHERE name = ?", (name,)).count:
            raise UnknownTaskError(f"no machine is named {name!r}", fix="`jarvis-trio machines` shows the names")


def _require_own_name(name: str, identity: str, machines: Iterable[Machine]) -> None:
    by_name = {machine.name: machine for machine in machines}
    if by_name[name].identity != identity:
        says = f"another machine is named {name!r}"
        raise StoreError(says, fix="set JARVIS_MACHINE, or `jarvis-trio machines forget NAME` if it is gone")
    for machine in by_name.values():
        if both := sorted({*machine.labels} & {*by_name}):
            says = f"{both[0]!r} is a label of the machine {machine.name!r} and the name of a machine"
            raise StoreError(says, fix="change JARVIS_LABELS or JARVIS_MACHINE")


def _to_machine(row: Row) -> Machine:
    return Machine(
        row["name"],
        row["identity"],
        parse_instant(row["seen_at"]),
        tuple(json.loads(row["labels"] or "[]")),
        row["takes"] != "own",
        frozenset(json.loads(row["handlers"] or "[]")),
    )
