"""What the tests of the command line share: commands called in this process, or as real programs."""

from __future__ import annotations

import atexit
import json
import logging
import os
import pty
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest

from jarvis_trio.cli import main
from jarvis_trio.foreground.telling import NOTES
from jarvis_trio.models import Run, ScheduledTask
from jarvis_trio.process.lock import holder
from jarvis_trio.process.signals import ENDING_A_COMMAND
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import PATIENCE, FakeClock
from tests.support.fork_server import Forked, ForkServer

Process = subprocess.Popen[str] | Forked

CHECKOUT = Path(__file__).parents[2]


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Cli:
    """Calls commands in this process, on a data folder and a clock of its own."""

    def __init__(self, data: Path, clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
        self.data = data
        self.clock = clock
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Done:
        sys.modules.pop("config", None)  # it has the settings of the test before
        self._capsys.readouterr()
        # `run` leaves them ignored, since its process is to end.
        before = {number: signal.getsignal(number) for number in ENDING_A_COMMAND}
        code = main(arguments, self.clock)
        for number, handler in before.items():
            signal.signal(number, handler)
        return Done(code, *self._capsys.readouterr())

    def ok(self, *arguments: str) -> str:
        """Call a command that must do it; returns what it prints."""
        done = self(*arguments)
        assert done.code == 0, done
        return done.out

    def json(self, *arguments: str) -> Any:
        """Call a command that must do it; returns what its JSON means."""
        return json.loads(self.ok(*arguments, "--json"))

    def fails(self, *arguments: str, code: int = 1) -> str:
        """Call a command that must refuse; returns its one line."""
        done = self(*arguments)
        assert (done.code, done.out) == (code, ""), done
        assert done.err.startswith("jarvis-trio: "), done
        assert done.err.count("\n") == 1, done
        return done.err

    @property
    def path(self) -> Path:
        return self.data / "memory.db"

    def task(self, name: str) -> ScheduledTask:
        """The task as its row is now."""
        with MemoryStore(self.path) as store:
            return store.tasks.require_task(name)

    def names(self) -> list[str]:
        """The names of all tasks."""
        with MemoryStore(self.path) as store:
            return [task.name for task in store.list_scheduled_tasks()]

    def runs(self, name: str) -> list[Run]:
        """The runs of a task, the newest first."""
        with MemoryStore(self.path) as store:
            return store.runs.list_runs(task=name)

    def change(self, name: str, /, **columns: object) -> None:
        """Change a row as another program would."""
        with MemoryStore(self.path, clock=self.clock) as store:
            task_id = store.tasks.require_task(name).id
            assert task_id is not None
            store.update_scheduled_task(task_id, **columns)

    def after(self, prepare: Callable[[Cli], None]) -> Cli:
        """Bring data folder and clock to what `prepare` makes of new ones.

        It is called once in a test process; each later test gets a copy of the folder that it left.
        """
        if prepare not in _prepared:
            begun = self.clock.now()
            prepare(self)
            kept = Path(tempfile.mkdtemp(prefix="jarvis-prepared-"))
            atexit.register(shutil.rmtree, kept, ignore_errors=True)
            shutil.copytree(self.data, kept, dirs_exist_ok=True)
            _prepared[prepare] = kept, self.clock.now() - begun
            return self
        kept, passed = _prepared[prepare]
        shutil.copytree(kept, self.data, dirs_exist_ok=True)
        self.clock.advance(seconds=passed.total_seconds())
        return self


_prepared: dict[Callable[[Cli], None], tuple[Path, timedelta]] = {}
"""Per preparation the folder that it left, and the time that it took on the clock."""


@pytest.fixture
def cli(
    tmp_path: Path,
    empty_database: Path,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Cli]:
    """Commands on an empty database."""
    bare = Cli(tmp_path / "data", clock, capsys)
    monkeypatch.setenv("JARVIS_DATA_DIR", str(bare.data))
    bare.data.mkdir(mode=0o700)
    shutil.copy(empty_database, bare.path)
    yield bare
    logging.getLogger().removeHandler(NOTES)
    logging.getLogger("jarvis_trio").setLevel(logging.NOTSET)


def base_environment() -> dict[str, str]:
    """What every program of the tests is given, beside its folders."""
    coverage = {name: text for name, text in os.environ.items() if name.startswith("COVERAGE_")}
    return coverage | {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH")))),
        "TZ": "UTC",
        "PYTHONTZPATH": "",  # as in conftest.py
    }


def _of_the_interpreter(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that Python reads as it starts: a forked process would not heed others."""
    kinds = ("PYTHON", "COVERAGE_", "LANG", "LC_", "LD_")
    return {name: text for name, text in environment.items() if name.startswith(kinds)}


class Program:
    """Runs the real program in processes of its own; ends what is left of them."""

    def __init__(self, data: Path, fork_server: ForkServer | None = None) -> None:
        self.data = data
        self.environment = base_environment() | {"HOME": str(data.parent), "JARVIS_DATA_DIR": str(data)}
        self._fork_server = fork_server
        self._started: list[Process] = []

    def __call__(self, *arguments: str, **environment: str) -> Done:
        """Run a command to its end, in a process that is forked; `anew` tells when that does not do."""
        if not self._can_fork(environment):
            return self.anew(*arguments, **environment)
        with tempfile.TemporaryFile("w+") as out:
            done = self.into(out, *arguments, **environment)
            return done._replace(out=out.seek(0) or out.read())

    def into(self, out: IO[str], *arguments: str, **environment: str) -> Done:
        """Run a command to its end, in a process that is forked, with a file as its stdout."""
        assert self._fork_server is not None
        variables = self.environment | environment
        with tempfile.TemporaryFile("w+") as err, open(os.devnull, "rb") as nothing:
            streams = (nothing.fileno(), out.fileno(), err.fileno())
            code = self._fork_server.run(arguments, variables, self.data.parent, streams, seconds=180)
            return Done(code, "", err.seek(0) or err.read())

    def anew(self, *arguments: str, **environment: str) -> Done:
        """Run a command to its end, in an interpreter of its own: for what is about its start."""
        done = subprocess.run(
            self._command(arguments),
            env=self.environment | environment,
            cwd=self.data.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, **environment: str) -> Process:
        """Start a process that goes on, forked like a command; `start_anew` tells when that does not do."""
        if not self._can_fork(environment):
            return self.start_anew(*arguments, **environment)
        assert self._fork_server is not None
        process = self._fork_server.start(arguments, self.environment | environment, self.data.parent)
        self._started.append(process)
        return process

    def _can_fork(self, environment: Mapping[str, str]) -> bool:
        variables = self.environment | environment
        return self._fork_server is not None and _of_the_interpreter(variables) == _of_the_interpreter(
            base_environment()
        )

    def start_anew(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a process that goes on, in an interpreter of its own: for what is about its start."""
        process = subprocess.Popen(
            self._command(arguments),
            env=self.environment | environment,
            cwd=self.data.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def daemon(self, *arguments: str, **environment: str) -> Process:
        """Start a daemon, and wait until it has ticked."""
        process = self.start("run", *arguments, **environment)
        eventually(self.has_ticked)
        return process

    def has_ticked(self) -> bool:
        """Whether a daemon runs and has ticked."""
        daemon = holder(self.data / "jarvis-daemon.lock")
        return daemon is not None and daemon.last_tick_at is not None

    def status(self) -> Any:
        return json.loads(self("status", "--json").out)

    def at_terminal(self, *arguments: str, answer: str = "", **environment: str) -> Done:
        """Run a command with a terminal as stdin and stdout; both outputs come as one."""
        ours, theirs = pty.openpty()
        with open(ours, "r+b", buffering=0) as terminal:
            process = self._at(theirs, arguments, environment)
            os.close(theirs)
            terminal.write(answer.encode())
            shown = b"".join(_until_closed(ours))
        return Done(process.wait(PATIENCE), shown.decode().replace("\r\n", "\n"), "")

    def _at(self, stream: int, arguments: tuple[str, ...], environment: Mapping[str, str]) -> Process:
        """Start a process of which all three streams are this one."""
        if self._can_fork(environment):
            assert self._fork_server is not None
            variables = self.environment | environment
            return self._fork_server.at(stream, arguments, variables, self.data.parent)
        return subprocess.Popen(
            self._command(arguments), env=self.environment | environment, stdin=stream, stdout=stream, stderr=stream
        )

    def end(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "jarvis_trio", *arguments]


def _until_closed(descriptor: int) -> Iterator[bytes]:
    # Linux ends a closed terminal with EIO, other systems with nothing to read.
    with suppress(OSError):
        while select.select([descriptor], [], [], 30)[0] and (chunk := os.read(descriptor, 65536)):
            yield chunk


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """What runs short commands; one for each process of tests."""
    server = ForkServer(base_environment())
    yield server
    server.close()


@pytest.fixture
def program(tmp_path: Path, fork_server: ForkServer) -> Iterator[Program]:
    """The real program, on a data folder that `init` has not made yet."""
    program = Program(tmp_path / "data", fork_server)
    yield program
    program.end()


def eventually(condition: Callable[[], Any], seconds: float = 180) -> Any:
    """What `condition` returns as soon as that is true; fails when it is not within the time."""
    now = time.monotonic()
    deadline = now + seconds
    while not (found := condition()):
        asked, now = now, time.monotonic()
        assert now < deadline, "it did not happen in time"
        # What asks by a command takes no more than half of a processor away from what it waits for.
        time.sleep(min(max(0.02, now - asked), 0.2))
        now = time.monotonic()
    return found


def execute(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """What another program finds, or does, in a database."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(sql).fetchall()
