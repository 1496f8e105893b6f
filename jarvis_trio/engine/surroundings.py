"""What a tick notices of the machine around it: its zone, the zones' rules, and its wall clock.

The race: two ticks notice one change of the zone. Under the guard the first one takes note of it,
so the second one sees nothing new. `WallClock` does the same for the clock.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Hashable
from datetime import datetime, timedelta

from jarvis_trio.clock import Clock
from jarvis_trio.engine.history import History
from jarvis_trio.engine.planner import Planner
from jarvis_trio.engine.refusals import unless_refused
from jarvis_trio.engine.wallclock import CLOCK_SLACK, Jump, WallClock
from jarvis_trio.engine.zones import ZoneWatch
from jarvis_trio.notation.instants import duration_text
from jarvis_trio.store import MemoryStore

_logger = logging.getLogger(__name__)


class Surroundings:
    """Has the schedules and the pruning follow what changes. Several threads may call it.

    Args:
        store: the database, which remembers the zone across restarts.
        clock: tells the time and the machine's zone.
        planner: reads schedules again.
        zones: the zones in use.
        history: is pruned by the age of its rows, if the clock can be trusted.
    """

    def __init__(self, store: MemoryStore, clock: Clock, planner: Planner, zones: ZoneWatch, history: History) -> None:
        self._store = store
        self._clock = clock
        self._planner = planner
        self._zones = zones
        self._history = history
        self._wall = WallClock(clock)
        self._guard = threading.Lock()
        self._zone: str | None = None
        self._writes: object = None
        self._have_written = False
        self._known_ahead: datetime | None = None

    def are_as_seen(self, now: datetime) -> bool:
        """Whether `notice` would find nothing."""
        return self._zones.are_as_seen(self._clock.zone()) and self._wall.is_steady(now)

    def note_writes(self, marks: Hashable | None) -> None:
        """Told of the write marks of each tick that has something to do.

        SQLite's tell other programs' writes apart. A server need not: its clock is everybody's.
        """
        theirs = marks[0] if isinstance(marks, tuple) else None
        with self._guard:
            self._have_written = self._have_written or self._writes not in (None, theirs)
            self._writes = theirs

    def notice(self, now: datetime) -> None:
        """Follow what has changed since the last call.

        The first one puts right what changed while no process was there.
        """
        self._notice_zone(now)
        self._notice_clock()
        self._notice_clock_of_others()

    def steady_for(self) -> timedelta:
        """How long the wall clock has not been set."""
        return self._wall.steady_for()

    def _notice_zone(self, now: datetime) -> None:
        machine = self._clock.zone()
        zone = str(machine)
        with self._guard:
            first, moved = self._zone is None, self._zone != zone
            self._zone = zone
        if first:
            unless_refused(self._store.queue.drop_orphans)
            unless_refused(self._store.runs.adopt_running)
            unless_refused(self._planner.wake_parked)
            moved = self._store.notes.note("zone") not in (None, zone)
        if first or moved:
            self._store.notes.remember("zone", zone)
            self._zones.use(zone)
        if changed := self._zones.changed(machine):
            _logger.info("The rules of %s changed; schedules are read again", ", ".join(changed))
            unless_refused(self._planner.reread)
        if moved:
            _logger.info("The machine's zone is %s now; tasks without a zone of their own follow", zone)
            unless_refused(lambda: self._planner.rezone(now))

    def _notice_clock(self) -> None:
        jump = self._wall.look(self._planner.last_sign)
        if jump.was_set:
            self._history.look_again(jump.now)
        if jump.back > CLOCK_SLACK:
            back = timedelta(seconds=round(jump.back.total_seconds()))
            _logger.warning("The clock was set back by %s; schedules are read again", duration_text(back))
            unless_refused(lambda: self._planner.rewind(jump))
            self._known_ahead = self._store.runs.latest_start()

    def _notice_clock_of_others(self) -> None:
        """Another process may have run slots to come, while the clock was ahead for a moment."""
        with self._guard:
            have_written, self._have_written = self._have_written, False
        if not have_written:
            return
        now, latest = self._clock.now(), self._store.runs.latest_start()
        if latest is None or latest - now <= CLOCK_SLACK or latest == self._known_ahead:
            return
        self._known_ahead = latest
        ahead = latest - now
        _logger.warning("A task was run by a clock that is %s ahead; schedules are read again", duration_text(ahead))
        unless_refused(lambda: self._planner.rewind(Jump(now, was_set=False, back=ahead, is_guess=True)))
