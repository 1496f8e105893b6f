"""Tests of the database on a PostgreSQL server: what only a server can do, and every refusal in one line."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from jarvis_trio.clock import SharedClock
from jarvis_trio.errors import (
    ConflictError,
    SettingError,
    StoreBusyError,
    StoreError,
    StoreMissingError,
    StoreUnsureError,
)
from jarvis_trio.models import RunStatus
from jarvis_trio.settings import read_settings
from jarvis_trio.store import MemoryStore, dialects, ladder
from jarvis_trio.store import postgres as postgres_module
from jarvis_trio.store.opening import open_store
from jarvis_trio.store.postgres import PostgresDatabase
from jarvis_trio.store.schema import NUMBERED, STEPS, Step
from tests.support.core_fakes import PATIENCE, START, FakeClock, a_task, finish, in_thread
from tests.support.postgres_server import PostgresServer, pooler

needs_server = [pytest.mark.postgres, pytest.mark.slow]
pytestmark = needs_server


@pytest.fixture
def address(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.fixture
def store(address: str, path: Path, clock: FakeClock) -> Iterator[MemoryStore]:
    database = PostgresDatabase(address, busy_timeout=timedelta(seconds=2))
    with MemoryStore(path, clock=clock, connection=database, machine="here") as store:
        yield store


def another(address: str, machine: str = "there") -> MemoryStore:
    database = PostgresDatabase(address, busy_timeout=timedelta(milliseconds=50))
    return MemoryStore("unused", clock=FakeClock(), connection=database, machine=machine)


def refusal(address: str, **options: Any) -> StoreError:
    with pytest.raises(StoreError) as refused:
        PostgresDatabase(address, connect_timeout=timedelta(seconds=2), **options)
    assert "\n" not in str(refused.value)
    assert refused.value.fix
    return refused.value


@pytest.mark.law(2)
def test_one_machine_writes_at_a_time(store: MemoryStore, address: str) -> None:
    with another(address) as other, store.transaction():
        store.notes.remember("key", "ours")
        with pytest.raises(StoreBusyError, match="another machine keeps it locked; try again"):
            other.notes.remember("key", "theirs")
        assert other.notes.note("key") is None  # reading needs no lock
    assert store.notes.note("key") == "ours"


@pytest.mark.law(2)
def test_a_writer_waits_for_another_machine(store: MemoryStore, address: str) -> None:
    with another(address) as other:
        with other.transaction():
            other.notes.remember("key", "theirs")
            waiting = in_thread(lambda: store.notes.remember("key", "ours"))
            waiting.join(0.1)
            assert waiting.is_alive()
        finish(waiting)
        assert other.notes.note("key") == "ours"


@pytest.mark.law(2)
def test_the_server_itself_refuses_a_second_live_run(store: MemoryStore, address: str) -> None:
    task = store.store_scheduled_task(a_task())
    assert store.runs.claim_run(task, START, 1, started_at=START, owner="here/1") is not None
    with another(address) as other, pytest.raises(ConflictError):
        other.runs.claim_run(task, START + timedelta(hours=1), 1, started_at=START, owner="there/1")


@pytest.mark.law(3)
def test_what_another_machine_writes_is_noticed(store: MemoryStore, address: str) -> None:
    before = store.write_marks()
    assert store.write_marks() == before
    with another(address) as other:
        other.notes.remember("key", "value")
    assert store.write_marks() != before


@pytest.mark.law(3)
def test_a_transaction_that_the_server_has_given_up_is_no_commit(store: MemoryStore) -> None:
    def go_on_regardless() -> None:
        with store.transaction():
            store.notes.remember("key", "value")
            with pytest.raises(StoreError):
                store.write("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(StoreError, match="undone"):
        go_on_regardless()
    assert store.notes.note("key") is None


@pytest.mark.thorough
@pytest.mark.law(3)
def test_a_server_that_restarts_is_reached_again(postgres: PostgresServer, path: Path) -> None:
    with MemoryStore(path, connection=PostgresDatabase(postgres.new_database())) as store:
        store.notes.remember("key", "value")
        postgres.crash()
        with pytest.raises(StoreError, match="the server is gone; nothing is lost") as gone:
            store.notes.note("key")
        assert "\n" not in str(gone.value)
        with pytest.raises(StoreError, match="cannot reach the database"):
            store.look_after()
        postgres.start()
        assert store.look_after()
        assert store.notes.note("key") == "value"


@pytest.mark.law(3)
def test_a_machine_runs_what_is_to_run_there_or_anywhere(store: MemoryStore, address: str) -> None:
    for name, place in (("mine", "here"), ("theirs", "there"), ("anybody's", "any"), ("unplaced", None)):
        task = store.store_scheduled_task(a_task(name, policy={"on": place} if place else {}))
        store.queue.settle(task, START)
    with another(address) as other:
        heads = {}
        for name, machine in (("here", store), ("there", other)):
            heads[name] = set()
            while (due := machine.queue.head(START)) is not None:
                heads[name].add(due.task.name)
                machine.queue.dequeue_slot(due.task.id or 0)
            for task in machine.list_scheduled_tasks():
                machine.store_scheduled_task(task)
                machine.queue.settle(task, START)
    assert heads == {"here": {"mine", "anybody's", "unplaced"}, "there": {"theirs", "anybody's", "unplaced"}}


def test_a_name_belongs_to_one_machine(store: MemoryStore) -> None:
    store.machines.check_in("here", "one", START)
    store.machines.check_in("here", "one", START + timedelta(minutes=1))
    with pytest.raises(StoreError, match="another machine is named 'here'; set JARVIS_MACHINE"):
        store.machines.check_in("here", "two", START)
    (machine,) = store.machines.list_machines()
    assert machine.seen_at == START + timedelta(minutes=1)
    store.machines.forget_machine("here")
    store.machines.check_in("here", "two", START)


def test_a_machine_says_what_it_takes(store: MemoryStore) -> None:
    store.machines.check_in("here", "one", START, labels=["mac"], handlers=["custom", "brief"])
    store.machines.check_in("there", "two", START, labels=["mac", "big"], takes_any=False)
    here, there = store.machines.list_machines()
    assert here.handlers == {"custom", "brief"}
    assert [here.may_take(place) for place in (None, "here", "there", "mac", "big")] == [True, True, False, True, False]
    assert [there.may_take(place) for place in (None, "here", "there", "mac")] == [False, False, True, True]


def test_a_label_is_no_machines_name(store: MemoryStore) -> None:
    store.machines.check_in("here", "one", START)
    with pytest.raises(StoreError, match="'here' is a label of the machine 'there' and the name of a machine"):
        store.machines.check_in("there", "two", START, labels=["here"])
    assert [machine.name for machine in store.machines.list_machines()] == ["here"]


@pytest.mark.law(5)
@pytest.mark.law(6)
def test_the_clock_is_the_servers_and_the_zone_the_stores(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    with open_store(Path("unused"), address, machine="first") as first:
        assert first.clock.zone() == ZoneInfo("Asia/Tokyo")
        with psycopg.connect(address) as session:
            row = session.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None
        assert abs(first.clock.now() - row[0]) < timedelta(seconds=5)
    monkeypatch.setenv("TZ", "America/Denver")
    with open_store(Path("unused"), address, machine="second") as second:
        assert second.clock.zone() == ZoneInfo("Asia/Tokyo")


@pytest.mark.law(8)
def test_only_init_makes_the_tables(address: str) -> None:
    for options in ({"create": False}, {"read_only": True}):
        with pytest.raises(StoreMissingError, match="make it with: jarvis-trio init"):
            PostgresDatabase(address, **options)  # type: ignore[arg-type]  # either is a bool
    PostgresDatabase(address).close()
    with (
        MemoryStore("unused", connection=PostgresDatabase(address, read_only=True)) as store,
        pytest.raises(StoreError, match="readonly database"),
    ):
        store.notes.remember("key", "value")


@pytest.mark.law(3)
def test_the_tables_climb_the_same_ladder(address: str) -> None:
    more = Step("A column.", columns={"task_runs": {"cores": "INTEGER NOT NULL DEFAULT 1"}})
    with closing(PostgresDatabase(address, steps=STEPS[:1])) as first:
        assert first.execute("SELECT value FROM jarvis_meta WHERE key = 'schema_version'").rows[0][0] == "1"
    with closing(PostgresDatabase(address, steps=[*STEPS, more])) as last:
        assert last.execute("SELECT count(cores) FROM task_runs").rows[0][0] == 0
    assert f"has schema {len(STEPS) + 1}, this program knows {len(STEPS)}" in refusal(address).says


@pytest.mark.law(4)
def test_text_that_a_server_does_not_take_is_changed_and_not_refused(store: MemoryStore) -> None:
    store.notes.remember("key", "a\0b")
    assert store.notes.note("key") == "a\ufffdb"


def test_two_machines_that_open_it_together_make_it_once(address: str) -> None:
    together, errors = threading.Barrier(4), []

    def open_it() -> None:
        together.wait(PATIENCE)
        try:
            PostgresDatabase(address).close()
        except StoreError as error:
            errors.append(error)

    finish(*[in_thread(open_it) for _ in range(4)])
    assert errors == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"port": "1"}, "onnection refused"),
        ({"host": "no-such-host.invalid"}, "host"),
        ({"dbname": "nowhere"}, 'database "nowhere" does not exist'),
        ({"user": "nobody_at_all"}, 'role "nobody_at_all" does not exist'),
        ({"nonsense": "1"}, "nonsense"),
    ],
)
def test_an_address_that_leads_nowhere_is_told_in_one_line(
    postgres: PostgresServer, change: dict[str, str], says: str
) -> None:
    parts = {"host": "127.0.0.1", "port": str(postgres.port), "user": "jarvis", "dbname": "postgres", **change}
    address = "postgresql://{user}@{host}:{port}/{dbname}".format(**parts)
    if "nonsense" in change:
        address += "?nonsense=1"
    assert says in refusal(address).says


def test_a_user_who_may_not_is_told_so(address: str) -> None:
    PostgresDatabase(address).close()
    with psycopg.connect(address, autocommit=True) as session:
        session.execute("DROP ROLE IF EXISTS guest")
        session.execute("CREATE ROLE guest LOGIN")
    guest = address.replace("jarvis@", "guest@")
    assert "permission denied" in refusal(guest).says


def test_an_old_server_is_refused(address: str) -> None:
    refused = refusal(address, oldest_server=99)
    assert refused.says.startswith("the server of postgresql://127.0.0.1:")
    assert refused.fix == "use PostgreSQL 99 or newer"


@pytest.mark.law(2)
def test_a_pooler_in_transaction_mode_is_refused(postgres: PostgresServer, address: str) -> None:
    with pooler(postgres, "transaction") as through:
        refused = refusal(through(address))
    assert refused.says.endswith("is a pooler that gives each transaction another session")
    assert refused.fix == "name the server itself, or a pool in session mode"


@pytest.mark.law(2)
def test_a_pooler_in_session_mode_is_as_good_as_the_server(postgres: PostgresServer, address: str) -> None:
    with pooler(postgres, "session") as through, another(through(address)) as store:
        store.notes.remember("key", "value")
        assert store.notes.note("key") == "value"


def test_without_psycopg_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "jarvis_trio.store.postgres", None)
    with pytest.raises(StoreError, match=r"needs psycopg.*; install it with: "):
        open_store(Path("unused"), "postgresql://localhost/x")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://localhost/x", "must begin with postgresql://"),
        ("postgresql://me:secret@localhost/x", "holds a password; put it into ~/.pgpass"),
        ("postgresql://localhost/x?password=secret", "holds a password"),
    ],
)
def test_a_url_that_cannot_be_right_is_a_bad_setting(url: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=says) as refused:
        read_settings({"JARVIS_DATABASE_URL": url}, tmp_path)
    assert "secret" not in str(refused.value)


def test_the_shared_clock_goes_on_from_what_the_server_said() -> None:
    clock = SharedClock()
    clock.correct(datetime(2031, 1, 1, tzinfo=UTC))
    assert timedelta(0) <= clock.now() - datetime(2031, 1, 1, tzinfo=UTC) < timedelta(seconds=PATIENCE)


def test_each_type_has_its_word_on_the_server() -> None:
    dialect = dialects.PostgresDialect()
    assert "id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY" in dialect.make_table(
        "task_runs", STEPS[0].tables["task_runs"]
    )
    assert NUMBERED not in dialect.make_table("facts", STEPS[0].tables["facts"])
    assert dialect.add_column("t", "c", "INTEGER NOT NULL") == "ALTER TABLE t ADD COLUMN c BIGINT"


@pytest.mark.law(3)
def test_a_run_on_another_machine_is_interrupted_by_that_machine_alone(store: MemoryStore, address: str) -> None:
    task = store.store_scheduled_task(a_task())
    claim = store.runs.claim_run(task, START, 1, started_at=START, owner="there/999999:1@boot")
    assert claim is not None
    assert [run.owner for run in store.runs.live_runs_of_others("here/1")] == ["there/999999:1@boot"]
    assert store.runs.list_runs(status=RunStatus.RUNNING)


def test_the_head_of_the_queue_is_read_in_its_order(store: MemoryStore, address: str) -> None:
    """The plan sorts nothing, however many tasks are due at one instant."""
    told: list[tuple[str, Any]] = []
    store.connection.trace = lambda sql, values: told.append((sql, values))
    store.queue.head(START)
    ((sql, values),) = told
    with psycopg.connect(address) as session:
        session.execute("SET enable_seqscan = off")
        plan = [row[0] for row in session.execute(f"EXPLAIN {sql}".encode(), values)]
    assert "task_queue_due" in "".join(plan)
    assert not [line for line in plan if "Sort" in line]


@pytest.mark.law(3)
def test_a_commit_without_an_answer_is_told_from_one_that_is_refused(store: MemoryStore, address: str) -> None:
    session = store.value("SELECT pg_backend_pid()")

    def write() -> None:
        with store.transaction():
            store.notes.remember("key", "ours")
            with psycopg.connect(address, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 20000)", (session,))

    with pytest.raises(StoreUnsureError, match="gone"):
        write()
    store.look_after()
    assert store.notes.note("key") is None


@pytest.mark.law(3)
@pytest.mark.law(4)
@pytest.mark.parametrize(
    ("change", "notices"),
    [
        ("DROP TABLE task_runs", "SELECT * FROM task_runs"),
        ("DROP TABLE scheduled_tasks CASCADE", "SELECT * FROM scheduled_tasks"),
        ("DROP TABLE jarvis_meta", "SELECT * FROM jarvis_meta"),
        ("ALTER TABLE task_runs DROP COLUMN reason", "SELECT reason FROM task_runs"),
        ("DROP TRIGGER jarvis_task_changed ON scheduled_tasks", None),
        ("DROP INDEX task_queue_due", None),
    ],
)
def test_what_another_program_takes_away_is_put_back(
    store: MemoryStore,
    address: str,
    change: str,
    notices: str | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At once if a statement misses it, and otherwise within a minute."""
    with psycopg.connect(address, autocommit=True) as other:
        other.execute(change.encode())
    if notices is not None:
        with pytest.raises(StoreError):
            store.read(notices)
    else:
        store.look_after()
        assert caplog.messages == []
        monkeypatch.setattr(postgres_module, "_CHECKS_TABLES_EVERY_SECONDS", 0)
    for _ in range(2):
        store.look_after()
    assert ladder.missing(store.connection, ladder.look(store.connection)) == []
    assert [message for message in caplog.messages if "added again" in message] == caplog.messages
    assert len(caplog.messages) == 1


