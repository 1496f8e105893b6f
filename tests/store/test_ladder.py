"""Tests of the ladder: files of every older version come up to date, whole and with all their rows."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from jarvis_trio.errors import StoreError
from jarvis_trio.models import HandlerContext, RunStatus, ScheduledTask
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.files import back_up
from jarvis_trio.store.schema import STEPS, TRIGGERS, Step, shape
from jarvis_trio.store.sqlite import SqliteFile
from tests.support.core_fakes import ASSISTANTS, START, FakeClock, MakeEngine, Notes, a_task
from tests.support.release_file import write_file

RELEASES = Path(__file__).parent.parent / "support" / "releases"
"""Dumps of files that older releases wrote, with rows of every kind; the name is the number of their last step."""

WAY_BACK = Path(__file__).parents[2] / "docs/back-to-1.0.0.sql"

MACHINE = Step(
    "The history says which machine ran it.",
    columns={"task_runs": {"machine": "TEXT", "cores": "INTEGER NOT NULL DEFAULT 1"}},
    indexes={"task_runs_by_machine": "task_runs (machine)"},
    then=("UPDATE task_runs SET machine = 'this one' WHERE status = 'executed'",),
)
"""A step as the next engineer may write it."""


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def climb(path: Path, steps: Sequence[Step]) -> None:
    SqliteFile(path, steps=steps).close()


def write_release(path: Path, number: int) -> None:
    with opened(path) as connection:
        connection.executescript((RELEASES / f"{number}.sql").read_text())


def make_version(path: Path, number: int) -> None:
    """A file at step `number`: as a release left it, or taken there from the newest release before it."""
    released = max((int(dump.stem) for dump in RELEASES.glob("*.sql") if int(dump.stem) <= number), default=0)
    if released:
        write_release(path, released)
    if released < number:
        climb(path, STEPS[:number])
        for copy in path.parent.glob("*before-jarvis-trio*"):
            copy.unlink()


def columns(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Each table's columns: names, types, whether they may be NULL, defaults, keys."""
    with opened(path) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(row[1:] for row in connection.execute(f"PRAGMA table_info({name})")) for name in tables}


def others(path: Path) -> set[tuple[str, str]]:
    with opened(path) as connection:
        query = "SELECT name, sql FROM sqlite_master WHERE type <> 'table' AND sql IS NOT NULL"
        return {(name, " ".join(sql.split())) for name, sql in connection.execute(query)}


def rows(path: Path, table: str) -> list[tuple[Any, ...]]:
    with opened(path) as connection:
        return connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()


@pytest.mark.law(8)
@pytest.mark.parametrize("number", range(1, len(STEPS)))
def test_a_file_of_every_older_version_becomes_like_a_new_one(tmp_path: Path, number: int) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    make_version(old, number)
    with MemoryStore(old) as store:
        assert store.notes.note("schema_version") == str(len(STEPS))
    MemoryStore(new).close()
    assert columns(old) == columns(new)
    assert others(old) == others(new)


@pytest.mark.law(3)
@pytest.mark.parametrize("number", range(1, len(STEPS)))
def test_no_row_of_an_older_file_is_lost(path: Path, number: int) -> None:
    make_version(path, number)
    kept = ("scheduled_tasks", "task_runs", "task_troubles", "task_deadlines", "outbox", "webhook_files", "facts")
    before = {table: rows(path, table) for table in kept}
    MemoryStore(path).close()
    assert all(before.values())
    assert {table: len(rows(path, table)) for table in kept} == {table: len(before[table]) for table in kept}
    assert set(rows(path, "scheduled_tasks")) >= {row for row in before["scheduled_tasks"] if row[1] != "set aside"}


@pytest.mark.law(8)
def test_a_task_that_1_0_0_set_aside_is_enabled_as_its_owner_left_it(path: Path) -> None:
    write_release(path, 1)
    with MemoryStore(path) as store:
        assert store.tasks.require_task("set aside").enabled
        assert not store.tasks.require_task("paused").enabled


@pytest.mark.law(8)
def test_a_file_that_went_back_to_1_0_0_comes_up_again_as_it_was(path: Path) -> None:
    write_release(path, 1)
    MemoryStore(path).close()
    before = {table: rows(path, table) for table in ("task_runs", "scheduled_tasks")}
    with opened(path) as connection:
        connection.executescript(WAY_BACK.read_text())
    assert not {name for name, _ in others(path)} & set(TRIGGERS)
    MemoryStore(path).close()
    assert {table: rows(path, table) for table in before} == before


@pytest.mark.parametrize("version", ["soon", "-5", None])
def test_a_version_that_makes_no_sense_is_refused_in_one_line(path: Path, version: str | None) -> None:
    MemoryStore(path).close()
    with opened(path) as connection:
        connection.execute("UPDATE jarvis_meta SET value = ? WHERE key = 'schema_version'", (version,))
    with pytest.raises(StoreError, match="schema version makes no sense"):
        MemoryStore(path)


