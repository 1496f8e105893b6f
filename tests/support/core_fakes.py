"""What the tests of the core share: a clock they set, tasks they add, handlers that remember."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from jarvis_trio.delivery import Message
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.errors import DeliveryError, StoreUnsureError
from jarvis_trio.handlers.guard import Guard
from jarvis_trio.models import HandlerContext, Run, ScheduledTask
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.sqlite import SqliteFile

MakeEngine = Callable[..., SchedulerEngine]
"""Called as `SchedulerEngine` is; see the fixture `make_engine`."""

Due = Callable[..., ScheduledTask]
"""Called as `a_task` is; see the fixture `due`."""

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""A Monday, a week before the clocks change in America."""

PATIENCE = 60.0
"""Seconds that a test waits for what happens at once, before it fails."""

ASSISTANTS = """
CREATE TABLE scheduled_tasks (
    id INTEGER PRIMARY KEY, name TEXT UNIQUE, description TEXT, schedule_type TEXT, schedule_config TEXT,
    handler_type TEXT, handler_config TEXT, enabled INTEGER, last_run_at TEXT, next_run_at TEXT, last_result TEXT,
    created_at TEXT, updated_at TEXT);
INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type, enabled)
VALUES ('backup', 'interval', '{"hours": 24}', 'webhook_poll', 1);
"""
"""What an assistant's database holds before we open it: its table, and a task."""


class FakeClock:
    """Stands still until a test moves it."""

    def __init__(self, instant: datetime = START, zone: tzinfo = UTC) -> None:
        self.instant = instant
        self.machine_zone = zone
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.instant

    def zone(self) -> tzinfo:
        return self.machine_zone

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, **units: float) -> None:
        """Time passes on both clocks."""
        step = timedelta(**units)
        self.instant += step
        self.seconds += step.total_seconds()

    def set(self, **units: float) -> None:
        """Somebody sets the wall clock, on or (by negative units) back; so does a suspend, on."""
        self.instant += timedelta(**units)