def test_a_database_that_a_newer_program_has_changed_is_refused_at_each_look(store: MemoryStore, address: str) -> None:
    with psycopg.connect(address, autocommit=True) as other:
        other.execute("UPDATE jarvis_meta SET value = '999' WHERE key = 'schema_version'")
    with pytest.raises(StoreError):
        store.read("SELECT * FROM nowhere")  # so the tables are looked at
    for _ in range(3):
        with pytest.raises(StoreError, match="has schema 999"):
            store.look_after()


@pytest.mark.law(4)
def test_what_is_missing_in_a_table_that_somebody_keeps_locked_holds_nobody_up(
    store: MemoryStore, address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is put back under the lock that all machines need, so it waits for a moment only."""
    monkeypatch.setattr(postgres_module, "_CHECKS_TABLES_EVERY_SECONDS", 0)
    usual = store.value("SELECT current_setting('lock_timeout')")
    with psycopg.connect(address) as other:
        other.execute("DROP INDEX task_queue_due")
        other.commit()
        other.execute("LOCK TABLE task_queue IN ROW EXCLUSIVE MODE")
        before = time.monotonic()
        for _ in range(2):
            store.look_after()
        assert time.monotonic() - before < 60
        (told,) = caplog.messages
        assert "index task_queue_due" in told
        assert "lock timeout" in told
    assert store.value("SELECT current_setting('lock_timeout')") == usual
    store.look_after()
    assert ladder.missing(store.connection, ladder.look(store.connection)) == []


@pytest.mark.law(4)
def test_what_may_not_be_put_back_is_told_once_and_the_rest_goes_on(
    store: MemoryStore, postgres: PostgresServer, path: Path, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The tables belong to another user, as where an administrator made them."""
    user = postgres.new_user()
    with psycopg.connect(address, autocommit=True) as owner:
        owner.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {user}".encode())
        owner.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {user}".encode())
        with MemoryStore(path, connection=PostgresDatabase(address.replace("jarvis@", f"{user}@"))) as theirs:
            owner.execute(b"DROP TABLE outbox")
            for _ in range(3):
                with pytest.raises(StoreError):
                    theirs.read("SELECT * FROM outbox")
                theirs.look_after()
            theirs.notes.remember("key", "value")
    (told,) = caplog.messages
    assert told.startswith("Missing in the tables of ")
    assert "table outbox" in told
    assert "permission denied" in told
