"""What people ask of a running daemon, and what it answers: `requests`.

Guarantees:

- A request is answered once, by one process, in the same transaction as what it asks for.
- A request for a run ends with its asker: who withdraws it, dies, or waits for too long gets none.
- A request to stop a run stays with that run, so whoever ends the run's row knows who wanted it.

This code assumes that a process that asks gives the text of its own identity, and that the
daemon is woken by other means: a row here wakes nobody.

The races, each decided by an UPDATE or a DELETE whose condition is that nobody has answered yet:

1. The daemon starts a run as its asker withdraws. Either the claim finds the request gone, and
   nothing runs; or the asker finds it answered, and has a run.
2. The daemon dies with a request in hand. The claim and the answer are one transaction: the next
   daemon finds both or neither.
3. Two daemons of one database read one request. The second one's answer changes no row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from jarvis_trio.errors import ScheduleError
from jarvis_trio.notation.instants import parse_instant, utc_text
from jarvis_trio.store.connection import Row
from jarvis_trio.store.database import Database
from jarvis_trio.store.places import named_place

KEPT = timedelta(days=7)
"""How long a request is kept, for the runs that were stopped and for whoever reads the file."""


class RequestKind(StrEnum):
    """What is asked for."""

    RUN = "run"
    STOP = "stop"


class Request(NamedTuple):
    """A row of `requests`.

    Attributes:
        task_id: the task that is to run, or whose run is to stop.
        run_id: the run that is to stop, or that was started.
        asked_by: who asks, in words.
        asker: the text that tells the asking process from all others.
        asked_at: when (aware UTC).
        answered_at: when it was answered (aware UTC); None if it was not.
        refusal: why it was refused; None if it was not.
    """

    id: int
    kind: RequestKind
    task_id: int
    run_id: int | None
    asked_by: str
    asker: str
    asked_at: datetime
    answered_at: datetime | None
    refusal: str | None


class RequestTable:
    """What people ask of a daemon."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(
        self, kind: RequestKind, task_id: int, *, run_id: int | None = None, asked_by: str, asker: str, at: datetime
    ) -> int:
        """Put a request; returns its number. Requests that are older than `KEPT` go."""
        with self._database.transaction():
            self._database.write("DELETE FROM requests WHERE asked_at < ?", (utc_text(at - KEPT),))
            rows = self._database.write(
                "INSERT INTO requests (kind, task_id, run_id, asked_by, asker, asked_at)"
                " VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
                (kind, task_id, run_id, asked_by, asker, utc_text(at)),
            ).rows
        return int(rows[0][0])

    def request(self, number: int) -> Request | None:
        """The request with that number; None if it was withdrawn."""
        rows = self._database.read("SELECT * FROM requests WHERE id = ?", (number,))
        return next(_readable(rows), None)

    def open_requests(self) -> list[Request]:
        """The requests that nobody has answered, the oldest first."""
        rows = self._database.read("SELECT * FROM requests WHERE answered_at IS NULL ORDER BY id")
        return [request for request in _readable(rows) if self._is_for_here(request)]

    def _is_for_here(self, request: Request) -> bool:
        """Whether this machine may do it: a task that runs on another one is asked for there."""
        here = self._database.here
        if here is None or request.kind is not RequestKind.RUN:
            return True
        policy = self._database.value("SELECT policy FROM scheduled_tasks WHERE id = ?", (request.task_id,))
        try:
            return here.may_take(named_place(policy))
        except ScheduleError:
            return True

    def answer(self, number: int, at: datetime, *, run_id: int | None = None, refusal: str | None = None) -> bool:
        """Answer a request. Returns False, and changes nothing, if it was answered or withdrawn."""
        answer = self._database.write(
            "UPDATE requests SET answered_at = ?, run_id = coalesce(?, run_id), refusal = ?"
            " WHERE id = ? AND answered_at IS NULL",
            (utc_text(at), run_id, refusal, number),
        )
        return answer.count > 0

    def withdraw(self, number: int) -> bool:
        """Take a request back. Returns False if it was answered already."""
        return self._database.write("DELETE FROM requests WHERE id = ? AND answered_at IS NULL", (number,)).count > 0

    def stopped_by(self, run_id: int) -> str | None:
        """Who asked to stop a run, in words; None if nobody did."""
        query = "SELECT asked_by FROM requests WHERE run_id = ? AND kind = 'stop' ORDER BY id"
        found: str | None = self._database.value(query, (run_id,))
        return found


def _readable(rows: Iterable[Row]) -> Iterator[Request]:
    """Without those that another program wrote and that make no sense."""
    for row in rows:
        with suppress(ValueError):
            yield _to_request(row)


def _to_request(row: Row) -> Request:
    answered_at = row["answered_at"]
    return Request(
        id=row["id"],
        kind=RequestKind(row["kind"]),
        task_id=row["task_id"],
        run_id=row["run_id"],
        asked_by=row["asked_by"],
        asker=row["asker"],
        asked_at=parse_instant(row["asked_at"]),
        answered_at=None if answered_at is None else parse_instant(answered_at),
        refusal=row["refusal"],
    )
