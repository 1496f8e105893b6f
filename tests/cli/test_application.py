"""`run --app-dir`: another application's engine, unchanged, with traps in it."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli_world import Done, Program, eventually, execute
from tests.support.fork_server import ForkServer

pytestmark = pytest.mark.slow

CONFIG = """
from pathlib import Path
DATA_DIR = Path(__file__).parent / "data"
MEMORY_DB_PATH = str(DATA_DIR / "memory.db")
DAEMON_TICK_INTERVAL_SECONDS = 1
SECRET = "of the application"
"""
STORE = """
import sqlite3
class MemoryStore:
    def __init__(self, path):
        self.connection = sqlite3.connect(path, check_same_thread=False)
"""
ENGINE = """
import asyncio
import atexit
import os
import signal
import sys
import threading
from config import SECRET
from memory.store import MemoryStore

inside = threading.Lock()

class SchedulerEngine:
    def __init__(self, store):
        assert isinstance(store, MemoryStore)
        self.connection = store.connection
        self.calls = 0

    def evaluate_due_tasks(self):
        assert inside.acquire(blocking=False), "ticked twice at a time"
        try:
            self.calls += 1
            self.connection.execute("INSERT INTO calls VALUES (?, ?)", (self.calls, SECRET))
            self.connection.commit()
            asyncio.run(asyncio.sleep(0.01))
            if self.calls == 1:
                sys.exit("a handler leaves")
            return [{"task_id": 1, "name": "brief", "status": "executed", "result": "done"}]
        finally:
            inside.release()

class Signalled(SchedulerEngine):
    # Its constructor runs when the lock is held and trio's receiver is not open yet.
    number = signal.SIGTERM
    def __init__(self, store):
        super().__init__(store)
        os.kill(os.getpid(), self.number)

class Woken(Signalled):
    number = signal.SIGHUP

class SignalledAtTheEnd(SchedulerEngine):
    # At exit trio's receiver is closed again.
    def __init__(self, store):
        super().__init__(store)
        atexit.register(lambda: os.kill(os.getpid(), signal.SIGTERM))

class Breaks:
    def __init__(self, store):
        raise RuntimeError("no\\nway")
"""
LEAVES = "import sys\nsys.exit('at import')\n"
ENGINE_NAME, STORE_NAME = "scheduler.engine:SchedulerEngine", "memory.store:MemoryStore"


@pytest.fixture
def app(tmp_path: Path, fork_server: ForkServer) -> Iterator[Program]:
    """An application with a folder, a database and a `config` of its own."""
    folder = tmp_path / "app"
    for name, content in {
        "config.py": CONFIG,
        "memory/store.py": STORE,
        "scheduler/engine.py": ENGINE,
        "scheduler/leaves.py": LEAVES,
        "data/.keep": "",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    program = Program(folder / "data", fork_server)
    del program.environment["JARVIS_DATA_DIR"]
    execute(program.data / "memory.db", "CREATE TABLE calls (number, secret)")
    yield program
    program.end()


@pytest.fixture
def deadly_hang_up() -> Iterator[None]:
    """SIGHUP does to a new process what it does by default; under nohup it would be ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def wrap(program: Program, engine: str = ENGINE_NAME, store: str = STORE_NAME) -> list[str]:
    return ["run", "--app-dir", str(program.data.parent), "--engine", engine, "--store", store]


def refused(program: Program, engine: str = ENGINE_NAME, store: str = STORE_NAME) -> Done:
    done = program(*wrap(program, engine, store))
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1), done
    return done


def test_it_is_ticked_one_at_a_time_with_its_own_config_and_survives_its_exits(app: Program) -> None:
    daemon = app.start(*wrap(app))
    log = app.data / "jarvis-daemon.log"
    eventually(lambda: log.exists() and "Tick: 1 evaluated, 1 executed" in log.read_text())
    daemon.send_signal(signal.SIGTERM)
    _, err = daemon.communicate(timeout=180)
    assert daemon.returncode == 0
    assert len(re.findall("The tick failed: .*a handler leaves", err)) == 1
    assert "ticked twice" not in err
    assert f"database {app.data}/memory.db" in err
    assert f"engine {ENGINE_NAME}" in err


@pytest.mark.law(1)
def test_a_signal_before_the_first_tick_is_neither_lost_nor_deadly(app: Program) -> None:
    done = app(*wrap(app, engine="scheduler.engine:Signalled"))
    assert done.code == 0
    assert "Stopped by SIGTERM" in done.err
    assert execute(app.data / "memory.db", "SELECT * FROM calls") == []


def test_a_hang_up_before_the_first_tick_kills_nobody(app: Program, deadly_hang_up: None) -> None:
    daemon = app.start(*wrap(app, engine="scheduler.engine:Woken"))
    eventually(lambda: execute(app.data / "memory.db", "SELECT * FROM calls"))
    daemon.send_signal(signal.SIGINT)
    assert daemon.wait(180) == 0


@pytest.mark.law(1)
def test_a_signal_after_the_last_tick_kills_nobody(app: Program) -> None:
    daemon = app.start(*wrap(app, engine="scheduler.engine:SignalledAtTheEnd"))
    eventually(lambda: execute(app.data / "memory.db", "SELECT * FROM calls"))
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(180) == 0


def test_nothing_of_ours_is_added_to_its_database(app: Program) -> None:
    daemon = app.start(*wrap(app))
    log = app.data / "jarvis-daemon.log"
    eventually(lambda: log.exists() and "Tick:" in log.read_text())
    daemon.send_signal(signal.SIGTERM)
    daemon.communicate(timeout=180)
    assert execute(app.data / "memory.db", "SELECT name FROM sqlite_master") == [("calls",)]
    assert execute(app.data / "memory.db", "SELECT secret FROM calls LIMIT 1") == [("of the application",)]


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("scheduler.nothing:Engine", "cannot make Engine of the module scheduler.nothing: ModuleNotFoundError"),
        ("scheduler.leaves:Engine", "cannot make Engine of the module scheduler.leaves: SystemExit: at import"),
        ("scheduler.engine:Nothing", "cannot make Nothing of the module scheduler.engine: AttributeError:"),
        ("scheduler.engine:Breaks", r"cannot make Breaks of the module scheduler.engine: RuntimeError: no\nway"),
        ("scheduler.engine", "not MODULE:ATTR: 'scheduler.engine'"),
    ],
)
def test_what_cannot_be_loaded_is_told_with_module_attribute_and_cause(app: Program, engine: str, said: str) -> None:
    assert said in refused(app, engine=engine).err


def test_a_store_that_cannot_be_loaded_is_told_too(app: Program) -> None:
    done = refused(app, store="memory.store:Store")
    assert "cannot make Store of the module memory.store: AttributeError" in done.err


def test_a_missing_database_is_told_before_anything_is_called(app: Program) -> None:
    (app.data / "memory.db").unlink()
    assert re.search("Memory DB not found at .*/app/data/memory.db", refused(app).err)
    assert not (app.data / "memory.db").exists()


def test_a_config_that_breaks_is_one_line(app: Program) -> None:
    (app.data.parent / "config.py").write_text("raise KeyError('HOME')")
    assert "cannot import the module config: KeyError: 'HOME'" in refused(app).err


def test_engine_and_store_go_together(app: Program) -> None:
    done = app("run", "--engine", ENGINE_NAME)
    assert done.code == 2
    assert "--engine and --store go together" in done.err
