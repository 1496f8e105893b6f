# ruff: noqa: DTZ005  # its times are naive and local: that is what has to be lived with
import sqlite3
from datetime import datetime
from pathlib import Path

from .models import ScheduledTask

TABLES = """
CREATE TABLE IF NOT EXISTS scheduled_tasks (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT DEFAULT '', schedule_type TEXT NOT NULL,
    schedule_config TEXT NOT NULL DEFAULT '', handler_type TEXT NOT NULL, handler_config TEXT DEFAULT '',
    enabled INTEGER NOT NULL DEFAULT 1, last_run_at TEXT, next_run_at TEXT, last_result TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    delivery_channel TEXT DEFAULT NULL, delivery_config TEXT DEFAULT NULL);
CREATE TABLE IF NOT EXISTS journal (id INTEGER PRIMARY KEY, entry TEXT NOT NULL);
"""


class MemoryStore:
    def __init__(self, db_path: Path):
        db_path.parent.mkdir(exist_ok=True)
        self.conn = sqlite3.connect(str(db_path), check_same_thread=False)
        self.conn.row_factory = sqlite3.Row
        self.conn.executescript(TABLES)

    def get_due_tasks(self, now):
        rows = self.conn.execute(
            "SELECT * FROM scheduled_tasks WHERE enabled = 1 AND next_run_at <= ? ORDER BY next_run_at", (now,)
        )
        return [ScheduledTask(**{key: row[key] for key in ScheduledTask.__annotations__}) for row in rows]

    def update_scheduled_task(self, task_id, **columns):
        columns["updated_at"] = datetime.now().isoformat()
        assignments = ", ".join(f"{name} = ?" for name in columns)
        self.conn.execute(f"UPDATE scheduled_tasks SET {assignments} WHERE id = ?", (*columns.values(), task_id))
        self.conn.commit()

    def note(self, entry):
        self.conn.execute("INSERT INTO journal (entry) VALUES (?)", (entry,))
        self.conn.commit()
