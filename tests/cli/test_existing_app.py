"""An application of the existing assistant's shape, run as it is: real processes.

`tests/support/existing_app/` is that application. `test_cli_application.py` has the errors of
the options and what signals do; here it is whether an application feels at home.
"""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_world import Process, Program, eventually, execute
from tests.support.fork_server import ForkServer

pytestmark = pytest.mark.slow

STORE, ENGINE = "MemoryStore of the module memory.store", "SchedulerEngine of the module scheduler.engine"
OPTIONS = ("--engine", "scheduler.engine:SchedulerEngine", "--store", "memory.store:MemoryStore")
TASKS = "INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type, next_run_at) VALUES "


class Assistant(Program):
    """The application in a folder of its own, and the daemon that runs it."""

    def __init__(self, folder: Path, fork_server: ForkServer) -> None:
        super().__init__(folder / "data", fork_server)
        shutil.copytree(Path(__file__).parents[1] / "support/existing_app", folder)
        del self.environment["JARVIS_DATA_DIR"]
        self.environment["DAEMON_TICK_INTERVAL_SECONDS"] = "1"
        self.folder = folder
        self.database = self.data / "memory.db"
        self.log = self.data / "jarvis-daemon.log"

    def add(self, *handlers: str) -> None:
        """Tasks that are due, one for each handler, in the assistant's own table."""
        self.data.mkdir()
        tables = (self.folder / "memory/store.py").read_text().split('"""')[1]
        for statement in tables.split(";\n")[:-1]:
            execute(self.database, statement)
        for kind in handlers:
            self.add_task(f"my {kind}", kind)

    def add_task(self, name: str, kind: str) -> None:
        values = (name, "interval", '{"minutes": 60}', kind, "2026-01-01T00:00:00")
        execute(self.database, f"{TASKS} {values}")

    def run(self) -> Process:
        """Start the daemon."""
        return self.start(*self.command)

    @property
    def command(self) -> list[str]:
        return ["run", "--app-dir", str(self.folder), *OPTIONS]

    def value(self, column: str, name: str) -> Any:
        ((value,),) = execute(self.database, f"SELECT {column} FROM scheduled_tasks WHERE name = '{name}'")
        return value

    def has_logged(self, text: str) -> bool:
        return self.log.exists() and text in self.log.read_text()


@pytest.fixture
def assistant(tmp_path: Path, fork_server: ForkServer) -> Iterator[Assistant]:
    assistant = Assistant(tmp_path / "assistant", fork_server)
    yield assistant
    assistant.end()


def stop(daemon: Process) -> tuple[str, str]:
    """End the daemon; returns what it wrote to stdout and to stderr."""
    daemon.send_signal(signal.SIGTERM)
    out, err = daemon.communicate(timeout=180)
    assert daemon.returncode == 0, err
    return out, err


def test_its_tasks_run_and_its_results_are_in_our_log_line(assistant: Assistant) -> None:
    assistant.add("brief", "where", "breaks")
    daemon = assistant.run()
    eventually(lambda: assistant.has_logged("Tick: 3 evaluated, 2 executed, 1 errors"))
    out, _ = stop(daemon)
    assert out == "a word on stdout\n"
    assert json.loads(assistant.value("last_result", "my brief")) == {"status": "ok", "answers": [0, 1, 2]}
    assert assistant.has_logged("Error executing task my breaks: a handler that breaks")


def test_its_own_config_and_folders_count(assistant: Assistant) -> None:
    """Also though the program runs where a `config` of ours can be found."""
    assistant.environment["ASSISTANT_OWNER"] = "somebody"
    assistant.add("where")
    daemon = assistant.run()
    eventually(lambda: assistant.has_logged("1 executed"))
    stop(daemon)
    assert json.loads(assistant.value("last_result", "my where")) == {
        "status": "ok",
        "data": str(assistant.data),
        "owner": "somebody",
        "folder": str(assistant.folder),
    }
    assert assistant.has_logged("Running my where")
    assert (assistant.data / "jarvis-daemon.lock").exists()


def test_a_file_in_its_data_folder_gives_it_variables(assistant: Assistant) -> None:
    assistant.add("where")
    variables = assistant.data / "application.env"
    variables.touch(0o600)
    variables.write_text("ASSISTANT_OWNER=from the file\n")
    daemon = assistant.run()
    eventually(lambda: assistant.has_logged("1 executed"))
    stop(daemon)
    assert json.loads(assistant.value("last_result", "my where"))["owner"] == "from the file"


