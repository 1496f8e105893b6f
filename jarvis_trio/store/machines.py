"""The machines that share a database: `machines`. A file that is nobody else's has none."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from jarvis_trio import __version__
from jarvis_trio.clock import SharedClock
from jarvis_trio.errors import StoreError, UnknownTaskError
from jarvis_trio.notation.instants import parse_instant, utc_text
from jarvis_trio.store.connection import Row
from jarvis_trio.store.database import Database
from jarvis_trio.store.places import Here

ANY_TYPE = "*"
"""Said by a machine whose application takes every type: that application has no list of them."""


class Machine(NamedTuple):
    """A machine, and when it was last seen (aware UTC, by the database's clock).

    Attributes:
        labels: names that it shares with others; a task may be placed by one.
        takes_any: whether it runs what may run anywhere; if not, only what names it or a label.
        handlers: the types of handlers that it has; `ANY_TYPE` is one that stands for all.
        version: of the program there.
        clock_ahead: how far its own clock is ahead of the database's; negative if it is behind.
    """

    name: str
    identity: str
    seen_at: datetime
    labels: tuple[str, ...] = ()
    takes_any: bool = True
    handlers: frozenset[str] = frozenset()
    version: str | None = None
    clock_ahead: timedelta | None = None

    def may_take(self, place: str | None) -> bool:
        """Whether it may run what is to run at `place`: a machine or a label; None is anywhere."""
        return Here(self.name, self.labels, self.takes_any).may_take(place)

    def has_handler(self, handler_type: str) -> bool:
        """Whether it can run tasks of that type."""
        return handler_type in self.handlers or ANY_TYPE in self.handlers


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
        values = {
            "seen_at": utc_text(at),
            "labels": json.dumps(sorted(labels)),
            "takes": "any" if takes_any else "own",
            "handlers": json.dumps(sorted(handlers)),
            "version": __version__,
            "clock_ahead_seconds": self._clock_ahead_seconds(),
        }
        changes = ", ".join(f"{column} = excluded.{column}" for column in values)
        with self._database.transaction():
            self._database.write(
                f"INSERT INTO machines (name, identity, {', '.join(values)}) VALUES (?, ?{', ?' * len(values)})"
                f" ON CONFLICT (name) DO UPDATE SET {changes} WHERE machines.identity = excluded.identity",
                (name, identity, *values.values()),
            )
            _require_own_name(name, identity, self.list_machines())

    def _clock_ahead_seconds(self) -> float | None:
        clock = self._database.clock
        return clock.machine_ahead().total_seconds() if isinstance(clock, SharedClock) else None

    def list_machines(self) -> list[Machine]:
        """All machines by name."""
        return [_to_machine(row) for row in self._database.read("SELECT * FROM machines ORDER BY name")]

    def forget_machine(self, name: str) -> None:
        """Take a machine out of the list. Raises UnknownTaskError if there is none of that name."""
        if not self._database.write("DELETE FROM machines WHERE name = ?", (name,)).count:
            raise UnknownTaskError(f"no machine is named {name!r}", fix="`jarvis-trio machines` shows the names")

    def lost_since(self, owner: str) -> datetime | None:
        """Since when another machine's process is seen to be gone; None if it is there.

        Whoever looks first notes the time, by the database's clock.
        """
        if self._database.connection.is_held(owner):
            return None
        with self._database.transaction():
            if self._database.connection.is_held(owner):
                return None
            self._database.write(
                "INSERT INTO lost_processes (owner, since) VALUES (?, ?) ON CONFLICT (owner) DO NOTHING",
                (owner, utc_text(self._database.clock.now())),
            )
            return parse_instant(self._database.value("SELECT since FROM lost_processes WHERE owner = ?", (owner,)))

    def forget_lost(self) -> None:
        """Forget the lost processes that no longer have runs."""
        unneeded = "NOT EXISTS (SELECT 1 FROM task_runs r WHERE r.owner = lost_processes.owner AND r.live = 1)"
        if self._database.read(f"SELECT 1 FROM lost_processes WHERE {unneeded} LIMIT 1"):
            self._database.write(f"DELETE FROM lost_processes WHERE {unneeded}")


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
        row["version"],
        None if row["clock_ahead_seconds"] is None else timedelta(seconds=row["clock_ahead_seconds"]),
    )
