"""The parts of a simulated machine: its clocks, its database, the thread where its time passes."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import trio
import trio.abc

from jarvis_trio.clock import Clock
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.sqlite import SqliteFile


class JumpingClock(trio.abc.Clock):
    """trio's clock in the simulation: with nothing left to do, the next deadline comes at once.

    trio's own mock clock can do so too, by `autojump_threshold`; but it lets the event
    loop turn twice for each jump, which is a fifth of a simulated year.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._stands = True

    @contextmanager
    def going(self) -> Iterator[None]:
        """Within the block time passes; otherwise it stands still."""
        self._stands = False
        try:
            yield
        finally:
            self._stands = True

    @property
    def stands(self) -> bool:
        """Whether no time passes."""
        return self._stands

    def skip(self, seconds: float) -> None:
        """Go on by that many seconds at once, as a sleep of that length would."""
        self._seconds += seconds

    def start_clock(self) -> None:
        """Nothing to prepare: it begins at 0."""

    def current_time(self) -> float:
        return self._seconds

    def deadline_to_sleep_time(self, deadline: float) -> float:
        if self._stands or deadline == math.inf:
            return math.inf
        self._seconds = max(self._seconds, deadline)
        return 0


class SimulatedClock:
    """A wall clock that goes on as trio's clock does, and that can be set, as a machine's can."""

    def __init__(self, base: trio.abc.Clock, start: datetime, zone: tzinfo) -> None:
        self._base = base
        self._zero = start
        self._zone = zone
        self._latest = (0.0, start)

    def now(self) -> datetime:
        seconds, instant = self._latest  # a tick asks five times, and time stands still meanwhile
        if seconds != (current := self._base.current_time()):
            instant = self._zero + timedelta(seconds=current)
            self._latest = (current, instant)
        return instant

    def zone(self) -> tzinfo:
        return self._zone

    def monotonic(self) -> float:
        return self._base.current_time()

    def shift(self, by: timedelta) -> None:
        """Set the wall clock forward, or back by a negative time; the monotonic one stays."""
        self._zero += by
        self._latest = (0.0, self._zero)

    def move(self, zone: tzinfo) -> None:
        """Change the machine's zone."""
        self._zone = zone


class SimulatedCrash(BaseException):
    """The simulated process died here."""


class SimulatedStore(MemoryStore):
    """The real store, in the memory of the process unless it is wanted as a file."""

    def __init__(self, path: Path, clock: Clock, *, in_memory: bool) -> None:
        super().__init__(path, clock=clock, connection=SqliteFile(path, in_memory=in_memory))


class CrashingStore(MemoryStore):
    """The real store, in a process that can die after any of its writes."""

    def __init__(self, path: Path, clock: Clock, *, in_memory: bool) -> None:
        self._mortal = MortalFile(path, in_memory=in_memory)
        super().__init__(path, clock=clock, connection=self._mortal)

    @property
    def writes(self) -> int:
        """How many transactions were committed."""
        return self._mortal.writes

    @property
    def dies_after(self) -> int | None:
        """After how many writes the process dies; None for never."""
        return self._mortal.dies_after

    @dies_after.setter
    def dies_after(self, writes: int | None) -> None:
        self._mortal.dies_after = writes

    def stop_syncing(self) -> None:
        """Leave the writes to the operating system: a process dies here, and the power stays on."""
        self.read("PRAGMA synchronous=OFF")

    @property
    def dead(self) -> bool:
        """Whether the process has died; nothing is written after that."""
        return self._mortal.dead


class MortalFile(SqliteFile):
    """A connection of a process that dies right after a commit."""

    writes = 0
    dies_after: int | None = None

    def begin(self) -> None:
        if self.dead:
            raise SimulatedCrash
        super().begin()

    def commit(self) -> None:
        super().commit()
        self.writes += 1
        if self.dead:
            raise SimulatedCrash

    @property
    def dead(self) -> bool:
        """Whether the process has died; nothing is written after that."""
        return self.dies_after is not None and self.writes >= self.dies_after


class World:
    """The thread in which trio runs. It blocks between two requests, so that time stands still."""

    nursery: trio.Nursery

    def __init__(self, clock: trio.abc.Clock) -> None:
        self._requests: queue.SimpleQueue[Callable[[], Awaitable[None]] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=lambda: trio.run(self._serve, clock=clock), daemon=True)
        self._thread.start()

    def do(self, request: Callable[[], Awaitable[None]]) -> None:
        """Have the world do something, and wait for it; raises what that raises."""
        self._requests.put(request)
        if (error := self._answers.get()) is not None:
            raise error

    def is_current(self) -> bool:
        """Whether the caller is a part of the world."""
        return threading.current_thread() is self._thread

    def end(self) -> None:
        """Stop everything in it."""
        self._requests.put(None)
        self._thread.join()

    async def _serve(self) -> None:
        async with trio.open_nursery() as self.nursery:
            while (request := self._requests.get()) is not None:
                try:
                    await request()
                except BaseException as error:  # noqa: BLE001  # carried to the caller's thread, and raised there
                    self._answers.put(error)
                else:
                    self._answers.put(None)
            self.nursery.cancel_scope.cancel()
