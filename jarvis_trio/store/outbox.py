"""Messages that are still to be delivered: they survive a restart, and are tried again."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from jarvis_trio.notation.instants import from_microseconds, to_microseconds
from jarvis_trio.store.connection import Row
from jarvis_trio.store.database import Database
from jarvis_trio.store.places import Condition

_ADDRESSED = "CASE WHEN run_id IS NULL AND config IS NULL THEN 0 ELSE 1 END"
"""`Letter.is_addressed` in SQL."""


class Letter(NamedTuple):
    """A message to one channel. `attempt` counts the tries, this one included.

    `config` is the channel's JSON text; `run_id` is the run that it tells of, or None
    if it tells of the task. `place` is the machine or label from which it is sent; None for any.
    """

    channel: str
    config: str | None
    task_name: str
    status: str
    result: str | None
    timestamp: str
    run_id: int | None = None
    id: int = 0
    attempt: int = 0
    place: str | None = None

    @property
    def is_addressed(self) -> bool:
        """Whether it goes to its own channel, and not to the one that the settings name now."""
        return self.run_id is not None or self.config is not None


class FirstLetter(NamedTuple):
    """Which letters wait together, and when the first of them is due (aware UTC).

    `is_addressed` is False for those that go to the channel that the settings name for alerts.
    """

    channel: str
    is_addressed: bool
    due_at: datetime


class Outbox:
    """The table `outbox`: a row goes when its message was delivered, or given up."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def post(self, letter: Letter, due_at: datetime) -> int:
        """Keep a letter for delivery. Returns its number."""
        answer = self._database.write(
            "INSERT INTO outbox (channel, config, task_name, status, result, timestamp, run_id, due_at, place)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                letter.channel,
                letter.config,
                letter.task_name,
                letter.status,
                letter.result,
                letter.timestamp,
                letter.run_id,
                to_microseconds(due_at),
                letter.place,
            ),
        )
        return int(answer.rows[0]["id"])

    def first_letters(self) -> list[FirstLetter]:
        """The letter of each channel that is due first."""
        here, values = self._here()
        rows = self._database.read(
            f"SELECT channel, {_ADDRESSED} AS is_addressed, min(due_at) AS due_at FROM outbox"
            f" WHERE {here} GROUP BY 1, 2",
            values,
        )
        first = []
        for row in rows:
            with suppress(TypeError, OverflowError):  # another program wrote what is no time
                due_at = from_microseconds(row["due_at"])
                first.append(FirstLetter(row["channel"], bool(row["is_addressed"]), due_at))
        return first

    def take_letter(self, first: FirstLetter, now: datetime, again_at: datetime) -> Letter | None:
        """Take a letter like `first` that is due, so that nobody else sends it meanwhile.

        It is due again at `again_at`, should this process die before it says how it
        went: a message may come twice then, which is better than never.
        """
        here, values = self._here()
        with self._database.transaction():
            rows = self._database.read(
                f"SELECT * FROM outbox WHERE channel = ? AND {_ADDRESSED} = ? AND due_at <= ? AND {here}"
                " ORDER BY due_at, id LIMIT 1",
                (first.channel, int(first.is_addressed), to_microseconds(now), *values),
            )
            if not rows:
                return None
            self._database.write(
                "UPDATE outbox SET attempt = attempt + 1, due_at = ? WHERE id = ?",
                (to_microseconds(again_at), rows[0]["id"]),
            )
        return _to_letter(rows[0])

    def _here(self) -> Condition:
        """What is sent from this machine."""
        here = self._database.here
        return ("1 = 1", ()) if here is None else here.sends()

    def take_back(self, number: int) -> bool:
        """Take back a letter that nobody has tried to send. Returns whether it was still there."""
        return self._database.write("DELETE FROM outbox WHERE id = ? AND attempt = 0", (number,)).count > 0

    def put_back(self, letter: Letter, due_at: datetime) -> None:
        """Have a letter that could not be delivered tried again at `due_at`."""
        self._database.write("UPDATE outbox SET due_at = ? WHERE id = ?", (to_microseconds(due_at), letter.id))

    def keep_waiting(self, now: datetime, back: timedelta) -> None:
        """The clock was set back by `back` to `now` (aware UTC): no letter waits longer for it."""
        self._database.keep_waits("outbox", now, back)

    def discard(self, letter: Letter) -> None:
        """Forget a letter: it was delivered, or is given up."""
        self._database.write("DELETE FROM outbox WHERE id = ?", (letter.id,))

    def letters_waiting(self) -> int:
        """How many letters are not delivered yet."""
        return int(self._database.value("SELECT count(*) FROM outbox"))


def _to_letter(row: Row) -> Letter:
    names = ("channel", "config", "task_name", "status", "result", "timestamp", "run_id", "id", "place")
    return Letter(**{name: row[name] for name in names}, attempt=row["attempt"] + 1)
