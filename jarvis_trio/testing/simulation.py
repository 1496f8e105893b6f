"""Simulate the real daemon, engine and store on a clock of trio's that jumps: a year in seconds.

```python
from jarvis_trio.testing import Simulation

with Simulation("2026-03-07T00:00", zone="America/Denver") as simulation:
    simulation.add("backup", cron="30 2 * * *")
    simulation.run(days=3)
    print([run.scheduled_for for run in simulation.history("backup")])
```

Between two calls the simulated world stands still. Handlers are called inline and
take no simulated time, since such a clock does not see threads (trio#456).
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Self

import trio
import trio.testing

from jarvis_trio.daemon import JarvisDaemon
from jarvis_trio.delivery import Message
from jarvis_trio.engine.deliveries import AlertChannel
from jarvis_trio.engine.engine import SchedulerEngine
from jarvis_trio.engine.limits import Limits
from jarvis_trio.engine.notices import Notices
from jarvis_trio.engine.peers import Peers
from jarvis_trio.engine.runner import run_inline
from jarvis_trio.errors import ScheduleError
from jarvis_trio.models import Handler, HandlerContext, Run, ScheduledTask, ScheduleType
from jarvis_trio.notation.instants import as_utc, local_text, parse_duration, parse_instant, parse_zone
from jarvis_trio.policy import Policy
from jarvis_trio.schedules.schedule import task_schedule
from jarvis_trio.store import MemoryStore
from jarvis_trio.testing.machine import CrashingStore, JumpingClock, SimulatedClock, SimulatedStore, World


class Simulation:
    """A machine with a clock, a zone, a database and the daemon, all under a test's control.

    A context manager. Time passes only in `run`.

    Args:
        start: the instant at which it begins, as ISO text or datetime; naive ones are
            local time in `zone`.
        zone: the machine's zone, by its IANA name.
        folder: where the database is kept as a file; by default it is in memory.
        tick_interval: seconds, the daemon's longest sleep.
    """

    def __init__(
        self,
        start: datetime | str,
        *,
        zone: str = "UTC",
        folder: Path | None = None,
        tick_interval: float = 60,
    ) -> None:
        machine_zone = parse_zone(zone)
        instant = parse_instant(start, machine_zone) if isinstance(start, str) else as_utc(start, machine_zone)
        self._time = JumpingClock()
        self.clock = SimulatedClock(self._time, instant, machine_zone)
        self.handlers: dict[str, Handler] = {}
        self.delivered: list[tuple[str, Message]] = []
        self._tick_interval = tick_interval
        self._interval = timedelta(seconds=tick_interval)
        self._ends_at = 0.0
        self._temporary = tempfile.TemporaryDirectory() if folder is None else None
        self._path = Path(folder or self._temporary.name) / "memory.db"  # type: ignore[union-attr]  # one of both is set
        self._owners = itertools.count(1)
        self._boot()
        self.store = SimulatedStore(self._path, self.clock, in_memory=self._temporary is not None)
        self._world = World(self._time)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._world.end()
        self.store.close()
        self._memory.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def add(
        self,
        name: str,
        *,
        every: str | timedelta | None = None,
        cron: str | None = None,
        at: str | datetime | None = None,
        handler: Handler | None = None,
        config: Mapping[str, Any] | None = None,
        policy: Policy | None = None,
    ) -> ScheduledTask:
        """Add a task with one of the three schedules.

        `handler` is called for each run, with `config` in its task's `handler_config`;
        without a handler the run does nothing and succeeds. Raises ScheduleError if the
        task cannot be scheduled.
        """
        kind, schedule_config = _schedule_columns(every, cron, at)
        self.handlers[name] = handler or _do_nothing
        task = ScheduledTask(
            name=name,
            schedule_type=kind,
            schedule_config=schedule_config,
            handler_type=name,
            handler_config=None if config is None else json.dumps(dict(config)),
            policy=(policy or Policy()).to_json(),
        )
        now, zone = self.clock.now(), self.clock.zone()
        schedule = task_schedule(task, zone)
        slot = schedule.first(now, lambda slot: False)
        next_run_at = None if slot is None else local_text(slot, zone)
        stored = self.store.store_scheduled_task(replace(task, next_run_at=next_run_at))
        self.wake()
        return stored

    def wake(self) -> None:
        """Have the daemon look at once what is due, as a command does that changed something."""
        self._world.do(self._wake)

    def run(self, duration: timedelta | None = None, **units: float) -> None:
        """Let time pass: `run(days=365)`, `run(timedelta(hours=2))`.

        It ends early if the process crashes: see `crashed`. From then on time passes
        without a daemon, until `restart`.
        """
        seconds = (duration or timedelta(**units)).total_seconds()
        self._world.do(lambda: self._pass_time(seconds))

    def suspend(self, duration: timedelta | None = None, **units: float) -> None:
        """The machine sleeps: the wall clock goes on, the monotonic clock stops."""
        self.clock.shift(duration or timedelta(**units))

    def set_clock(self, instant: datetime | str) -> None:
        """Set the wall clock, on or back."""
        zone = self.clock.zone()
        wanted = parse_instant(instant, zone) if isinstance(instant, str) else as_utc(instant, zone)
        self.clock.shift(wanted - self.clock.now())

    def set_zone(self, name: str) -> None:
        """Change the machine's zone; the daemon notices at its next tick."""
        self.clock.move(parse_zone(name))

    def crash_after(self, writes: int = 0) -> None:
        """Kill the process as soon as it has made that many more writes; with 0 at once.

        A handler may call it too: what it does is then the last that the process did.
        """
        self._memory.dies_after = self._memory.writes + writes
        if writes == 0 and not self._world.is_current():
            self._world.do(self._end_process)

    @property
    def crashed(self) -> bool:
        """Whether the process has died and was not started again."""
        return self._memory.dead

    def restart(self) -> None:
        """Start a new process on the same database, after a crash or a clean stop."""
        self._world.do(self._end_process)
        self._memory.close()
        self._boot()

    def run_now(self, name: str) -> dict[str, Any]:
        """Run a task by hand, in another process than the daemon's."""
        return self._engine(self.store, "person").run_now(name)

    def history(self, name: str | None = None) -> list[Run]:
        """The runs, of one task or of all, the oldest first."""
        return self.store.runs.list_runs(task=name)[::-1]

    def _boot(self) -> None:
        self._memory = CrashingStore(self._path, self.clock, in_memory=self._temporary is not None)
        self._memory.stop_syncing()
        self._owner = f"daemon {next(self._owners)}"
        self.daemon = JarvisDaemon(
            self._memory,
            self._tick_interval,
            engine=self._engine(self._memory, self._owner),
            clock=self.clock,
            max_concurrent_ticks=1,
            run_sync=self._call_inline,
            skip=self._skip,
        )
        self._started = False
        self._death = trio.Event()
        self._gone = trio.Event()

    def _engine(self, store: MemoryStore, owner: str) -> SchedulerEngine:
        return SchedulerEngine(
            store,
            handlers=self.handlers,
            runner=run_inline,
            peers=Peers(owner, lambda other: other == self._owner, lambda other: ()),
            notices=Notices(store, self.clock, self._deliver, AlertChannel("simulated")),
            random=Random(0),
            limits=Limits(history_days=36_600, history_runs=1_000_000_000),
        )

    def _deliver(self, channel: str, config: Mapping[str, Any], message: Message) -> str:
        self.delivered.append((channel, message))
        return "the simulation"

    async def _pass_time(self, seconds: float) -> None:
        death = trio.Event() if self.crashed else self._death  # who is dead does not die again
        if not self._started and not self.crashed:
            self._started = True
            await self._world.nursery.start(self._live)
        self._ends_at = trio.current_time() + seconds
        with self._time.going(), trio.move_on_at(self._ends_at):
            await death.wait()
        # What is due at the very last instant runs, whatever the order of trio's tasks.
        await trio.testing.wait_all_tasks_blocked()

    async def _live(self, *, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as process:
            await process.start(self.daemon.run)
            task_status.started()
            await self._death.wait()
            process.cancel_scope.cancel()
        self._gone.set()

    async def _wake(self) -> None:
        self.daemon.wake()

    async def _end_process(self) -> None:
        if not self.crashed:
            self.daemon.shutdown()
            await trio.testing.wait_all_tasks_blocked()
        self._death.set()
        if self._started:
            await self._gone.wait()

    async def _call_inline(self, call: Callable[[], Any]) -> Any:
        result = call()
        while result == [] and self._is_idle():  # no other call than a tick returns a list
            now = trio.current_time()
            self._time.skip(now + self._tick_interval - now)  # rounded as the loop rounds it
            result = call()
        if self.crashed:
            self._death.set()
            await trio.sleep_forever()
        return result

    def _is_idle(self) -> bool:
        """Whether nothing at all happens before the next tick of the interval.

        Then that tick follows at once, at its own instant and with its own work. Only trio's
        sleep between the two is left out, which is most of what an idle year costs.
        """
        wanted_at = self.daemon.quiet_until
        is_regular = wanted_at is None or wanted_at - self.clock.now() > self._interval
        return is_regular and self._goes_on_for(self._tick_interval)

    def _skip(self, seconds: float) -> bool:
        """Let the sleep before a tick pass at once, if nothing but that tick can end it.

        Each of trio's sleeps costs as much as a run's SQL.
        """
        is_alone = self.daemon.only_ticks and self._goes_on_for(seconds)
        if is_alone:
            self._time.skip(seconds)
        return is_alone

    def _goes_on_for(self, seconds: float) -> bool:
        """Whether the process lives, and time passes, beyond that many seconds."""
        if self.crashed or self.daemon.stopped_by is not None or self._time.stands:
            return False
        return self._ends_at - trio.current_time() > seconds


def _schedule_columns(
    every: str | timedelta | None, cron: str | None, at: str | datetime | None
) -> tuple[ScheduleType, str]:
    if sum(option is not None for option in (every, cron, at)) > 1:
        raise ScheduleError("a task has one schedule", fix="give one of every=, cron= and at=")
    if every is not None:
        step = every if isinstance(every, timedelta) else parse_duration(every)
        return ScheduleType.INTERVAL, json.dumps({"seconds": step.total_seconds()})
    if cron is not None:
        return ScheduleType.CRON, json.dumps({"expression": cron})
    if at is not None:
        return ScheduleType.ONCE, json.dumps({"run_at": at if isinstance(at, str) else at.isoformat()})
    raise ScheduleError("give the task a schedule: every=, cron= or at=")


def _do_nothing(task: ScheduledTask, context: HandlerContext) -> None:
    return None
