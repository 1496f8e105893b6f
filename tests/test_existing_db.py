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
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cli_world import Program, eventually, execute

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
INSERT INTO delegations (task, delegated_to, due_date, created_at) VALUES ('Ask', 'Bea', '2099-01-01', '2026-01-05 08:15:00');
INSERT INTO alert_rules (name, alert_type, condition, created_at)
    VALUES ('late', 'overdue_delegation', '{"days_overdue":  1}', '2026-01-05T08:15:00');
INSERT INTO webhook_events (source, event_type, payload, received_at) VALUES ('github', 'push', '{"a":  1}', '2026-01-05T08:15:00');
INSERT INTO scheduled_tasks
    (name, schedule_type, schedule_config, handler_type, enabled, last_run_at, next_run_at, last_result, created_at)
VALUES
    ('alerts', 'interval', '{"hours": 2}', 'alert_eval', 1, '2026-01-05T08:15:00.5', '2026-01-05T10:15:00.5', '{"x":  1}', '2026-01-01 00:00:00'),
    ('later', 'cron', '{"expression": "0 9 * * 0-4"}', 'alert_eval', 1, NULL, '2098-01-06T09:00:00', NULL, '2026-01-01 00:00:00'),
    ('brief', 'cron', '{"expression": "0 7 * * *"}', 'morning_brief', 1, '2026-01-05T07:00:00', '2098-01-06T07:00:00', 'ok', NULL),
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

    def rows(self, table: str, condition: str = "true") -> list[str]:
        """The rows of a table in the columns that the assistant knows, each value with its type and its bytes."""
        with closing(sqlite3.connect(self.database)) as connection:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            literals = " || ',' || ".join(f"typeof({name}) || hex({name})" for name in columns if name not in ADDED)
            return [row[0] for row in connection.execute(f"SELECT {literals} FROM {table} WHERE {condition} ORDER BY id")]

    def all_rows(self, tasks: str = "true") -> dict[str, list[str]]:
        """Every row of the assistant's, of its tasks those of the condition."""
        return {table: self.rows(table, tasks if table == "scheduled_tasks" else "true") for table in TABLE_NAMES}

    def copies(self) -> list[Path]:
        return sorted(self.data.glob("memory.db.before-*"))

    def is_due(self, name: str, naive_local_now: datetime) -> bool:
        """Whether the assistant, which compares texts, takes a task to be due."""
        now = naive_local_now.isoformat()
        return bool(execute(self.database, f"SELECT 1 FROM scheduled_tasks WHERE name = '{name}' AND next_run_at <= '{now}'"))


TABLE_NAMES = ("facts", "context", "decisions", "delegations", "alert_rules", "webhook_events", "scheduled_tasks")
ADDED = {"policy", "delivery_channel", "delivery_config"}
NOT_RUN = "name <> 'alerts'"


@pytest.fixture(params=[DELIVERY, ""], ids=["delivery columns", "very old"])
def existing(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Existing]:
    existing = Existing(tmp_path / "data", request.param)
    yield existing
    existing.end()


def run_once(existing: Existing) -> str:
    """The daemon runs what is due, and is stopped. Returns its log."""
    return stopped(existing, start(existing))


def start(existing: Existing) -> subprocess.Popen[str]:
    daemon = existing.start("run")
    eventually(lambda: log(existing).count("Tick:"))
    return daemon


def stopped(existing: Existing, daemon: subprocess.Popen[str]) -> str:
    daemon.send_signal(signal.SIGTERM)
    _, err = daemon.communicate(timeout=20)
    assert daemon.returncode == 0, err
    return log(existing)


def log(existing: Existing) -> str:
    path = existing.data / "jarvis-daemon.log"
    return path.read_text() if path.exists() else ""


def test_every_row_survives_byte_for_byte_but_what_a_run_says_of_its_task(existing: Existing) -> None:
    before = existing.all_rows(NOT_RUN)
    run_once(existing)
    assert existing.all_rows(NOT_RUN) == before
    assert execute(existing.database, "PRAGMA user_version") == [(4,)]
    assert execute(existing.database, "SELECT created_at FROM scheduled_tasks WHERE name = 'alerts'") == [("2026-01-01 00:00:00",)]


def test_the_change_is_announced_in_the_log_with_the_copy_of_the_file_as_it_was(existing: Existing) -> None:
    before = existing.all_rows()
    said = run_once(existing)
    (copy,) = existing.copies()
    assert f"Adding our tables to {existing.database}; a copy as it was is at {copy}" in said
    existing.database = copy
    assert existing.all_rows() == before
    assert execute(copy, "SELECT count(*) FROM sqlite_master WHERE name = 'task_runs'") == [(0,)]