def test_the_file_of_a_release_has_rows_of_every_kind(path: Path) -> None:
    write_file(path)
    with MemoryStore(path) as store:
        assert not [table for table in shape(STEPS).tables if not store.value(f"SELECT count(*) FROM {table}")]
        assert {str(run.status) for run in store.list_runs()} == set(RunStatus)


@pytest.mark.law(3)
@pytest.mark.law(8)
@pytest.mark.parametrize("dump", sorted(RELEASES.glob("*.sql")), ids=lambda dump: str(dump.stem))
def test_the_file_of_every_release_is_read_and_what_it_left_to_do_is_done(
    tmp_path: Path, make_engine: MakeEngine, dump: Path
) -> None:
    path = tmp_path / "old.db"
    write_release(path, int(dump.stem))
    clock, notes = FakeClock(START.replace(hour=12)), Notes()
    with MemoryStore(path, clock=clock) as store:
        runs, letters = len(store.list_runs()), store.outbox.letters_waiting()
        make_engine({"note": notes}, store=store, clock=clock).evaluate_due_tasks()
        assert len(store.list_runs()) > runs > 30
        assert letters > 5
        assert not store.list_runs(status=RunStatus.RUNNING)
    assert {name for name, *_ in notes.calls} >= {"every 5 minutes"}


@pytest.mark.law(3)
def test_what_a_1_0_0_file_left_to_do_is_done(tmp_path: Path, make_engine: MakeEngine) -> None:
    path = tmp_path / "old.db"
    write_release(path, 1)
    clock = FakeClock(START.replace(hour=12))
    calls: list[tuple[str, int]] = []

    def note(task: ScheduledTask, context: HandlerContext) -> None:
        calls.append((task.name, context.attempt))

    with MemoryStore(path, clock=clock) as store:
        make_engine({"note": note}, store=store, clock=clock).evaluate_due_tasks()
        assert store.value("SELECT count(*) FROM task_runs WHERE live = 1") == 0
        assert store.runs.list_runs(status=RunStatus.RUNNING) == []
    assert ("every 5 minutes", 1) in calls
    assert ("every 5 minutes", 2) in calls  # the file says that it ran: its process is gone


@pytest.mark.law(8)
def test_before_the_first_step_a_copy_is_made_and_only_one(path: Path) -> None:
    write_release(path, 1)
    before = rows(path, "task_runs")
    MemoryStore(path).close()
    copy = path.with_name("memory.db.before-jarvis-trio-1")
    assert rows(copy, "task_runs") == before
    assert len(list(path.parent.glob("*before-jarvis-trio*"))) == 1


KILLED = """
import resource, signal, sys
from jarvis_trio.store import MemoryStore
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
MemoryStore(sys.argv[1])
"""
"""A process that the kernel ends when it writes a file beyond a size: in the middle of the copy."""


def copies(path: Path) -> list[str]:
    """The endings of the copies beside a file."""
    return sorted(copy.name.removeprefix(f"{path.name}.before-jarvis-trio-") for copy in path.parent.glob("*before-*"))


@pytest.mark.law(8)
@pytest.mark.slow
def test_a_copy_that_a_killed_process_left_unfinished_is_not_taken_for_one(path: Path) -> None:
    write_release(path, 1)
    before, half = rows(path, "task_runs"), path.stat().st_size // 2
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), str(half)], capture_output=True, text=True)
    assert done.returncode == -signal.SIGXFSZ, done.stderr
    assert copies(path)
    assert all(name.startswith("unfinished-") for name in copies(path))
    MemoryStore(path).close()
    assert rows(path.with_name("memory.db.before-jarvis-trio-1"), "task_runs") == before


@pytest.mark.law(8)
@pytest.mark.parametrize(
    ("refused", "left"),
    [("task_runs", []), ("scheduled_tasks", ["1"])],
    ids=["at the first step", "after some steps"],
)
def test_a_file_that_cannot_go_up_is_not_copied_at_each_start(path: Path, refused: str, left: list[str]) -> None:
    write_release(path, 1)
    with opened(path) as theirs:
        theirs.execute(f"CREATE TRIGGER no BEFORE UPDATE ON {refused} BEGIN SELECT RAISE(ABORT, 'not mine'); END")
    for _ in range(3):
        with pytest.raises(StoreError, match="cannot be brought up to date"):
            MemoryStore(path)
        assert copies(path) == left
    with opened(path) as theirs:
        theirs.execute("DROP TRIGGER no")
    MemoryStore(path).close()
    assert copies(path) == ["1"]
    with MemoryStore(path) as store:
        assert store.notes.note("half_way_up") is None


def test_no_copy_is_kept_if_another_process_was_faster(path: Path) -> None:
    """Whatever it holds, it is not the file as it was."""

    def climbed() -> bool:
        MemoryStore(path).close()
        return False

    write_release(path, 1)
    with opened(path) as connection:
        assert back_up(connection, path, climbed) is None
    assert copies(path) == ["1"]  # that process's own


