"""Fixtures of the core: a clock, a store, engines, and another program at the same file."""

from __future__ import annotations

import gc
import importlib
import inspect
import os
import shutil
import signal
import sqlite3
import zoneinfo
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, Protocol

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from jarvis_trio.delivery import Message
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.notices import Notices
from jarvis_trio.engine.peers import Peers
from jarvis_trio.engine.runner import run_inline
from jarvis_trio.models import Handler, ScheduledTask
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.postgres import PostgresDatabase
from tests.support.cli_world import cli, fork_server, program  # noqa: F401  # fixtures
from tests.support.core_fakes import FakeClock, MakeEngine, Notes, a_task
from tests.support.postgres_server import PostgresServer, why_not

# Zone rules change: the machine's own may be older or newer than the tests. Those of the locked
# package `tzdata` count, here and in the programs that tests start.
zoneinfo.reset_tzpath(())
os.environ["PYTHONTZPATH"] = ""

# Whoever runs the tests may have a settings file; an empty one takes its place.
os.environ["JARVIS_SETTINGS"] = os.devnull

# pytest-xdist sets COLUMNS in its processes; what a command prints must not depend on that.
os.environ.pop("COLUMNS", None)

# How long an example takes says more of the machine's load than of the program.
settings.register_profile("unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


# Nothing of what is imported and collected becomes garbage: to look for it is half of the time before the first test.
gc.disable()


def pytest_collection_finish() -> None:
    """From now on garbage is looked for, and only among what the tests themselves make."""
    gc.freeze()
    gc.enable()


def pytest_configure() -> None:
    """A shell has what it starts in the background ignore Ctrl-C, and the programs under test would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are processors: many tests wait for a process that works, or that waits itself."""
    return 2 + (os.cpu_count() or 1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Each test process of all tests begins to import them at another place, and so compiles only a part of them.

    What one has compiled the others read. Together they would each compile all, which takes them
    longer than everything else before the first test.
    """
    number, count = (int(os.environ.get(f"PYTEST_XDIST_{name}", "0").removeprefix("gw")) for name in WORKER)
    if not count or session.config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    files = sorted(Path(__file__).parent.rglob("test_*.py"))
    first = len(files) * number // count
    for file in [*files[first:], *files[:first]]:
        # What is wrong with a module is told when pytest itself imports it.
        with suppress(Exception, pytest.skip.Exception):
            importlib.import_module(".".join(file.relative_to(session.config.rootpath).with_suffix("").parts))


WORKER = ("WORKER", "WORKER_COUNT")
"""The variables that tell a test process its number, and how many they are."""


@pytest.fixture(autouse=True)
def _signals_stay_as_they_are() -> Iterator[None]:
    """A test that leaves a signal ignored or blocked hands that on to the programs that later tests start."""
    before = _signals()
    yield
    assert _signals() == before


def _signals() -> tuple[object, ...]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
    return *map(signal.getsignal, numbers), signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new database, to be copied: to make one takes the disk longer than most tests take."""
    path = tmp_path_factory.mktemp("database") / "memory.db"
    MemoryStore(path).close()
    return path


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What the store and the engine promise holds on both databases; what names a file is of SQLite."""
    folder = metafunc.definition.path.parent.name
    asked = {*inspect.signature(metafunc.function).parameters, *metafunc.fixturenames}
    if "store" not in asked or folder not in ("store", "engine"):
        return
    if "path" in inspect.signature(metafunc.function).parameters or asked & SQLITE_ONLY:
        return
    if hasattr(metafunc.module, "store"):  # a fixture of its own, for one of the two
        return
    if metafunc.definition.get_closest_marker("sqlite") is not None:
        return
    on_postgres = pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow])
    metafunc.parametrize("store", ["sqlite", on_postgres], indirect=True)


SQLITE_ONLY = {"on_a_full_disk"}
"""Fixtures that do something to the file."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server of this test process's own; without one, the tests that need it are skipped."""
    if (why := why_not()) is not None:
        pytest.skip(why)
    server = PostgresServer()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres_tables(postgres: PostgresServer) -> Iterator[Tables]:
    """A schema with our tables, to be emptied: to make one takes longer than most tests take."""
    address = postgres.new_schema()
    PostgresDatabase(address).close()
    tables = Tables(address)
    yield tables
    tables.close()


@pytest.fixture
def store(request: pytest.FixtureRequest, clock: FakeClock) -> Iterator[MemoryStore]:
    kind = getattr(request, "param", "sqlite")
    path: Path = request.getfixturevalue("path")
    if kind == "postgres":
        tables: Tables = request.getfixturevalue("postgres_tables")
        tables.empty()
        connection = PostgresDatabase(tables.address, busy_timeout=timedelta(seconds=5))
        with MemoryStore(path, clock=clock, connection=connection) as store:
            yield store
        return
    shutil.copy(request.getfixturevalue("empty_database"), path)
    with MemoryStore(path, clock=clock, busy_timeout=timedelta(seconds=5)) as store:
        yield store


EMPTY = """
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP
        IF name = 'jarvis_meta' THEN
            DELETE FROM jarvis_meta WHERE key <> 'schema_version';
        ELSE
            EXECUTE format('DELETE FROM %I', name);
        END IF;
    END LOOP;
    FOR name IN SELECT sequencename FROM pg_sequences WHERE schemaname = current_schema() LOOP
        PERFORM setval(format('%I', name)::regclass, 1, false);
    END LOOP;
END $$
"""
"""TRUNCATE makes new files for each table and each index, which takes ten times as long as most tests."""


END_THE_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND application_name = 'jarvis-trio' AND datname = current_database()
"""


class Tables:
    """Our tables on a server, and the session that empties them.

    It is one for all tests: in a new session the server looks up every table first, which takes it
    five times as long.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._session = psycopg.connect(address, autocommit=True)

    def empty(self) -> None:
        """Take every row away but the number of the last step."""
        try:
            self._session.execute(END_THE_OTHERS)
        except psycopg.OperationalError:  # a test has restarted the server
            self._session.close()
            self._session = psycopg.connect(self.address, autocommit=True)
            self._session.execute(END_THE_OTHERS)
        self._session.execute(EMPTY)

    def close(self) -> None:
        self._session.close()


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def make_engine(store: MemoryStore, clock: FakeClock, notes: Notes) -> MakeEngine:
    """Makes engines on the store: handlers by type beside `note`, called inline, nobody else alive."""

    def make(handlers: Mapping[str, Handler] | None = None, **options: Any) -> SchedulerEngine:
        at = options.pop("store", store)
        peers = {"owner": "here", "is_alive": lambda owner: False}
        peers |= {name: options.pop(name) for name in ("owner", "is_alive", "end_orphans") if name in options}
        return SchedulerEngine(
            at,
            handlers={"note": notes, **(handlers or {})},
            **{
                "clock": clock,
                "runner": run_inline,
                "peers": Peers(**peers),
                "notices": Notices(at, clock, _send),
                "random": Random(0),
                **options,
            },
        )

    return make


def _send(channel: str, config: Mapping[str, Any], message: Message) -> str:
    return channel


@pytest.fixture
def engine(make_engine: MakeEngine) -> SchedulerEngine:
    return make_engine()


@pytest.fixture
def due(store: MemoryStore, engine: SchedulerEngine, clock: FakeClock) -> Callable[..., ScheduledTask]:
    """Adds a task whose slot at 09:05 is due when it returns."""

    def add(name: str = "job", **columns: Any) -> ScheduledTask:
        task = store.store_scheduled_task(a_task(name, **columns))
        engine.evaluate_due_tasks()
        clock.advance(minutes=5)
        return task

    return add


@pytest.fixture
def other(request: pytest.FixtureRequest, path: Path, store: MemoryStore) -> Iterator[OtherProgram]:
    """The connection of another program, which knows nothing of us."""
    if _is_on_postgres(request):
        with psycopg.connect(request.getfixturevalue("postgres_tables").address, autocommit=True) as session:
            yield OnServer(session)
        return
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        yield connection


def _is_on_postgres(request: pytest.FixtureRequest) -> bool:
    """Whether this is the test's round on the server."""
    call = getattr(request.node, "callspec", None)
    return call is not None and call.params.get("store") == "postgres"


class OtherProgram(Protocol):
    """What tests need of another program's connection, whichever database it is."""

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Any: ...


class OnServer:
    """Another program at the server: it says the same in the server's words."""

    def __init__(self, session: psycopg.Connection[Any]) -> None:
        self._session = session

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Any:
        return self._session.execute(sql.replace("%", "%%").replace("?", "%s").encode(), parameters or None)


_has_a_row_on_the_server: set[str] = set()


def pytest_itemcollected(item: pytest.Item) -> None:
    """On the server `make test` runs what asks it something of its own; `make thorough` has the rest.

    Of a matrix that is the first row: what differs from row to row is what the program decides. Of
    the engine it is what a law promises: the rest asks the server what the tests of the store ask it.
    """
    call = getattr(item, "callspec", None)
    if call is None or item.path.parent.name not in ("engine", "store") or call.params.get("store") != "postgres":
        return
    function = item.nodeid.partition("[")[0]
    is_promised = item.path.parent.name == "store" or item.get_closest_marker("law") is not None
    if function in _has_a_row_on_the_server or not is_promised:
        item.add_marker(pytest.mark.thorough)
    _has_a_row_on_the_server.add(function)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that the test processes end together; otherwise the order stays as it is shuffled."""
    items.sort(key=lambda item: [item.get_closest_marker(name) is None for name in ("long", "slow")])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Lone surrogates, which hostile text has, cannot be sent from one test process to another."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture
def children_are_reaped_by_nobody() -> Iterator[None]:
    """SIGCHLD is ignored, as some supervisors hand it down: then the kernel keeps no exit code."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGCHLD, before)
