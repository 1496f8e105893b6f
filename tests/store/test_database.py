"""Tests of the connection on real files: transactions, other processes, and files that are no database."""

from __future__ import annotations

import os
import resource
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.errors import (
    ConflictError,
    StoreBusyError,
    StoreClosedError,
    StoreError,
    StoreFullError,
    StoreMissingError,
)
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import FakeClock, Gate, a_task, finish, in_thread

BERLIN, DENVER = ZoneInfo("Europe/Berlin"), ZoneInfo("America/Denver")
ADD_FACT = "INSERT INTO facts (category, key) VALUES (?, ?)"


def facts(store: MemoryStore) -> list[str]:
    return [row["key"] for row in store.read("SELECT key FROM facts ORDER BY id")]


def impatient(path: Path) -> MemoryStore:
    return MemoryStore(path, busy_timeout=timedelta(milliseconds=20))


def fill_up(store: MemoryStore) -> None:
    """The disk has no room for another page; so says SQLite's own limit."""
    pages = store.value("PRAGMA page_count")
    store.read(f"PRAGMA max_page_count = {pages}")


def make_room(store: MemoryStore) -> None:
    store.read("PRAGMA max_page_count = 1000000")


def test_a_new_file_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with MemoryStore(tmp_path / "memory.db") as store:
            store.write(ADD_FACT, ("a", "b"))
            modes = {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {0o600}


def test_leaving_the_context_closes_it(path: Path) -> None:
    with MemoryStore(path) as store:
        pass
    store.close()  # once more does nothing
    with pytest.raises(StoreError):
        store.list_scheduled_tasks()


@pytest.mark.parametrize(
    "use",
    [
        MemoryStore.list_scheduled_tasks,
        MemoryStore.write_marks,
        MemoryStore.look_after,
        MemoryStore.find_damage,
        lambda store: store.transaction().__enter__(),
        lambda store: store.savepoint().__enter__(),
        lambda store: store.write("DELETE FROM task_runs"),
    ],
)
def test_whatever_comes_after_the_close_is_told_so(path: Path, use: Callable[[MemoryStore], Any]) -> None:
    store = MemoryStore(path)
    store.close()
    with pytest.raises(StoreClosedError, match=f"^the database {path} is closed$"):
        use(store)


def test_a_transaction_in_which_the_database_is_closed_says_so(path: Path) -> None:
    store = MemoryStore(path)

    def close_and_go_on() -> None:
        with store.transaction():
            store.close()
            store.list_scheduled_tasks()

    with pytest.raises(StoreClosedError):
        close_and_go_on()


def test_a_transaction_is_all_or_nothing(store: MemoryStore) -> None:
    def fail_half_way() -> None:
        with store.transaction():
            store.write(ADD_FACT, ("a", "1"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_half_way()
    assert facts(store) == []
    with store.transaction():
        store.write(ADD_FACT, ("a", "2"))
    assert facts(store) == ["2"]


def test_a_transaction_inside_another_is_a_part_of_it(store: MemoryStore) -> None:
    def fail_after_the_inner_one() -> None:
        with store.transaction():
            with store.transaction():
                store.write(ADD_FACT, ("a", "1"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_the_inner_one()
    assert facts(store) == []


@pytest.mark.law(5)
def test_the_zone_stands_still_in_a_transaction(store: MemoryStore, clock: FakeClock) -> None:
    clock.machine_zone = DENVER
    with store.transaction():
        assert store.zone() == DENVER
        clock.machine_zone = BERLIN
        assert store.zone() == DENVER
    assert store.zone() == BERLIN
    with store.transaction():
        assert store.zone() == BERLIN


def test_an_inserted_row_has_its_number_and_one_that_was_there_has_none(store: MemoryStore) -> None:
    statement = f"{ADD_FACT} ON CONFLICT (category, key) DO NOTHING"
    number = store.insert(statement, ("a", "b"))
    assert number == store.value("SELECT id FROM facts")
    assert store.insert(statement, ("a", "b")) is None


@pytest.mark.law(2)
def test_a_transaction_is_not_seen_before_it_is_done(store: MemoryStore, other: sqlite3.Connection) -> None:
    with store.transaction():
        store.write(ADD_FACT, ("a", "1"))
        assert other.execute("SELECT count(*) FROM facts").fetchone() == (0,)
    assert other.execute("SELECT count(*) FROM facts").fetchone() == (1,)


@pytest.mark.law(2)
def test_threads_take_turns(store: MemoryStore) -> None:
    inside = Gate()

    def hold() -> None:
        with store.transaction():
            store.write(ADD_FACT, ("a", "first"))
            inside()

    first = in_thread(hold)
    inside.wait()
    second = in_thread(lambda: store.write(ADD_FACT, ("a", "second")))
    assert second.is_alive()
    inside.opened.set()
    finish(first, second)
    assert facts(store) == ["first", "second"]


@pytest.mark.law(2)
def test_many_threads_lose_no_write(store: MemoryStore) -> None:
    together = threading.Barrier(8)

    def work(name: int) -> None:
        together.wait()
        for number in range(20):
            store.write(ADD_FACT, ("a", f"{name}-{number}"))

    finish(*[in_thread(lambda name=name: work(name)) for name in range(8)])  # type: ignore[misc]  # a default binds it
    assert len(facts(store)) == 160


def test_write_marks_change_with_each_write_of_anybody(store: MemoryStore, other: sqlite3.Connection) -> None:
    marks = [store.write_marks()]
    store.write(ADD_FACT, ("a", "ours"))
    marks.append(store.write_marks())
    other.execute(ADD_FACT, ("a", "theirs"))
    marks.append(store.write_marks())
    assert len(set(marks)) == 3
    assert store.write_marks() == marks[-1]


@pytest.mark.sqlite
@pytest.mark.law(4)
def test_another_programs_lock_is_waited_for(store: MemoryStore, other: sqlite3.Connection) -> None:
    other.execute("BEGIN IMMEDIATE")
    writer = in_thread(lambda: store.write(ADD_FACT, ("a", "late")))
    writer.join(0.05)
    assert writer.is_alive()
    other.execute("COMMIT")
    finish(writer)
    assert facts(store) == ["late"]


@pytest.mark.law(3)
def test_a_lock_that_is_held_too_long_is_an_error_and_nothing_is_written(
    path: Path, store: MemoryStore, other: sqlite3.Connection
) -> None:
    with impatient(path) as ours:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError, match="locked"):
            ours.write(ADD_FACT, ("a", "1"))
        assert facts(ours) == []  # reading needs no lock
        other.execute("COMMIT")
        ours.write(ADD_FACT, ("a", "2"))
        assert facts(ours) == ["2"]


def test_a_disk_that_is_too_full_for_the_index_of_the_log_is_called_full(path: Path) -> None:
    MemoryStore(path).close()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(StoreFullError, match="disk I/O error: the disk is full; make room"):
            MemoryStore(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.sqlite
@pytest.mark.law(3)
def test_a_full_disk_is_an_error_and_nothing_of_the_transaction_is_written(store: MemoryStore) -> None:
    def overflow() -> None:
        with store.transaction():
            store.write(ADD_FACT, ("a", "small"))
            store.write(ADD_FACT, ("a", "x" * 1_000_000))

    fill_up(store)
    with pytest.raises(StoreFullError, match="full"):
        overflow()
    assert facts(store) == []
    make_room(store)
    overflow()
    assert len(facts(store)) == 2


def test_a_broken_constraint_is_no_fault_of_the_database(store: MemoryStore) -> None:
    store.write(ADD_FACT, ("a", "1"))
    with pytest.raises(ConflictError) as refused:
        store.write(ADD_FACT, ("a", "1"))
    assert refused.value.duplicate
    store.write(ADD_FACT, ("a", "2"))
    assert facts(store) == ["1", "2"]


def test_any_other_error_says_where_to_see_more(store: MemoryStore, path: Path) -> None:
    with pytest.raises(StoreError, match=f"^cannot use the database {path}: .*; run `jarvis-trio doctor` to see more$"):
        store.read("SELECT * FROM nowhere")


@pytest.mark.sqlite
@pytest.mark.law(4)
def test_text_that_is_no_utf8_is_read_with_marks(store: MemoryStore, other: sqlite3.Connection) -> None:
    other.execute("INSERT INTO facts (category, key) VALUES ('a', CAST(x'41ff42' AS TEXT))")
    assert facts(store) == ["A\ufffdB"]


@pytest.mark.law(8)
@pytest.mark.parametrize("content", [b"no database\n" * 500, b"rubbish", b"SQLite format 3\0" + b"\xff" * 2000])
def test_a_file_that_is_no_database_is_refused_and_stays_as_it_was(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    before = path.stat()
    with pytest.raises(StoreError) as refused:
        MemoryStore(path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)
    assert path.read_bytes() == content
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.law(8)
@pytest.mark.parametrize("kind", ["folder", "fifo", "dangling link", "device"])
def test_what_is_no_plain_file_is_refused(path: Path, kind: str) -> None:
    match kind:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "dangling link":
            path.symlink_to(path.parent / "nowhere" / "memory.db")
        case "device":
            path.symlink_to("/dev/zero")
    with pytest.raises(StoreError) as refused:
        MemoryStore(path)
    assert "\n" not in str(refused.value)
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_in_place_of_the_file_is_refused_with_the_setting_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="it is not a plain file; give the right MEMORY_DB_PATH"):
        MemoryStore(tmp_path)


def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file") as refused:
        MemoryStore(tmp_path / "nowhere" / "memory.db")
    assert refused.value.fix == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.law(8)
@pytest.mark.skipif(os.geteuid() == 0, reason="no mode binds root")
@pytest.mark.parametrize("mode", [0o400, 0o000])
def test_a_file_without_permission_is_refused_and_stays_as_it_was(path: Path, mode: int) -> None:
    MemoryStore(path).close()
    content = path.read_bytes()
    path.chmod(mode)
    with pytest.raises(StoreError, match="permi"):
        MemoryStore(path)
    path.chmod(0o600)
    assert path.read_bytes() == content


def test_a_damaged_page_is_an_error_that_says_so(path: Path) -> None:
    with MemoryStore(path) as store:
        store.write_many(ADD_FACT, [("a", f"{number}" * 50) for number in range(200)])
        root = store.value("SELECT rootpage FROM sqlite_master WHERE name = 'facts'")
        size = store.value("PRAGMA page_size")
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xaa" * size)
    with MemoryStore(path) as store, pytest.raises(StoreError, match="damaged"):
        facts(store)


def test_damage_is_found_and_told_in_one_line(path: Path) -> None:
    with MemoryStore(path) as store:
        assert store.find_damage() is None
        store.write_many(ADD_FACT, [("a", f"{number}" * 50) for number in range(200)])
        root = store.value("SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_facts_1'")
        size = store.value("PRAGMA page_size")
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xaa" * size)
    with MemoryStore(path) as store:
        found = store.find_damage()
    assert found is not None
    assert "\n" not in found
    assert f" {root}" in found


@pytest.mark.law(3)
def test_the_same_file_is_the_same_file(store: MemoryStore) -> None:
    assert store.look_after()


@pytest.mark.law(3)
def test_a_deleted_file_is_noticed_and_not_made_anew(store: MemoryStore, path: Path) -> None:
    path.unlink()
    with pytest.raises(StoreMissingError, match="not found"):
        store.look_after()
    assert not path.exists()


@pytest.mark.law(3)
def test_a_replaced_file_is_opened(
    store: MemoryStore, path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.write(ADD_FACT, ("a", "old"))
    with MemoryStore(tmp_path / "new.db") as new:
        new.write(ADD_FACT, ("a", "new"))
    os.replace(tmp_path / "new.db", path)
    assert not store.look_after()
    assert caplog.messages == [f"The database {path} was replaced; the new one is used"]
    assert facts(store) == ["new"]
    assert store.look_after()


@pytest.mark.law(3)
def test_a_file_replaced_while_another_program_reads_the_old_one_is_an_error_until_it_is_closed(
    path: Path, tmp_path: Path
) -> None:
    MemoryStore(tmp_path / "new.db").close()
    with impatient(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM facts").fetchone() == (0,)
        store.write(ADD_FACT, ("a", "old"))
        os.replace(tmp_path / "new.db", path)
        with pytest.raises(StoreBusyError, match="replaced while another program has the old file open; close it"):
            store.look_after()
        reader.execute("COMMIT")
        assert not store.look_after()
        assert facts(store) == []


@pytest.mark.law(3)
def test_a_file_replaced_by_rubbish_is_an_error_until_it_is_put_back(
    store: MemoryStore, path: Path, tmp_path: Path
) -> None:
    store.write(ADD_FACT, ("a", "kept"))
    os.replace(path, tmp_path / "aside.db")
    path.write_bytes(b"rubbish " * 1000)
    for _ in range(2):
        with pytest.raises(StoreError):
            store.look_after()
    os.replace(tmp_path / "aside.db", path)
    assert not store.look_after()
    assert facts(store) == ["kept"]


@pytest.mark.law(3)
def test_a_file_that_could_not_be_opened_for_a_while_is_not_called_replaced(
    store: MemoryStore, path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.write(ADD_FACT, ("a", "kept"))
    os.link(path, tmp_path / "second.db")
    Path(f"{path}-shm").unlink()
    for _ in range(2):
        with pytest.raises(StoreError, match="has 2 names"):
            store.look_after()
    (tmp_path / "second.db").unlink()
    assert store.look_after() is None  # others may have written unseen
    assert facts(store) == ["kept"]
    assert store.look_after()
    assert "was replaced" not in caplog.text


@pytest.mark.law(3)
def test_a_second_store_in_this_process_does_not_drop_the_locks_of_the_first(
    store: MemoryStore, path: Path, clock: FakeClock
) -> None:
    """POSIX: closing any descriptor of a file drops the process's locks on it (sqlite.org/howtocorrupt.html, 2.2)."""
    store.store_scheduled_task(a_task())
    MemoryStore(path, clock=clock).close()
    script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('DELETE FROM facts'); c.close()"
    subprocess.run([sys.executable, "-c", script, path], check=True, timeout=180)
    # Had the other process found no lock, it would have taken itself for the last and removed the log.
    assert path.with_name("memory.db-wal").exists()


@pytest.mark.sqlite
def test_a_commit_reaches_the_disk(store: MemoryStore) -> None:
    full = 2
    assert store.value("PRAGMA synchronous") == full
    assert store.value("PRAGMA journal_mode") == "wal"
    assert store.value("PRAGMA fullfsync") == 1


def test_other_programs_may_read_while_we_write(store: MemoryStore, path: Path) -> None:
    with store.transaction(), closing(sqlite3.connect(path, timeout=0)) as reader:
        store.write(ADD_FACT, ("a", "1"))
        assert reader.execute("SELECT count(*) FROM facts").fetchone() == (0,)
