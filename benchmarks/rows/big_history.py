"""The commands that people call most, each as a whole on a terminal, on a database of 100,000 tasks and 1,000,000 runs.
An interpreter's start and the imports are included. A tick has read the tasks before. No peer keeps a history."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.contestants import JarvisCommand
from benchmarks.results import Comparison, Goal, in_rounds
from benchmarks.running import temporary_folder
from benchmarks.terminal import floor, seconds_on_terminal

DOES = "list, history and status among 100,000 tasks and 1,000,000 runs"
SECONDS, QUICK_SECONDS = 60, 12

LIMIT_SECONDS = 0.5


class Command:
    """A command of ours on a folder's database."""

    offers = ""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self._folder = folder

    def seconds(self) -> float:
        """Seconds for the whole command."""
        return seconds_on_terminal(JarvisCommand().words(self.name), str(self._folder))


def measure(quick: bool) -> list[Comparison]:
    """Seconds of each command."""
    tasks, runs = (2_000, 20_000) if quick else (100_000, 1_000_000)
    rounds = 3 if quick else 7
    with temporary_folder() as folder:
        fill(folder, tasks, runs)
        commands = [Command(folder, name) for name in ("list", "history", "status")]
        series = in_rounds(commands, rounds, Command.seconds)
    goals = [Goal(f"`{each.name}`", each.median, LIMIT_SECONDS, "s") for each in series]
    title = f"Commands among {tasks:,} tasks and {runs:,} runs"
    return [Comparison("big-history", title, "s", [*series, floor(rounds)], goals)]


def fill(folder: Path, tasks: int, runs: int) -> None:
    """Make a database of daily tasks that are due in a year, and of runs in the last two months; tick once."""
    JarvisCommand().command(folder, "init").end()
    due_at = (datetime.now(UTC) + timedelta(days=365)).isoformat()
    with closing(sqlite3.connect(folder / "memory.db")) as connection, connection:
        connection.executemany(
            "INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type, next_run_at)"
            " VALUES (?, 'interval', '{\"days\": 1}', 'alert_eval', ?)",
            ((f"task {number}", due_at) for number in range(tasks)),
        )
        connection.executemany(
            "INSERT INTO task_runs (task_id, task_name, scheduled_for, attempt, started_at, finished_at, status, owner)"
            " SELECT id, name, ?, 1, ?, ?, 'executed', 'bench' FROM scheduled_tasks WHERE name = ?",
            _runs(tasks, runs),
        )
    JarvisCommand().command(folder, "tick").end()


def _runs(tasks: int, runs: int) -> Iterator[tuple[str, str, str, str]]:
    """The parameters of each run: its three instants, and its task."""
    start = datetime.now(UTC) - timedelta(days=60)
    step = timedelta(days=60) / runs
    for number in range(runs):
        at = (start + number * step).isoformat(timespec="microseconds").replace("+00:00", "Z")
        yield at, at, at, f"task {number % tasks}"