def test_a_disk_without_links_has_its_copy_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_paths: Path) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    write_release(path, 1)
    before = rows(path, "task_runs")
    MemoryStore(path).close()
    assert copies(path) == ["1"]
    assert rows(path.with_name("memory.db.before-jarvis-trio-1"), "task_runs") == before


@pytest.mark.law(8)
@pytest.mark.parametrize("number", range(1, len(STEPS) + 1))
def test_the_program_before_refuses_the_file_of_the_next_step(path: Path, number: int) -> None:
    climb(path, [*STEPS, MACHINE])
    with pytest.raises(StoreError, match=f"has schema {len(STEPS) + 1}, this program knows {number}"):
        climb(path, STEPS[:number])


def test_a_new_column_is_there_with_its_default_and_its_index_and_what_moves_is_moved(path: Path) -> None:
    write_release(path, 1)
    climb(path, [*STEPS, MACHINE])
    with opened(path) as connection:
        kinds = connection.execute("SELECT DISTINCT machine, cores, status = 'executed' FROM task_runs").fetchall()
    assert sorted(kinds, key=str) == sorted([("this one", 1, 1), (None, 1, 0)], key=str)
    assert ("task_runs_by_machine", "CREATE INDEX task_runs_by_machine ON task_runs (machine)") in others(path)


class Watched(SqliteFile):
    """A file that counts the transactions which it begins; `before` is done ahead of each."""

    begun = 0

    def before(self) -> None:
        """Nothing, here."""

    def begin(self) -> None:
        self.before()
        self.begun += 1
        super().begin()


class Overtaken(Watched):
    """A file that a program of an older version makes just before this one takes the lock."""

    def before(self) -> None:
        write_release(self.path, 1)


@pytest.mark.law(3)
def test_a_new_file_takes_all_steps_in_one_transaction(path: Path) -> None:
    file = Watched(path)
    file.close()
    assert file.begun == 1


@pytest.mark.law(3)
def test_what_each_step_moves_is_moved_if_an_older_program_was_faster(tmp_path: Path) -> None:
    stepwise, at_once = tmp_path / "stepwise.db", tmp_path / "at-once.db"
    write_release(stepwise, 1)
    climb(stepwise, [*STEPS, MACHINE])
    Overtaken(at_once, steps=[*STEPS, MACHINE]).close()
    for table in columns(stepwise):
        assert rows(at_once, table) == rows(stepwise, table)


def test_what_a_step_moves_it_moves_once(path: Path) -> None:
    write_release(path, 1)
    climb(path, [*STEPS, MACHINE])
    with opened(path) as connection:
        connection.execute("UPDATE task_runs SET machine = NULL")
    climb(path, [*STEPS, MACHINE])
    with opened(path) as connection:
        assert connection.execute("SELECT count(machine) FROM task_runs").fetchone() == (0,)


def test_a_step_that_fails_leaves_the_file_at_the_one_before(path: Path) -> None:
    write_release(path, 1)
    with pytest.raises(StoreError, match="nowhere"):
        climb(path, [*STEPS, MACHINE._replace(then=("UPDATE nowhere SET at = 1",)), Step("never reached")])
    with MemoryStore(path) as store:
        assert store.notes.note("schema_version") == str(len(STEPS))
    assert "machine" not in {column[0] for column in columns(path)["task_runs"]}


def test_an_older_file_is_read_as_if_it_had_every_step(path: Path) -> None:
    write_release(path, 1)
    before = path.read_bytes()
    more = Step("A table.", tables={"more": STEPS[0].tables["facts"]})
    with closing(SqliteFile(path, read_only=True, steps=[*STEPS, MACHINE, more])) as file:
        assert [tuple(row) for row in file.execute("SELECT DISTINCT machine, cores FROM task_runs").rows] == [(None, 1)]
        assert file.execute("SELECT * FROM more").rows == []
    assert path.read_bytes() == before


@pytest.mark.law(2)
@pytest.mark.law(8)
def test_a_number_that_is_given_out_again_brings_no_history_with_it(path: Path, clock: FakeClock) -> None:
    """The assistant's table: INTEGER PRIMARY KEY without AUTOINCREMENT."""
    with opened(path) as theirs:
        theirs.executescript(ASSISTANTS)
    with MemoryStore(path, clock=clock) as store:
        old = store.store_scheduled_task(a_task("old"))
        claim = store.runs.claim_run(old, START, 1, started_at=START, owner="me")
        assert claim is not None
        with opened(path) as theirs:
            theirs.execute("DELETE FROM scheduled_tasks WHERE name = 'old'")
        new = store.store_scheduled_task(a_task("new"))
        assert new.id == old.id
        assert new.id not in store.runs.last_runs()
        assert store.runs.task_of_run(claim.run_id) is None
        assert store.runs.claim_run(new, START, 1, started_at=START, owner="me") is not None
        assert [run.task_name for run in store.runs.list_runs(task="old")] == ["old"]
