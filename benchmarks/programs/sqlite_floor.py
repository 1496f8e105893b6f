"""The floor: what SQLite alone needs for a durable commit, and Python for nothing."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from protocol import answer


def commits(folder: str, count: int) -> float:
    """Seconds of `count` commits of one row, each on the disk when it returns (WAL, synchronous=FULL)."""
    with closing(sqlite3.connect(Path(folder) / "floor.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA fullfsync=ON")
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT)")
        start = time.perf_counter()
        for _ in range(count):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO rows (text) VALUES ('claimed')")
            connection.execute("COMMIT")
        return time.perf_counter() - start


if __name__ == "__main__":
    answer({"commits": commits})