def test_an_error_within_a_result_counts_as_one(assistant: Assistant) -> None:
    assistant.add("reports")
    daemon = assistant.run()
    eventually(lambda: assistant.has_logged("Tick: 1 evaluated, 1 errors"))
    stop(daemon)


@pytest.mark.law(4)
def test_a_handler_that_leaves_ends_neither_the_daemon_nor_the_other_tasks(assistant: Assistant) -> None:
    assistant.add("leaves", "brief")
    daemon = assistant.run()
    eventually(lambda: assistant.has_logged("The tick failed: SystemExit: a handler that leaves"))
    eventually(lambda: assistant.has_logged("Tick: 1 evaluated, 1 executed"))
    stop(daemon)
    assert assistant.value("last_result", "my brief") is not None


@pytest.mark.law(1)
def test_a_tick_in_flight_finishes_with_its_writes(assistant: Assistant) -> None:
    assistant.add("slow")
    daemon = assistant.run()
    eventually(lambda: execute(assistant.database, "SELECT * FROM journal"))
    _, err = stop(daemon)
    assert [entry for (entry,) in execute(assistant.database, "SELECT entry FROM journal")] == [
        "slow: begun",
        "slow: done",
    ]
    assert "stopping when what runs has finished: the tick since" in err


@pytest.mark.law(8)
def test_its_files_its_tables_and_its_naive_times_stay_its_own(assistant: Assistant) -> None:
    assistant.add("brief")
    files = {path: path.read_bytes() for path in assistant.folder.rglob("*.py")}
    tables = execute(assistant.database, "SELECT sql FROM sqlite_master")
    daemon = assistant.run()
    eventually(lambda: assistant.has_logged("1 executed"))
    stop(daemon)
    assert {path: path.read_bytes() for path in assistant.folder.rglob("*.py")} == files
    assert execute(assistant.database, "SELECT sql FROM sqlite_master") == tables
    assert datetime.fromisoformat(assistant.value("next_run_at", "my brief")).tzinfo is None


def test_it_goes_on_where_the_assistant_itself_works_on_the_file(assistant: Assistant) -> None:
    assistant.add("brief")
    daemon = assistant.run()
    eventually(lambda: assistant.has_logged("1 executed"))
    assistant.add_task("new", "brief")
    eventually(lambda: assistant.value("last_result", "new"))
    stop(daemon)


def test_doctor_takes_its_handlers_for_granted(assistant: Assistant) -> None:
    assistant.add("brief")
    daemon = assistant.start_anew(*assistant.command)  # its command line tells whose handlers it has
    eventually(lambda: assistant.has_logged("1 executed"))
    done = assistant("doctor", "--json", JARVIS_DATA_DIR=str(assistant.data))
    stop(daemon)
    assert "handler" not in {finding["subject"] for finding in json.loads(done.out)["findings"]}, done


@pytest.mark.parametrize(
    ("file", "content", "named", "cause"),
    [
        ("memory/models.py", "import a_missing_package", STORE, "ModuleNotFoundError: No module named 'a_missing_p"),
        ("memory/models.py", "1 / 0", STORE, "ZeroDivisionError: division by zero"),
        ("scheduler/handlers.py", "def run_handler(:", ENGINE, "SyntaxError"),
        ("scheduler/__init__.py", "raise SystemExit('not today')", ENGINE, "SystemExit: not today"),
    ],
)
def test_what_breaks_at_its_import_is_one_line_with_module_attribute_and_cause(
    assistant: Assistant, file: str, content: str, named: str, cause: str
) -> None:
    assistant.add("brief")
    (assistant.folder / file).write_text(content)
    done = assistant("run", "--app-dir", str(assistant.folder), *OPTIONS)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1), done
    assert f"cannot make {named}" in done.err
    assert cause in done.err


def test_without_a_database_it_is_the_application_that_makes_it(assistant: Assistant) -> None:
    done = assistant("run", "--app-dir", str(assistant.folder), *OPTIONS)
    mend = "let the application make it, or give the right MEMORY_DB_PATH"
    assert (done.code, done.err) == (1, f"jarvis-trio: Memory DB not found at {assistant.database}; {mend}\n")


def test_a_database_that_its_store_cannot_use_is_one_line(assistant: Assistant) -> None:
    assistant.data.mkdir()
    assistant.database.write_text("dear diary " * 500)
    done = assistant("run", "--app-dir", str(assistant.folder), *OPTIONS)
    assert (done.code, done.err.count("\n")) == (1, 1), done
    assert "cannot make MemoryStore of the module memory.store: DatabaseError: file is not a database" in done.err
