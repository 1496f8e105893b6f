"""The fence: what others may take over ends here once the server hears no more of this process.

Guarantees:

- A run that others may take over starts only while this process is in touch with the server, and
  is told to stop when it has been out of touch for `fenced_after`.
- The thread that ends runs never waits for the server, which may hang in a socket.

This code assumes that `steady` goes on while the machine is suspended. The races that the fence is
made for are told in `engine.machines`.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from jarvis_trio.errors import StoreError
from jarvis_trio.handlers.guard import Guard
from jarvis_trio.notation.text import counted
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.connection import Presence

_TIMES = "fence"
"""The note with the times that all machines of a store go by, if they are not the usual ones."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceTimes:
    """When a process that the server does not hear of is gone: one rule for a store's machines.

    Attributes:
        beat: how often a process has the server confirm that it is there.
        fenced_after: without a confirmation for this long it ends what others may take over.
        guarded_after: the same by the guard, should the process itself hang or be dead.
        lost_after: without its lock for this long, the others take over.
    """

    beat: timedelta = timedelta(seconds=5)
    fenced_after: timedelta = timedelta(seconds=45)
    guarded_after: timedelta = timedelta(seconds=52)
    lost_after: timedelta = timedelta(seconds=60)

    @classmethod
    def of(cls, store: MemoryStore) -> Self:
        """The times of a store."""
        text = store.notes.note(_TIMES)
        seconds = {} if text is None else json.loads(text)
        return cls(**{name: timedelta(seconds=value) for name, value in seconds.items()})

    def keep(self, store: MemoryStore) -> None:
        """Make them the times of a store, before any daemon uses it."""
        names = ("beat", "fenced_after", "guarded_after", "lost_after")
        store.notes.remember(_TIMES, json.dumps({name: getattr(self, name).total_seconds() for name in names}))


class Keeper:
    """Has the server confirm, beat by beat, that this process is there; fences runs if it does not.

    Args:
        presence: holds the lock of this process.
        times: the beat, and how long it may fail.
        steady: seconds that never run backwards, and that go on while the machine is suspended.
        guard: a process that does the same if this one cannot; None for none.
    """

    def __init__(
        self, presence: Presence, times: FenceTimes, steady: Callable[[], float], guard: Guard | None = None
    ) -> None:
        self._presence = presence
        self._times = times
        self._steady = steady
        self._process_guard = guard
        self._confirmed_at: float | None = None
        self._guard = threading.Lock()
        self._live: dict[int, threading.Event] = {}
        self._fenced: set[int] = set()
        self._closed = threading.Event()
        self._watched = threading.Event()
        self._started = False

    @property
    def is_in_touch(self) -> bool:
        """Whether others cannot have taken this process for dead."""
        at = self._confirmed_at
        return at is not None and self._steady() - at < self._times.fenced_after.total_seconds()

    def start(self) -> None:
        """Have this process known as there from now on. Raises StoreError if it is not yet."""
        with self._guard:
            started, self._started = self._started, True
        if started:
            return
        try:
            self._confirm()
        finally:
            for work in (self._keep, self._watch):
                threading.Thread(target=work, name="jarvis-presence", daemon=True).start()

    def close(self) -> None:
        """Be there no longer."""
        self._closed.set()
        self._watched.set()
        if self._process_guard is not None:
            self._process_guard.close()

    def begin(self, run_id: int, cancelled: threading.Event) -> bool:
        """A run that others may take over is about to start. Returns False if it must not."""
        if self._process_guard is not None:
            try:
                self._process_guard.begin(run_id)
            except OSError as error:
                _logger.error("Run %d is not guarded: %s", run_id, error)
        with self._guard:
            if not self.is_in_touch:
                return False
            self._live[run_id] = cancelled
        self._watched.set()
        return True

    def end(self, run_id: int) -> bool:
        """The run is over. Returns whether it was fenced."""
        if self._process_guard is not None:
            self._process_guard.end(run_id)
        with self._guard:
            self._live.pop(run_id, None)
            fenced = run_id in self._fenced
            self._fenced.discard(run_id)
            if not self._live:
                self._watched.clear()
        return fenced

    def _confirm(self) -> None:
        asked_at = self._steady()  # before it is asked for: the others count from a moment after
        self._presence.confirm()
        self._confirmed_at = asked_at
        if self._process_guard is not None:
            self._process_guard.beat()

    def _keep(self) -> None:
        """The beat, in a thread of its own, which may hang in a socket."""
        while not self._closed.wait(self._times.beat.total_seconds()):
            with suppress(StoreError):  # ticks tell of it; here it only counts that nothing was confirmed
                self._confirm()
        self._presence.close()

    def _watch(self) -> None:
        """The fence, in a thread that never waits for the server; it idles without such runs."""
        while not self._closed.is_set():
            self._watched.wait()
            self._closed.wait(min(self._times.beat.total_seconds() / 5, 0.5))
            with self._guard:
                if self.is_in_touch:
                    continue
                ended = {run_id: cancelled for run_id, cancelled in self._live.items() if run_id not in self._fenced}
                self._fenced.update(ended)
            for cancelled in ended.values():
                cancelled.set()
            if ended:
                runs = counted(len(ended), "run")
                _logger.error("The database cannot be reached; this ends %s that others may take over", runs)
