"""A data folder with tasks of many kinds, made to be tortured."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.support.dripping import Dripping
from tests.support.jumping_clock import JumpingClock

CHECKOUT = Path(__file__).parents[3]
ZONE = ZoneInfo("Asia/Kolkata")
"""The zone of the arena's machine: half an hour beside all others, without DST."""

_SETTINGS = ("JARVIS_", "DAEMON_", "MEMORY_", "SCHEDULER_", "WEBHOOK_")


@dataclass(frozen=True)
class Task:
    """A row of `scheduled_tasks`, and what the checker has to know of it.

    `step_seconds` is the time between two slots (None: there is only one), `command` what
    `command.sh` is to do. `good` tasks are quick and have to be on time when all is calm.
    A task that is `told` has a channel whose server hangs.
    """

    name: str
    step_seconds: int | None
    command: str = "0 ok"
    policy: dict[str, Any] = field(default_factory=dict)
    cron: str | None = None
    handler: str = "custom"
    good: bool = False
    told: bool = False


GENTLE = [
    Task("every-second", 1, good=True),
    Task("every-3s", 3, "1 ok", good=True),
    Task("busy", 2, "5 ok"),
    Task("told", 2, good=True, told=True),
    Task("at-most-once", 2, "3 ok", {"on_interrupt": "skip"}),
    Task("punctual", 2, policy={"misfire_grace_seconds": 1}),
    Task("fails", 3, "1 fail", {"retries": 2, "retry_delay_seconds": 0.3}),
    Task("flaky", 4, "1 flaky", {"retries": 3, "retry_delay_seconds": 0.2}),
    Task("leaves-a-child", 4, "1 litter"),
    Task("prints-much", 5, "0 loud"),
    Task("every-minute", 60, cron="* * * * *", good=True),
    Task("even-minutes", 120, cron="*/2 * * * *"),
    Task("of-nobody's-type", 5, handler="morning_brief"),
]
ROUGH = [
    Task("overlong", 2, "40 ok"),
    Task("beyond-its-limit", 5, "50 ok", {"timeout_seconds": 1}),
    Task("stubborn", 15, "100 stubborn", {"timeout_seconds": 1}),
]


_HANDLERS = ("custom",)
_HANGING = ("email", '{"to": "me@example.org"}')


