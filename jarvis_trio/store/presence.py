"""The session by which the other machines know that a process of this one is there.

Guarantees:

- While the server has the session, the process's lock is held; when the session is gone, so is it.
- A confirmation that returned was given by the server on the session that holds the lock.
- A process that was noted as lost loses that note when it holds its lock again.

This code assumes that the server ends a session whose client is gone or silent: the session asks it
to, after four beats.

The race: another machine finds the lock free as this process takes it. It looks and notes in one
transaction that keeps the lock away from everybody; so this process takes its lock before the
look, or after the note, which it then removes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from typing import Any

import psycopg

from jarvis_trio.errors import StoreError
from jarvis_trio.notation.instants import utc_text

IS_FREE = "SELECT pg_try_advisory_xact_lock(hashtextextended(current_schema() || ' ' || %s, 0))"
"""Whether nobody holds the lock of a process; if so, nobody can take it in this transaction."""

_HOLD = "SELECT pg_advisory_lock_shared(hashtextextended(current_schema() || ' ' || %s, 0))"
"""Shared, so that a new session need not wait until the server has noticed the end of the old."""


def notice_the_end(beat_seconds: int) -> str:
    """The statements that have the server end a session whose machine is gone for four beats.

    By default it would keep that session, and its locks, for more than two hours.
    """
    return (
        f"SET tcp_keepalives_idle = {beat_seconds}; SET tcp_keepalives_interval = {beat_seconds};"
        f" SET tcp_keepalives_count = 3; SET tcp_user_timeout = {4000 * beat_seconds}"
    )


class ServerPresence:
    """Holds the lock of one process on the server.

    Args:
        connect: opens a session, or raises psycopg.Error.
        owner: the text that tells the process from all others.
        machine: the machine's name, whose last sight is kept up to date.
        beat_seconds: how often it is confirmed.
    """

    def __init__(
        self, connect: Callable[[], psycopg.Connection[Any]], owner: str, machine: str, beat_seconds: int
    ) -> None:
        self._connect = connect
        self._owner = owner
        self._machine = machine
        self._beat_seconds = beat_seconds
        self._session: psycopg.Connection[Any] | None = None

    def confirm(self) -> None:
        """Have the server say that the process is there. Raises StoreError if it does not."""
        try:
            session = self._session or self._begin()
            row = session.execute("SELECT clock_timestamp()").fetchone()
            if row is not None:
                session.execute(
                    "UPDATE machines SET seen_at = %s WHERE name = %s",
                    (utc_text(row[0].astimezone(UTC)), self._machine),
                )
        except psycopg.Error as error:
            self.close()
            raise StoreError(f"the server does not answer: {error}") from None

    def _begin(self) -> psycopg.Connection[Any]:
        session = self._session = self._connect()
        # A process that stands still answers keepalives, by its kernel; so silence ends it, too.
        silence = f"SET idle_session_timeout = {4000 * self._beat_seconds}"
        session.execute(f"{notice_the_end(self._beat_seconds)}; {silence}".encode())
        session.execute(_HOLD.encode(), (self._owner,))
        session.execute("DELETE FROM lost_processes WHERE owner = %s", (self._owner,))
        return session

    def close(self) -> None:
        """Let go of the lock; `confirm` takes it again."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(psycopg.Error):
                session.close()
