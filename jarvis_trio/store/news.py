"""Tells at once that another machine has written to the server that they share."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

CHANNEL = "jarvis_trio"
"""The channel of LISTEN and NOTIFY. A notification comes with the commit, or not at all."""

_LOOKS_UP_EVERY_SECONDS = 30.0
_CONNECTS_AGAIN_AFTER_SECONDS = 5.0


class ServerWatch:
    """A watch on a server, as `process.watch` has them on files.

    A session of its own listens in a thread, because the server can go away and come back: the
    descriptor stays the same, and whoever waits for it need not know.

    Args:
        connect: opens a session, or raises psycopg.Error.
        is_ours: whether a session of this number belongs to this process.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]], is_ours: Callable[[int], bool]) -> None:
        self._connect = connect
        self._is_ours = is_ours
        self._read, self._written = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if hasattr(os, "pipe2") else _pipe()
        self._closed = threading.Event()
        threading.Thread(target=self._listen, name="jarvis-news", daemon=True).start()

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._read

    def renew(self, paths: Sequence[Path]) -> None:
        """Nothing: a server has no files that could be others by now."""

    def drain(self) -> bool:
        """Forget what happened so far, without waiting. Returns whether anything did."""
        with suppress(BlockingIOError):
            return bool(os.read(self._read, 65_536))
        return False

    def close(self) -> None:
        """Stop listening. The thread ends when it looks up; it holds nobody up."""
        self._closed.set()

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                with self._connect() as session:
                    session.execute(f"LISTEN {CHANNEL}".encode())
                    self._tell()  # something may have happened while nobody listened
                    while not self._closed.is_set():
                        self._wait(session)
            except psycopg.Error:
                self._closed.wait(_CONNECTS_AGAIN_AFTER_SECONDS)
        os.close(self._read)
        os.close(self._written)

    def _wait(self, session: psycopg.Connection[Any]) -> None:
        for news in session.notifies(timeout=_LOOKS_UP_EVERY_SECONDS, stop_after=1):
            if not self._is_ours(news.pid):
                self._tell()

    def _tell(self) -> None:
        with suppress(BlockingIOError):  # it is full of what nobody has read yet
            os.write(self._written, b".")


def _pipe() -> tuple[int, int]:
    """A pipe that blocks nobody, for systems without pipe2(2), such as macOS."""
    read, written = os.pipe()
    for descriptor in (read, written):
        os.set_blocking(descriptor, False)
    return read, written
