"""The existing assistant's memory.db under our daemon: what is in it stays, and stays true for the assistant.

The file is made by plain SQL, as that program makes it; the assistant itself is a connection
that reads and writes while ours migrates the file and runs. `test_store_schema.py` has the
migration in itself.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest

from tests.support.cli_world import Program, eventually, execute

pytestmark = [pytest.mark.slow, pytest.mark.law(8)]

ZONE = "America/Denver"
DELIVERY = ", delivery_channel TEXT DEFAULT NULL, delivery_config TEXT DEFAULT NULL"
TABLES = """
CREATE TABLE facts (
    id INTEGER PRIMARY KEY, category TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, confidence REAL DEFAULT 1.0,
    source TEXT, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (category, key));
CREATE TABLE context (id INTEGER PRIMARY KEY, session_id TEXT, topic TEXT NOT NULL, summary TEXT NOT NULL);
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY, title TEXT NOT NULL, description TEXT DEFAULT '', context TEXT DEFAULT '',
    alternatives_considered TEXT DEFAULT '', decided_by TEXT DEFAULT '', owner TEXT DEFAULT '',
    status TEXT DEFAULT 'pending_execution', follow_up_date TEXT, tags TEXT DEFAULT '', source TEXT DEFAULT '',
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE delegations (
    id INTEGER PRIMARY KEY, task TEXT NOT NULL, description TEXT DEFAULT '', delegated_to TEXT NOT NULL,
    delegated_by TEXT DEFAULT '', due_date TEXT, priority TEXT DEFAULT 'medium', status TEXT DEFAULT 'active',
    source TEXT DEFAULT '', notes TEXT DEFAULT '', created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE alert_rules (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT DEFAULT '', alert_type TEXT NOT NULL,
    condition TEXT DEFAULT '', enabled INTEGER DEFAULT 1, last_triggered_at TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE webhook_events (
    id INTEGER PRIMARY KEY, source TEXT NOT NULL, event_type TEXT NOT NULL, payload TEXT NOT NULL DEFAULT '',
    status TEXT NOT NULL DEFAULT 'pending', received_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, processed_at TEXT);
CREATE TABLE scheduled_tasks (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT DEFAULT '', schedule_type TEXT NOT NULL,
    schedule_config TEXT NOT NULL DEFAULT '', handler_type TEXT NOT NULL, handler_config TEXT DEFAULT '',
    enabled INTEGER NOT NULL DEFAULT 1, last_run_at TEXT, next_run_at TEXT, last_result TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP{delivery});
CREATE INDEX idx_tasks_next ON scheduled_tasks (enabled, next_run_at);
CREATE TRIGGER theirs AFTER INSERT ON facts BEGIN
    INSERT INTO context (topic, summary) VALUES ('fact', NEW.key);
END;
"""
ROWS = """
INSERT INTO facts (category, key, value, confidence, created_at, updated_at) VALUES
    ('work', 'backup_last_success', '2099-01-01: all', 0.9, '2026-01-05T08:15:00.123456', '2026-01-05 08:15:00'),
    ('personal', 'naïve 日本', x'00ff00', NULL, NULL, '');
INSERT INTO decisions (title, status, created_at) VALUES ('Move', 'executed', '2026-01-05T08:15:00');
INSERT INTO delegations (task, delegated_to, due_date, created_at)
    VALUES ('Ask', 'Bea', '2099-01-01', '2026-01-05 08:15:00');
INSERT INTO alert_rules (name, alert_type, condition, created_at)
    VALUES ('late', 'overdue_delegation', '{"days_overdue":  1}', '2026-01-05T08:15:00');
INSERT INTO webhook_events (source, event_type, payload, received_at)
    VALUES ('github', 'push', '{"a":  1}', '2026-01-05T08:15:00');
INSERT INTO scheduled_tasks
    (name, schedule_type, schedule_config, handler_type, enabled, last_run_at, next_run_at, last_result, created_at)
VALUES
    ('alerts', 'interval', '{"hours": 2}', 'alert_eval', 1,
        '2026-01-05T08:15:00.5', '2026-01-05T10:15:00.5', '{"x":  1}', '2026-01-01 00:00:00'),
    ('later', 'cron', '{"expression": "0 9 * * 0-4"}', 'alert_eval', 1,
        NULL, '2098-01-06T09:00:00', NULL, '2026-01-01 00:00:00'),
    ('brief', 'cron', '{"expression": "0 7 * * *"}', 'morning_brief', 1,
        '2026-01-05T07:00:00', '2026-01-06T07:00:00', 'ok', NULL),
    ('off', 'interval', '{"minutes": 5}', 'webhook_poll', 0, '2026-01-05T08:15:00', '2026-01-05T08:20:00', NULL, NULL);
PRAGMA user_version = 4;
"""


class Existing(Program):
    """A data folder with an assistant's database, which our program has never seen."""

    def __init__(self, data: Path, delivery: str) -> None:
        super().__init__(data)
        self.environment |= {"TZ": ZONE, "DAEMON_TICK_INTERVAL_SECONDS": "1"}
        self.database = data / "memory.db"
        data.mkdir(mode=0o700)
        with closing(sqlite3.connect(self.database)) as connection:
            connection.executescript(TABLES.format(delivery=delivery) + ROWS)

    def all_rows(self, of_tasks: str = "true", database: Path | None = None) -> dict[str, list[str]]:
        """Every row of the assistant's, of its tasks those of the condition."""
        conditions = {"scheduled_tasks": of_tasks}
        return {table: self._rows(database or self.database, table, conditions.get(table)) for table in TABLE_NAMES}

    @staticmethod
    def _rows(database: Path, table: str, condition: str | None) -> list[str]:
        """The rows in the columns that the assistant knows, each value with its type and its bytes."""
        with closing(sqlite3.connect(database)) as connection:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] not in ADDED]
            literals = " || ',' || ".join(f"typeof({name}) || hex({name})" for name in columns)
            found = connection.execute(f"SELECT {literals} FROM {table} WHERE {condition or 'true'} ORDER BY id")
            return [row[0] for row in found]

    def copies(self) -> list[Path]:
        return sorted(self.data.glob("memory.db.before-*"))

    def is_due(self, name: str, naive_local_now: datetime) -> bool:
        """Whether the assistant, which compares texts, takes a task to be due."""
        due = f"SELECT name FROM scheduled_tasks WHERE next_run_at <= '{naive_local_now.isoformat()}'"
        return (name,) in execute(self.database, due)

    def value(self, column: str, name: str) -> object:
        ((value,),) = execute(self.database, f"SELECT {column} FROM scheduled_tasks WHERE name = '{name}'")
        return value

    def log(self) -> str:
        path = self.data / "jarvis-daemon.log"
        return path.read_text() if path.exists() else ""