class Arena:
    """One data folder, its tasks, its record of what was done to it, and how to start programs on it.

    Args:
        folder: made here; all evidence lands in it.
        tasks: the rows to make.
        seconds: for how long it is to last, so that tasks that run once can be spread over it.
        clock: the clock of its daemons, if that is to jump; commands have the machine's.
    """

    def __init__(self, folder: Path, tasks: list[Task], seconds: float, clock: JumpingClock | None = None) -> None:
        self.folder = folder
        self.clock = clock
        self.data = folder / "data"
        self.database = self.data / "memory.db"
        self._events = folder / "events.jsonl"
        self._guard = threading.Lock()
        self._command = folder / "command.sh"
        self._trace = folder / "trace.log"
        own = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
        self._environment = own | {
            "JARVIS_DATA_DIR": str(self.data),
            "DAEMON_TICK_INTERVAL_SECONDS": "2",
            "DAEMON_MAX_CONCURRENT_TASKS": "12",
            "HOME": str(folder),
            "TZ": ZONE.key,
            "JARVIS_SMTP_URL": f"smtp://127.0.0.1:{Dripping().port}",
            **({} if clock is None else clock.environment),
        }
        self._make(tasks, seconds)

    def _make(self, tasks: list[Task], seconds: float) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)
        self._trace.touch()
        self._events.touch()
        shutil.copy(Path(__file__).with_name("command.sh"), self._command)
        self._command.chmod(0o700)
        self.run("init")
        self.run("allow", str(self._command))
        start = int(time.time()) + 2
        once = [Task(f"once-{number}", None) for number in range(2, int(seconds), 7)]
        spec = {}
        with self.connected() as connection:
            for task in [*tasks, *once]:
                first = start + int(task.name.removeprefix("once-")) if task.step_seconds is None else start
                if task.cron is not None and task.step_seconds is not None:
                    first += -first % task.step_seconds
                connection.execute(
                    "INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type, handler_config,"
                    " policy, next_run_at, delivery_channel, delivery_config) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (task.name, *self._columns(task, first), *(_HANGING if task.told else (None, None))),
                )
                spec[task.name] = {
                    "first": first * 1_000_000,
                    "step": task.step_seconds and task.step_seconds * 1_000_000,
                    "policy": task.policy,
                    "traced": task.handler == "custom",
                    "good": task.good,
                    "has_handler": task.handler in _HANDLERS,
                }
            often = json.dumps({"seconds": 2})
            connection.execute("UPDATE scheduled_tasks SET schedule_config = ? WHERE name = 'webhook_poll'", [often])
        (self.folder / "spec.json").write_text(json.dumps({"tasks": spec, "clock_jumps": self.clock is not None}))

    def _columns(self, task: Task, first: int) -> tuple[str, str, str, str, str, str | None]:
        # As the existing assistant writes it: naive local text.
        local = datetime.fromtimestamp(first, ZONE).replace(tzinfo=None).isoformat()
        kind, schedule = "once", json.dumps({"run_at": local})
        if task.cron is not None:
            kind, schedule = "cron", json.dumps({"expression": task.cron})
        elif task.step_seconds is not None:
            kind, schedule = "interval", json.dumps({"seconds": task.step_seconds})
        command = json.dumps({"command": [str(self._command), str(self._trace), *task.command.split()]})
        next_run = None if kind == "once" else local
        return kind, schedule, task.handler, command, json.dumps(task.policy), next_run

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """A connection to the database, as another program has it; commits at the end."""
        with closing(sqlite3.connect(self.database, timeout=100)) as connection, connection:
            yield connection

    def record(self, event: str, **details: Any) -> None:
        """Note what was done or seen, for the checker."""
        line = json.dumps({"at": time.time(), "event": event, **details})
        with self._guard, self._events.open("a") as file:
            print(line, file=file)

    def is_caught_up(self) -> bool:
        """Whether nothing in the queue has been due for longer than a moment."""
        with self.connected() as connection:
            (due_at,) = connection.execute("SELECT min(due_at) FROM task_queue").fetchone()
        return due_at is None or due_at > (time.time() - 1) * 1_000_000

    def count(self, *events: str) -> int:
        """How often one of these was noted."""
        lines = map(json.loads, self._events.read_text().splitlines())
        return sum(line["event"] in events for line in lines)

    def start(self, *arguments: str, behind: Sequence[str] = (), **environment: str) -> Program:
        """Start `python -m jarvis_trio` with these arguments.

        `behind` is a command that runs it, and `environment` what it has beside the arena's own.
        """
        with tempfile.NamedTemporaryFile("wb", dir=self.folder, prefix="said-", delete=False) as said:
            process = subprocess.Popen(
                [*behind, sys.executable, "-m", "jarvis_trio", *arguments],
                cwd=CHECKOUT,
                env=self._environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        return Program(process, Path(said.name))

    def run(self, *arguments: str) -> None:
        """Run a command that has to succeed."""
        program = self.start(*arguments)
        assert program.process.wait() == 0, program.said()
        program.forget()


@dataclass(frozen=True)
class Program:
    """A started command, and the file with all that it says."""

    process: subprocess.Popen[bytes]
    file: Path

    def said(self) -> str:
        return self.file.read_text(errors="replace")

    def forget(self) -> None:
        """Remove what it said, once that is of no use any more."""
        self.file.unlink()

    def wait_until_started(self, seconds: float) -> bool:
        """Wait for the daemon's word that it has started; returns whether it said so in time."""
        deadline = time.monotonic() + seconds
        while "Started:" not in self.said():
            if self.process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True
