"""Tests of a store that only looks: on real files, of which nothing may change (law 8)."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from jarvis_trio.errors import StoreBusyError, StoreError, StoreMissingError
from jarvis_trio.models import TroubleKind
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import ASSISTANTS, a_task

pytestmark = pytest.mark.law(8)


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def look(path: Path) -> MemoryStore:
    return MemoryStore(path, read_only=True, busy_timeout=timedelta(milliseconds=20))


def test_looking_at_a_closed_file_leaves_nothing_behind(path: Path) -> None:
    with MemoryStore(path) as store:
        store.store_scheduled_task(a_task(name="backup"))
    before = snapshot(path.parent)
    with look(path) as store:
        assert [task.name for task in store.list_scheduled_tasks()] == ["backup"]
        assert snapshot(path.parent) == before
    assert snapshot(path.parent) == before


def test_what_a_running_program_has_written_is_seen(store: MemoryStore, path: Path) -> None:
    with look(path) as reader:
        store.store_scheduled_task(a_task(name="late"))
        assert [task.name for task in reader.list_scheduled_tasks()] == ["late"]


def test_what_a_killed_program_has_left_in_its_log_is_seen(path: Path) -> None:
    script = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA journal_mode=WAL'); c.executescript(sys.argv[2]); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, path, ASSISTANTS], check=True, timeout=180)
    with look(path) as store:
        assert [task.name for task in store.list_scheduled_tasks()] == ["backup"]


def test_an_assistants_file_is_shown_as_if_it_had_our_tables_and_stays_as_it_was(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(ASSISTANTS)
    before = snapshot(path.parent)
    with look(path) as store:
        task = store.tasks.require_task("backup")
        assert (task.policy, task.delivery_channel) == (None, None)
        assert (
            store.runs.list_runs(),
            store.runs.last_runs(),
            store.troubles.list_troubles(),
            store.outbox.letters_waiting(),
        ) == ([], {}, [], 0)
        assert store.notes.note("schema_version") is None
    assert snapshot(path.parent) == before


def test_an_empty_file_is_an_empty_database(path: Path) -> None:
    path.touch()
    with look(path) as store:
        assert store.list_scheduled_tasks() == []
        assert store.runs.list_runs() == []
    assert path.stat().st_size == 0


@pytest.mark.parametrize("content", ["ours", "assistant's"])
def test_every_write_is_refused(path: Path, content: str) -> None:
    if content == "ours":
        MemoryStore(path).close()
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(ASSISTANTS)
    before = snapshot(path.parent)
    with look(path) as store:
        for write in (
            lambda: store.store_scheduled_task(a_task()),
            lambda: store.notes.remember("zone", "UTC"),
            lambda: store.troubles.begin_trouble(1, TroubleKind.FAILING, "why", store.clock.now()),
        ):
            with pytest.raises(StoreError, match="readonly database"):
                write()
    assert snapshot(path.parent) == before


def test_a_missing_file_is_not_made(path: Path) -> None:
    with pytest.raises(StoreMissingError, match="make it with: jarvis-trio init"):
        look(path)
    assert list(path.parent.iterdir()) == []


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"rubbish " * 1000)
    with pytest.raises(StoreError, match="not a SQLite database"):
        look(path)


def test_a_newer_schema_is_refused(path: Path) -> None:
    with MemoryStore(path) as store:
        store.notes.remember("schema_version", "999")
    with pytest.raises(StoreError, match="999"):
        look(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="no mode binds root")
def test_a_folder_that_may_not_be_written_is_no_hindrance(path: Path) -> None:
    MemoryStore(path).close()
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        with look(path) as store:
            assert store.list_scheduled_tasks() == []
    finally:
        path.parent.chmod(0o700)


def test_a_name_that_means_something_in_an_address_is_only_a_name(tmp_path: Path) -> None:
    path = tmp_path / "a ?mode=rwc&b#c%20d.db"
    MemoryStore(path).close()
    with look(path) as store:
        assert store.list_scheduled_tasks() == []
    assert list(tmp_path.iterdir()) == [path]


def test_another_programs_exclusive_lock_is_an_error_soon(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.executescript(ASSISTANTS)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusyError):
            look(path)