TABLE_NAMES = ("facts", "context", "decisions", "delegations", "alert_rules", "webhook_events", "scheduled_tasks")
ADDED = {"policy", "delivery_channel", "delivery_config"}
NOT_DUE = "name NOT IN ('alerts', 'brief')"
SCHEMA = "SELECT name, sql FROM sqlite_master ORDER BY name"


def start(existing: Existing) -> subprocess.Popen[str]:
    """A daemon that has run what was due."""
    daemon = existing.start("run")
    eventually(lambda: "executed in" in existing.log())
    return daemon


def stop(daemon: subprocess.Popen[str]) -> None:
    daemon.send_signal(signal.SIGTERM)
    _, err = daemon.communicate(timeout=180)
    assert daemon.returncode == 0, err


class Before(NamedTuple):
    """What was in the file before our program saw it, and when it saw it."""

    rows: dict[str, list[str]]
    rows_not_due: dict[str, list[str]]
    schema: dict[str, str]
    at: datetime


@pytest.fixture
def existing(tmp_path: Path) -> Iterator[Existing]:
    existing = Existing(tmp_path / "data", DELIVERY)
    yield existing
    existing.end()


@pytest.fixture(scope="module", params=[DELIVERY, ""], ids=["delivery columns", "very old"])
def ran(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> tuple[Existing, Before]:
    """The file after the daemon has run what was due in it; tests only look at it."""
    existing = Existing(tmp_path_factory.mktemp("existing") / "data", request.param)
    schema = dict(execute(existing.database, SCHEMA))
    before = Before(existing.all_rows(), existing.all_rows(NOT_DUE), schema, datetime.now(ZoneInfo(ZONE)))
    try:
        stop(start(existing))
    finally:
        existing.end()
    return existing, before


def test_every_row_survives_byte_for_byte_but_what_a_run_says_of_its_task(ran: tuple[Existing, Before]) -> None:
    existing, before = ran
    assert existing.all_rows(NOT_DUE) == before.rows_not_due
    assert execute(existing.database, "PRAGMA user_version") == [(4,)]
    assert existing.value("created_at", "alerts") == "2026-01-01 00:00:00"


def test_the_change_is_announced_in_the_log_with_the_copy_of_the_file_as_it_was(ran: tuple[Existing, Before]) -> None:
    existing, before = ran
    (copy,) = existing.copies()
    assert f"Adding our tables to {existing.database}; a copy as it was is at {copy}" in existing.log()
    assert existing.all_rows(database=copy) == before.rows
    assert dict(execute(copy, SCHEMA)) == before.schema


def test_all_that_was_there_is_there_and_what_is_new_is_ours(ran: tuple[Existing, Before]) -> None:
    existing, before = ran
    after = dict(execute(existing.database, SCHEMA))
    assert {name for name in before.schema if after[name] != before.schema[name]} == {"scheduled_tasks"}
    assert after["scheduled_tasks"].startswith(before.schema["scheduled_tasks"].rstrip(")"))


def test_comparing_texts_stays_right_for_the_assistant(ran: tuple[Existing, Before]) -> None:
    """It asks `next_run_at <= ?` with its naive local now; we write local time with the offset."""
    existing, before = ran
    slot = datetime.fromisoformat(str(existing.value("next_run_at", "alerts")))
    assert slot.utcoffset() is not None
    naive = slot.replace(tzinfo=None)
    assert before.at < slot
    assert not existing.is_due("alerts", before.at.replace(tzinfo=None))
    assert not existing.is_due("alerts", naive - timedelta(seconds=1))
    assert existing.is_due("alerts", naive + timedelta(seconds=1))


def test_the_assistant_reads_what_ran_and_what_came_of_it(ran: tuple[Existing, Before]) -> None:
    existing, before = ran
    last_run_at = datetime.fromisoformat(str(existing.value("last_run_at", "alerts")))
    assert before.at <= last_run_at <= datetime.now(ZoneInfo(ZONE))
    assert json.loads(str(existing.value("last_result", "alerts")))["status"] == "ok"


def test_a_handler_that_only_the_assistant_has_is_said_once_and_its_result_left_alone(
    ran: tuple[Existing, Before],
) -> None:
    existing, _ = ran
    assert existing.log().count("morning_brief") == 1
    assert existing.value("last_run_at", "brief") == "2026-01-05T07:00:00"
    assert existing.value("last_result", "brief") == "ok"


@pytest.mark.parametrize("command", [["doctor"], ["launchd", "render"]])
def test_who_only_looks_changes_nothing(existing: Existing, command: list[str]) -> None:
    before = existing.database.read_bytes()
    existing(*command)
    assert existing.database.read_bytes() == before
    assert list(existing.data.iterdir()) == [existing.database]


def test_it_is_changed_once(existing: Existing) -> None:
    stop(start(existing))
    before = execute(existing.database, SCHEMA)
    again = existing.start("run")
    eventually(lambda: existing.log().count("Started: ") == 2)
    stop(again)
    assert execute(existing.database, SCHEMA) == before
    assert len(existing.copies()) == 1
    assert existing.log().count("Adding our tables") == 1


def test_the_assistant_works_on_while_we_change_the_file_and_run(existing: Existing) -> None:
    """It reads and writes all the time, in a process of its own, and is never told that the file is locked."""
    script = """
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], timeout=10, check_same_thread=False)
number = 0
print("ready", flush=True)
while True:
    number += 1
    c.execute("INSERT INTO facts (category, key, value) VALUES ('theirs', ?, ?)", (str(number), "v" * number))
    c.execute("UPDATE scheduled_tasks SET description = ? WHERE name = 'later'", (str(number),))
    c.commit()
    assert c.execute("SELECT count(*) FROM facts WHERE category = 'theirs'").fetchone() == (number,)
    print(number, flush=True)
    time.sleep(0.01)
"""

    def written() -> list[int]:
        keys = execute(existing.database, "SELECT key FROM facts WHERE category = 'theirs' ORDER BY id")
        return [int(key) for (key,) in keys]

    command = [sys.executable, "-c", script, existing.database]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as assistant:
        try:
            assert assistant.stdout is not None
            assert assistant.stdout.readline() == "ready\n"
            daemon = start(existing)
            before = len(written())
            eventually(lambda: len(written()) > before + 5)
            assert assistant.poll() is None
            stop(daemon)
        finally:
            assistant.terminate()
            out, err = assistant.communicate(timeout=180)
    assert err == ""
    assert written() == list(range(1, len(written()) + 1))
    assert len(written()) >= int(out.split()[-1])
    assert "ERROR" not in existing.log()


def test_a_task_that_the_assistant_adds_with_a_naive_time_runs(existing: Existing) -> None:
    daemon = start(existing)
    now = datetime.now(ZoneInfo(ZONE)).replace(tzinfo=None).isoformat()
    execute(
        existing.database,
        "INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type, next_run_at)"
        f" VALUES ('new', 'interval', '{{\"hours\": 1}}', 'alert_eval', '{now}')",
    )
    eventually(lambda: existing.value("last_result", "new"))
    stop(daemon)
