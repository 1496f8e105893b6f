"""The lookout sees other programs' writes, and has the daemon look at what they changed.

Guarantees:

- A change is looked at within two seconds, and looks are at least half a second apart, however
  fast others write.
- While nobody writes, nothing happens: no timer, no wake-up.

This code assumes that a tick looks at the database after its last write. So what the daemon's
own ticks wrote is forgotten just before that look (`forget`), and the end of such a tick ends the
pause (`looked`): a timer would wake the processor once more for each lone run.

The race: another program's file is written some milliseconds before others can read the change, as
SQLite waits for the disk between the two. So it can be forgotten with what the tick wrote, and not
be there yet when the tick looks. But whoever commits holds the write lock. A look that finds it
held is not settled, and another one follows a pause later, until one is. A program may hold it for
hours: then the looks become rare, but no wait is longer than an eighth of the time so far.

If a watch cannot be had, or a file cannot be watched, changes are seen at the next tick, at the
latest after the interval; the log says so once.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path

import trio

from jarvis_trio.process.watch import Watch, make_watch

PAUSE_SECONDS = 0.5
"""How long a write is left alone before the look, and so the shortest time between two looks."""

COMMIT_SECONDS = 2.0
"""Whoever holds the write lock for longer than this does more than a commit."""

_logger = logging.getLogger(__name__)


class Lookout:
    """Watches the files of a database.

    Args:
        files: where a write shows.
        look: has the daemon look at what was changed; returns whether that look is settled.
        better: makes a watch that tells more than the files do, if there is one.
    """

    def __init__(
        self,
        files: Iterable[Path],
        look: Callable[[], Awaitable[bool]],
        better: Callable[[], Watch | None] = lambda: None,
    ) -> None:
        self._files: tuple[Path, ...] = tuple(files)
        self._look = look
        self._better = better
        self._watch: Watch | None = None
        self._tick_looked = trio.Event()
        self._unsettled_since = math.inf
        self._is_told = False
        self._wait = trio.CancelScope()

    def forget(self) -> None:
        """Forget what was written so far: somebody is about to look. Any thread may call it."""
        watch = self._watch
        if watch is not None:
            self._renew(watch)  # a file may be new, or another one under the same name
            with suppress(OSError):
                watch.drain()

    def looked(self, *, settled: bool = True) -> None:
        """A tick is over, and has looked; if `settled`, what was written before is done with."""
        self._note_look(settled=settled)
        if settled:
            self._tick_looked.set()
        else:
            self._wait.cancel()

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Look out until it is cancelled."""
        try:
            self._watch = self._better() or make_watch()
        except OSError as error:
            self._tell(error)
            task_status.started()
            return
        try:
            self._renew(self._watch)
            task_status.started()
            await self._watch_until_cancelled(self._watch)
        finally:
            watch, self._watch = self._watch, None
            watch.close()

    async def _watch_until_cancelled(self, watch: Watch) -> None:
        while True:
            await self._wait_for_news(watch)
            self._tick_looked = trio.Event()
            with trio.move_on_after(PAUSE_SECONDS) as pause:
                await self._tick_looked.wait()  # most often it is a tick of ours that writes
            if pause.cancelled_caught and (watch.drain() or self._unsettled_since < math.inf):
                self._renew(watch)
                self._note_look(settled=await self._look())

    def _note_look(self, *, settled: bool) -> None:
        self._unsettled_since = math.inf if settled else min(self._unsettled_since, trio.current_time())

    def _renew(self, watch: Watch) -> None:
        """Watch the files. What cannot be watched is tried again with the next look."""
        try:
            watch.renew(self._files)
            self._is_told = False
        except OSError as error:
            self._tell(error)

    def _tell(self, error: OSError) -> None:
        if not self._is_told:
            _logger.info("Changes by other programs are seen at the next tick only: %s", error.strerror or error)
        self._is_told = True

    async def _wait_for_news(self, watch: Watch) -> None:
        """Until somebody writes, or until another look is wanted in any case."""
        with trio.CancelScope(deadline=self._look_again_at()) as self._wait:
            await trio.lowlevel.wait_readable(watch.fileno())

    def _look_again_at(self) -> float:
        now = trio.current_time()
        unsettled_for = now - self._unsettled_since
        return now + unsettled_for / 8 if unsettled_for > COMMIT_SECONDS else max(now, self._unsettled_since)
