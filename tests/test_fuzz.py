"""Whatever rows, rules, files and settings hold, the engine lives, and the good task beside them is on time (law 4)."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jarvis_trio.errors import SettingError
from jarvis_trio.handlers.alert_eval import AlertEval
from jarvis_trio.handlers.webhook_poll import WebhookPoll
from jarvis_trio.models import HandlerContext, RunStatus, ScheduledTask
from jarvis_trio.settings import TABLE, read_settings
from jarvis_trio.testing import Simulation

START = datetime(2026, 3, 8, 8, 30, tzinfo=UTC)
"""Half an hour before the clocks of Denver are set on."""

MINUTES = 10
EVERY = timedelta(minutes=2)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
odd_numbers = st.sampled_from([0, -1, 1, 60, 10**9, 10**400, 1e300, 1e-9, float("nan"), float("inf"), True, None, "5", []])
times = st.sampled_from(
    ["0001-01-01T00:00:00", "9999-12-31T23:59:59.999999", "9999-12-31T12:00:00+00:00", "2026-03-08T02:30:00", "soon", ""]
)
cells = st.one_of(st.none(), text, st.binary(max_size=8), st.integers(-(2**63), 2**63 - 1), st.floats(), times)
names = st.sampled_from(["every-day", "US/Eastern", "../../etc/passwd", "", "Europe", "\0", "no/such"])


def json_texts(values: st.SearchStrategy[Any], *keys: str) -> st.SearchStrategy[str]:
    """JSON objects with some of these keys, as text; NaN and infinities as JavaScript writes them."""
    return st.dictionaries(st.sampled_from(keys), values, max_size=len(keys)).map(json.dumps)


schedules = st.one_of(
    json_texts(odd_numbers, "seconds", "minutes", "hours", "days"),
    json_texts(st.one_of(st.sampled_from(["* * * * *", "30 2 * * *", "0 0 30 2 *", "@yearly", "*/0 * * * *"]), text), "expression"),
    json_texts(st.one_of(times, text), "run_at"),
    st.just("[" * 100_000),
    cells,
)
policies = st.one_of(
    json_texts(odd_numbers, "retries", "retry_delay_seconds", "timeout_seconds", "misfire_grace_seconds", "alert_after_seconds"),
    json_texts(names, "timezone", "on_interrupt"),
    cells,
)
tasks = st.fixed_dictionaries(
    {
        "name": st.one_of(cells, st.just("good")),
        "schedule_type": st.one_of(st.sampled_from(["interval", "cron", "once"]), cells),
        "schedule_config": schedules,
        "handler_type": st.one_of(st.sampled_from(["bad", "good", "nobody's"]), cells),
        "handler_config": cells,
        "next_run_at": st.one_of(times, cells),
        "policy": policies,
        "delivery_channel": st.one_of(st.none(), cells),
        "delivery_config": cells,
        "last_run_at": cells,
        "last_result": cells,
        "created_at": cells,
        "updated_at": cells,
        "enabled": st.one_of(st.just(1), cells),
    }
)
misdeeds = st.sampled_from(
    [
        SystemExit(0),
        KeyboardInterrupt(),
        RecursionError(),
        MemoryError(),
        ValueError("\ud800 has no bytes"),
        {"status": "error", "error": "\ud800"},
        {("a", "tuple"): object()},
        float("nan"),
        b"\xff",
        "\ud800",
        "x" * 200_000,
    ]
)


class FailedTicks(logging.Handler):
    """What the daemon says of ticks that failed."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


class World:
    """A simulation in which a good task runs beside whatever else there is."""

    def __init__(self, zone: str = "UTC") -> None:
        self.folder = TemporaryDirectory()
        self.simulation = Simulation(START, zone=zone, folder=Path(self.folder.name))
        self.simulation.add("good", every=EVERY)
        self.failed_ticks = FailedTicks()

    def __enter__(self) -> World:
        logging.getLogger("jarvis_trio.daemon").addHandler(self.failed_ticks)
        logging.getLogger("jarvis_trio").propagate = False  # pytest would keep every line of every example
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("jarvis_trio").propagate = True
        logging.getLogger("jarvis_trio.daemon").removeHandler(self.failed_ticks)
        self.simulation.__exit__()
        self.folder.cleanup()

    def insert(self, table: str, row: dict[str, Any]) -> None:
        """Add a row as another program may; what the table itself refuses is left out."""
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        with closing(sqlite3.connect(self.simulation.store.path, isolation_level=None)) as other:
            other.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", list(row.values()))

    def change(self, name: str, column: str, value: object) -> None:
        """Change a row as another program may."""
        with closing(sqlite3.connect(self.simulation.store.path, isolation_level=None)) as other:
            other.execute(f"UPDATE OR IGNORE scheduled_tasks SET {column} = ? WHERE name = ?", (value, name))

    def the_good_task_is_on_time(self) -> None:
        assert self.failed_ticks.said == []
        runs = [run for run in self.simulation.history("good") if run.task_id == 1]
        slots = [START + number * EVERY for number in range(1, MINUTES // 2 + 1)]
        assert [(run.started_at, run.status) for run in runs] == [(slot, RunStatus.EXECUTED) for slot in slots]


@pytest.mark.law(4)
@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(tasks, min_size=1, max_size=4),
    changes=st.lists(st.tuples(st.sampled_from(["schedule_config", "next_run_at", "policy", "enabled"]), cells), max_size=3),
    misdeed=misdeeds,
    zone=st.sampled_from(["UTC", "America/Denver", "Pacific/Kiritimati", "Pacific/Pago_Pago"]),
)
def test_no_row_and_no_handler_makes_the_good_task_late(
    rows: list[dict[str, Any]], changes: list[tuple[str, Any]], misdeed: Any, zone: str
) -> None:
    def misbehave(task: ScheduledTask, context: HandlerContext) -> Any:
        if isinstance(misdeed, BaseException):
            raise misdeed
        return misdeed

    with World(zone) as world:
        world.simulation.handlers["bad"] = misbehave
        for number, row in enumerate(rows):
            world.insert("scheduled_tasks", row | ({"name": f"row-{number}"} if row["name"] is None else {}))
        world.simulation.run(minutes=MINUTES / 2)
        for column, value in changes:
            world.change("row-0", column, value)
        world.simulation.run(minutes=MINUTES / 2, seconds=1)
        world.the_good_task_is_on_time()
        assert not [run for run in world.simulation.history() if run.status is RunStatus.RUNNING]
