import sqlite3


class MemoryStore:
    """Bound to the thread that made it, as the assistant's was when it got its daemon."""

    def __init__(self, db_path):
        self.conn = sqlite3.connect(str(db_path))
        self.conn.row_factory = sqlite3.Row

    def count(self, table):
        return self.conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0]

    def get_due_tasks(self, now):
        query = "SELECT * FROM scheduled_tasks WHERE enabled = 1 AND next_run_at <= ? ORDER BY next_run_at"
        return self.conn.execute(query, (now,)).fetchall()

    def finish(self, task_id, **columns):
        assignments = ", ".join(f"{name} = ?" for name in columns)
        self.conn.execute(f"UPDATE scheduled_tasks SET {assignments} WHERE id = ?", (*columns.values(), task_id))
        self.conn.commit()
