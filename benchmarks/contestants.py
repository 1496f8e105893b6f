"""Who is compared, and what each offers for its cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks.environments import Environment
from benchmarks.running import Process, ask_in_folder, command_of, environ


@dataclass(frozen=True, slots=True)
class Contestant:
    """A scheduler that one of the programs drives.

    `offers` is what stands in the tables beside its figures: how its work differs.
    """

    name: str
    environment: Environment
    program: str
    offers: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def ask(self, verb: str, **arguments: Any) -> Any:
        """What its program answers, in an empty folder."""
        return ask_in_folder(self.environment, self.program, verb, **arguments, **self.arguments)

    def start(self, folder: Path) -> tuple[Process, float]:
        """Start it with ten tasks of which none is due. Returns the process, and seconds until it was ready."""
        arguments = {"folder": str(folder), **self.arguments}
        process = Process(command_of(self.environment, self.program, "idle", arguments), environ())
        return process, process.wait_for_line()


class Standing(Protocol):
    """What can stand idle as a process."""

    @property
    def name(self) -> str:
        """Its name in the tables."""

    @property
    def offers(self) -> str:
        """How its work differs."""

    def start(self, folder: Path) -> tuple[Process, float]:
        """Start it in an empty folder. Returns the process, and seconds until it was ready."""


JARVIS = Contestant(
    "jarvis-trio", Environment.OWN, "jarvis", "each slot claimed once, and in the history with its outcome"
)
APSCHEDULER3 = Contestant(
    "APScheduler 3.11", Environment.PEERS, "apscheduler3", "the next time is stored; no history, no claim"
)
APSCHEDULER4 = Contestant(
    "APScheduler 4.0.0a6, asyncio",
    Environment.APSCHEDULER4,
    "apscheduler4",
    "jobs are leased and stored; no history unless results are kept",
    {"backend": "asyncio"},
)
APSCHEDULER4_TRIO = Contestant(
    "APScheduler 4.0.0a6, trio",
    Environment.APSCHEDULER4,
    "apscheduler4",
    "in memory: its SQLAlchemy store refuses trio; nothing is durable",
    {"backend": "trio"},
)
HUEY = Contestant(
    "huey", Environment.PEERS, "huey_sqlite", "the result is stored; what runs when it crashes is lost; no history"
)
SCHEDULERS = (JARVIS, APSCHEDULER3, APSCHEDULER4, APSCHEDULER4_TRIO, HUEY)


@dataclass(frozen=True, slots=True)
class JarvisCommand:
    """`jarvis-trio run`, as launchd starts it. Ready when its first tick is over, which the lock file tells."""

    name: str = "jarvis-trio"
    offers: str = "history, lock, log file; an interval of 60 s"
    settings: Mapping[str, str] = field(default_factory=dict)
    environment: Environment = Environment.OWN

    def start(self, folder: Path) -> tuple[Process, float]:
        """Start the daemon on the folder's database; make one with the two usual tasks where there is none."""
        if not (folder / "memory.db").exists():
            self.command(folder, "init").end()
        process = self.command(folder, "run")
        lock = folder / "jarvis-daemon.lock"
        return process, process.wait_until(lambda: lock.exists() and lock.read_text().count("\n") > 2)

    def command(self, folder: Path, *words: str) -> Process:
        """Start one command."""
        env = environ(self.environment, JARVIS_DATA_DIR=str(folder), **self.settings)
        return Process(self.words(*words), env)

    def words(self, *words: str) -> list[str]:
        """The words of one command. With -P Python looks nowhere but where it is told (using/cmdline)."""
        return [self.environment.python, "-P", "-m", "jarvis_trio", *words]


FIRST_RELEASE = JarvisCommand(
    "jarvis-trio 1.0.0", "the first release: no messages beside ticks, no requests", environment=Environment.FIRST
)


class Cronstable:
    """cronstable with ten jobs of which none is due. Ready when it has logged that it knows them."""

    name = "cronstable"
    offers = "starts a process for each job; its state is in memory, by default"

    def start(self, folder: Path) -> tuple[Process, float]:
        """Write its configuration, and start it."""
        self.configure(folder, [("true", "0 0 1 1 *")] * 10)
        return self.run(folder)

    def configure(self, folder: Path, jobs: list[tuple[str, str]]) -> None:
        """Write jobs, each a command and its schedule."""
        lines = [
            f'  - name: "job {number}"\n    command: "{command}"\n    schedule: "{schedule}"\n'
            for number, (command, schedule) in enumerate(jobs)
        ]
        (folder / "jobs.yaml").write_text("jobs:\n" + "".join(lines))

    def run(self, folder: Path) -> tuple[Process, float]:
        """Start it on what was written."""
        process = Process([Environment.PEERS.python, "-m", "cronstable", "-c", str(folder)], environ())
        return process, process.wait_for_line()


STANDING: tuple[Standing, ...] = (
    JarvisCommand(),
    APSCHEDULER3,
    APSCHEDULER4,
    APSCHEDULER4_TRIO,
    HUEY,
    Cronstable(),
)