class Notes:
    """A handler that remembers its calls as (name, slot, attempt)."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, datetime, int]] = []

    def __call__(self, task: ScheduledTask, context: HandlerContext) -> Mapping[str, Any]:
        self.calls.append((task.name, context.scheduled_for, context.attempt))
        return {"ok": True}

    @property
    def slots(self) -> list[datetime]:
        return [slot for _, slot, _ in self.calls]

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.calls]


class Gate:
    """A handler (or an engine's call) that blocks until the test lets it go on."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.opened = threading.Event()
        self.passed = 0
        self.inside = 0
        self.most_inside = 0
        self.has_given_up = False
        self._guard = threading.Lock()

    def __call__(self, *_: object) -> None:
        with self._guard:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        self.entered.release()
        if not self.opened.wait(PATIENCE):
            self.has_given_up = True  # an engine takes what is raised here for the end of a run
            raise AssertionError("nobody opened the gate")
        with self._guard:
            self.inside -= 1
            self.passed += 1

    def wait(self, count: int = 1) -> None:
        """Wait until `count` more calls are inside."""
        for _ in range(count):
            assert self.entered.acquire(timeout=PATIENCE), "nobody came to the gate"

    @contextmanager
    def holding(self, call: Callable[[], Any]) -> Iterator[None]:
        """Within the block `call`, made in another thread, is inside; after it the call has ended."""
        thread = in_thread(call)
        self.wait()
        try:
            yield
        finally:
            self.opened.set()
            finish(thread)
        assert not self.has_given_up, "what was awaited came only after the call had given up"


@contextmanager
def answer_lost(store: MemoryStore) -> Iterator[None]:
    """Within the block the next COMMIT counts, and nobody hears that it does."""
    commit = store.connection.commit

    def unanswered() -> None:
        vars(store.connection).pop("commit", None)
        commit()
        raise StoreUnsureError("the server is gone", fix="wait")

    vars(store.connection)["commit"] = unanswered
    yield
    assert "commit" not in vars(store.connection), "nothing was committed"


class ToldGuard(Guard):
    """Remembers what it is told, and starts no process; `broken` can guard no run."""

    def __init__(self) -> None:
        super().__init__("nobody", timedelta(hours=1))
        self.lines: list[str] = []
        self.broken = False

    def begin(self, run_id: int) -> None:
        if self.broken:
            raise OSError("no process")
        self.lines.append(f"+{run_id}")

    def end(self, run_id: int) -> None:
        self.lines.append(f"-{run_id}")

    def beat(self) -> None:
        self.lines.append(".")

    def close(self) -> None:
        self.lines.append("closed")


def fail(*_: object) -> None:
    """A handler that fails."""
    raise ValueError("no net")


@contextmanager
def ends_refused(store: MemoryStore) -> Iterator[None]:
    """Within the block another program's trigger refuses the end of each run, on either database."""
    if isinstance(store.connection, SqliteFile):
        make = ["CREATE TRIGGER theirs BEFORE UPDATE OF live ON task_runs BEGIN SELECT RAISE(ABORT, 'mine'); END"]
        drop = ["DROP TRIGGER theirs"]
    else:
        make = [
            "CREATE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $$mine$$; END'",
            "CREATE TRIGGER theirs BEFORE UPDATE OF live ON task_runs FOR EACH ROW EXECUTE FUNCTION theirs()",
        ]
        drop = ["DROP TRIGGER theirs ON task_runs", "DROP FUNCTION theirs()"]
    for statement in make:
        store.write(statement)
    try:
        yield
    finally:
        for statement in drop:
            store.write(statement)


def a_task(
    name: str = "job",
    *,
    every: Mapping[str, Any] | None = None,
    cron: str | None = None,
    at: str | None = None,
    handler: str = "note",
    policy: Mapping[str, Any] | None = None,
    **columns: Any,
) -> ScheduledTask:
    """A task, by default one that runs every 5 minutes and is noted."""
    kind, config = "interval", dict(every or {"minutes": 5})
    if cron is not None:
        kind, config = "cron", {"expression": cron}
    if at is not None:
        kind, config = "once", {"run_at": at}
    return ScheduledTask(
        name=name,
        schedule_type=kind,
        schedule_config=json.dumps(config),
        handler_type=handler,
        policy=None if policy is None else json.dumps(policy),
        **columns,
    )


def told(runs: list[Run]) -> list[tuple[datetime, int, str]]:
    """Runs as (slot, attempt, status), the oldest first."""
    return [(run.scheduled_for, run.attempt, str(run.status)) for run in reversed(runs)]


def history(store: MemoryStore, name: str = "job") -> list[tuple[datetime, int, str]]:
    """A task's runs as (slot, attempt, status), the oldest first."""
    return told(store.runs.list_runs(task=name))


def tick(engine: SchedulerEngine) -> list[tuple[str, str]]:
    """What a tick tells: names and statuses."""
    return [(result["name"], result["status"]) for result in engine.evaluate_due_tasks()]


def in_thread(call: Callable[[], Any]) -> threading.Thread:
    """Start `call` in a thread of its own."""
    thread = threading.Thread(target=call)
    thread.start()
    return thread


def finish(*threads: threading.Thread) -> None:
    """Wait until the threads have ended."""
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def wait_until(condition: Callable[[], object]) -> None:
    """Poll for an outcome that another thread brings about."""
    pause, left = threading.Event(), PATIENCE
    while not condition():
        assert left > 0, "it did not come about"
        pause.wait(0.01)
        left -= 0.01


class Channel:
    """Remembers what was sent, and refuses it while it is `broken`."""

    def __init__(self) -> None:
        self.broken = False
        self.sent: list[tuple[str, dict[str, Any], Message]] = []

    def __call__(self, channel: str, config: Mapping[str, Any], message: Message) -> str:
        if self.broken:
            raise DeliveryError(f"{channel}: the server is away")
        self.sent.append((channel, dict(config), message))
        return "the test"

    @property
    def statuses(self) -> list[str]:
        return [message.status for _, _, message in self.sent]