def test_it_is_changed_once(existing: Existing) -> None:
    run_once(existing)
    before = execute(existing.database, "SELECT name, sql FROM sqlite_master ORDER BY name")
    stopped(existing, start(existing))
    assert execute(existing.database, "SELECT name, sql FROM sqlite_master ORDER BY name") == before
    assert len(existing.copies()) == 1
    assert log(existing).count("Adding our tables") == 1


def test_all_that_was_there_is_there_and_what_is_new_is_ours(existing: Existing) -> None:
    before = dict(execute(existing.database, "SELECT name, sql FROM sqlite_master"))
    run_once(existing)
    after = dict(execute(existing.database, "SELECT name, sql FROM sqlite_master"))
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {"scheduled_tasks"}
    assert after["scheduled_tasks"].startswith(before["scheduled_tasks"].rstrip(")"))


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
    with subprocess.Popen(
        ["python3", "-c", script, existing.database], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as assistant:
        try:
            assert assistant.stdout is not None
            assert assistant.stdout.readline() == "ready\n"
            daemon = start(existing)
            count = len(execute(existing.database, "SELECT 1 FROM facts WHERE category = 'theirs'"))
            eventually(lambda: len(execute(existing.database, "SELECT 1 FROM facts WHERE category = 'theirs'")) > count + 5)
            assert assistant.poll() is None
            said = stopped(existing, daemon)
        finally:
            assistant.terminate()
            out, err = assistant.communicate(timeout=20)
    assert err == ""
    written = [int(key) for (key,) in execute(existing.database, "SELECT key FROM facts WHERE category = 'theirs'")]
    assert sorted(written) == list(range(1, max(written) + 1))
    assert len(written) >= int(out.split()[-1])
    assert "ERROR" not in said


def test_a_task_that_the_assistant_adds_with_a_naive_time_runs(existing: Existing) -> None:
    daemon = start(existing)
    now = datetime.now(ZoneInfo(ZONE)).replace(tzinfo=None).isoformat()
    execute(
        existing.database,
        "INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type, next_run_at)"
        f" VALUES ('new', 'interval', '{{\"hours\": 1}}', 'alert_eval', '{now}')",
    )
    eventually(lambda: execute(existing.database, "SELECT last_result FROM scheduled_tasks WHERE name = 'new'") != [(None,)])
    stopped(existing, daemon)


def test_comparing_texts_stays_right_for_the_assistant(existing: Existing) -> None:
    """It asks `next_run_at <= ?` with its naive local now; we write local time with the offset."""
    run_once(existing)
    ((text,),) = execute(existing.database, "SELECT next_run_at FROM scheduled_tasks WHERE name = 'alerts'")
    slot = datetime.fromisoformat(text)
    assert slot.utcoffset() is not None
    naive = slot.replace(tzinfo=None)
    local = datetime.now(ZoneInfo(ZONE)).replace(tzinfo=None)
    assert local < naive
    assert not existing.is_due("alerts", local)
    assert not existing.is_due("alerts", naive.replace(microsecond=0))
    assert existing.is_due("alerts", naive.replace(second=naive.second + 1))


def test_the_assistant_reads_what_ran_and_what_came_of_it(existing: Existing) -> None:
    before = datetime.now(ZoneInfo(ZONE))
    run_once(existing)
    sql = "SELECT last_run_at, last_result FROM scheduled_tasks WHERE name = 'alerts'"
    ((last_run_at, last_result),) = execute(existing.database, sql)
    assert before <= datetime.fromisoformat(last_run_at) <= datetime.now(ZoneInfo(ZONE))
    assert json.loads(last_result)["status"] == "ok"
    assert execute(existing.database, "SELECT last_triggered_at FROM alert_rules") == [(None,)]


def test_a_handler_that_only_the_assistant_has_is_left_to_it(existing: Existing) -> None:
    execute(existing.database, "UPDATE scheduled_tasks SET next_run_at = '2026-01-05T07:00:00' WHERE name = 'brief'")
    said = run_once(existing)
    assert "no handler of type 'morning_brief' is installed" in said or "morning_brief" in said
    sql = "SELECT last_run_at, last_result FROM scheduled_tasks WHERE name = 'brief'"
    assert execute(existing.database, sql) == [("2026-01-05T07:00:00", "ok")]
