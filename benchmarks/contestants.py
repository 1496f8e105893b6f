"""Who is compared, and what each offers for its cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks.environments import Environment
from benchmarks.running import Process, ask_in_folder, command_of, environ
from benchmarks.stamps import Stamps


class Standing(Protocol):
    """What can stand idle as a process."""

    @property
    def name(self) -> str:
        """Its name in the tables."""

    @property
    def offers(self) -> str:
        """How its work differs."""

    def start(self, folder: Path) -> tuple[Process, float]:
        """Start it in an empty folder. Returns the process, and the seconds until it was ready."""


class Punctual(Protocol):
    """What can be asked to run something at given instants."""

    @property
    def name(self) -> str:
        """Its name in the tables."""

    @property
    def offers(self) -> str:
        """How its work differs."""

    def keep_time(
        self, folder: Path, instants: Sequence[float], busy: int
    ) -> tuple[Process, Callable[[], list[float]]]:
        """Start it in an empty folder, with something due at each instant (seconds since 1970).

        `busy` long jobs hold threads of it meanwhile. Returns the process, and a function that
        waits for the last instant and tells by how many milliseconds each was late.
        """


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
        """Start it with ten tasks of which none is due. Returns the process, and the seconds until it was ready."""
        process = self._begin("idle", folder)
        return process, process.wait_for_line()

    def keep_time(
        self, folder: Path, instants: Sequence[float], busy: int
    ) -> tuple[Process, Callable[[], list[float]]]:
        """Start it with a task for each instant."""
        process = self._begin("lateness", folder, instants=instants, busy=busy)
        return process, process.answer

    def _begin(self, verb: str, folder: Path, **arguments: Any) -> Process:
        words = {"folder": str(folder), **arguments, **self.arguments}
        return Process(command_of(self.environment, self.program, verb, words), environ(self.environment))


JARVIS = Contestant(
    "jarvis-trio", Environment.OWN, "jarvis", "each slot claimed once, and in the history with its outcome"
)
FIRST_JARVIS = Contestant(
    "jarvis-trio 1.0.0", Environment.FIRST, "jarvis", "the first release: the slot is claimed at its instant"
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
PEERS = (APSCHEDULER3, APSCHEDULER4, APSCHEDULER4_TRIO, HUEY)


@dataclass(frozen=True, slots=True)
class Dbos(Contestant):
    """DBOS, whose schedules are cron expressions with seconds."""

    name: str = "DBOS"
    environment: Environment = Environment.DBOS
    program: str = "dbos_sqlite"
    offers: str = "each slot once, with its outcome; a workflow goes on after a crash; delays slots at random"

    def keep_time(
        self, folder: Path, instants: Sequence[float], busy: int
    ) -> tuple[Process, Callable[[], list[float]]]:
        """Start it with a slot at each odd second, which is what the instants have to be."""
        process = self._begin("lateness", folder, instants=instants, schedule="1-59/2 * * * * *")
        return process, process.answer


DBOS = Dbos()


@dataclass(frozen=True, slots=True)
class JarvisCommand:
    """`jarvis-trio run`, as launchd starts it. Ready when its first tick is over, which the lock file tells.

    `edits` are the words of commands that change the two usual tasks before.
    """

    name: str = "jarvis-trio"
    offers: str = "history, lock, log file; an interval of 60 s"
    settings: Mapping[str, str] = field(default_factory=dict)
    environment: Environment = Environment.OWN
    edits: Sequence[Sequence[str]] = ()

    def start(self, folder: Path) -> tuple[Process, float]:
        """Start the daemon on the folder's database; make one with the two usual tasks if there is none."""
        if not (folder / "memory.db").exists():
            self.command(folder, "init").end()
            for words in self.edits:
                self.command(folder, *words).end()

        lock = folder / "jarvis-daemon.lock"
        lock.unlink(missing_ok=True)  # that of a daemon before this one
        process = self.command(folder, "run")
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
        return self._run(folder, [("true", "0 0 1 1 *")] * 10)

    def keep_time(
        self, folder: Path, instants: Sequence[float], busy: int
    ) -> tuple[Process, Callable[[], list[float]]]:
        """Start it with a slot at each even second but the minute's first, which is cron's."""
        stamps = Stamps(folder / "stamps", instants, period_seconds=2)
        process, _ = self._run(folder, [(stamps.command, "2-58/2 * * * * * *")])
        return process, lambda: stamps.late_ms(process)

    def _run(self, folder: Path, jobs: Sequence[tuple[str, str]]) -> tuple[Process, float]:
        lines = [
            f'  - name: "job {number}"\n    command: "{command}"\n    schedule: "{schedule}"\n'
            for number, (command, schedule) in enumerate(jobs)
        ]
        (folder / "jobs.yaml").write_text("jobs:\n" + "".join(lines))
        log = folder / "log"  # it tells of each job: a pipe that nobody reads is full after 400, and it stands still
        with log.open("w") as stream:
            command = [Environment.PEERS.python, "-m", "cronstable", "-c", str(folder)]
            process = Process(command, environ(), terminal=stream.fileno())
        return process, process.wait_until(lambda: log.stat().st_size > 0)


STANDING: tuple[Standing, ...] = (*PEERS, DBOS, Cronstable())
"""The peers as processes that wait."""
