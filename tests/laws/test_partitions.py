"""Machines that are cut off, frozen or killed for good: no command runs beside its second attempt."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from jarvis_trio.engine.fence import FenceTimes
from jarvis_trio.models import RunStatus
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.opening import open_store
from tests.support.cli_world import eventually
from tests.support.core_fakes import a_task
from tests.support.fleet import Link, Machine, killed, links, machines, why_no_links
from tests.support.postgres_server import PostgresServer, why_not

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.thorough, pytest.mark.law(2), pytest.mark.law(3)]

QUICK = FenceTimes(
    beat=timedelta(seconds=0.5),
    fenced_after=timedelta(seconds=4),
    guarded_after=timedelta(seconds=6),
    lost_after=timedelta(seconds=15),
)
PATIENT = FenceTimes(beat=timedelta(seconds=0.5))
"""The fence as it is: a cut of seconds is shorter."""

# It says each fifth of a second that it runs, and for which attempt, until somebody lets it go.
COMMAND = """
while [ ! -e "$0.$JARVIS_TASK.done" ]; do echo "$JARVIS_ATTEMPT" >> "$0.$JARVIS_TASK"; sleep 0.2; done
"""


class World:
    """Machines that share a database, and the tasks that they run."""

    def __init__(self, folder: Path, store: MemoryStore, found: list[Machine], times: FenceTimes) -> None:
        self.said = folder / "said"
        self.store = store
        self.machines = found
        self.cables: list[Link] = []
        times.keep(store)

    def start(self) -> None:
        for machine in self.machines:
            assert machine.command("allow", "/bin/sh").returncode == 0
            machine.start()
        eventually(lambda: len(self.store.machines.list_machines()) == len(self.machines))

    def add(self, name: str, place: str) -> None:
        config = json.dumps({"command": ["/bin/sh", "-c", COMMAND, str(self.said)]})
        at = self.store.clock.now().isoformat()
        self.store.store_scheduled_task(
            a_task(name, at=at, handler="custom", handler_config=config, policy={"on": place})
        )
        eventually(lambda: self.attempts(name))

    def attempts(self, name: str) -> list[int]:
        """The attempts of a task's command, each as often as it has said that it runs."""
        said = self.said.with_name(f"said.{name}")
        return [int(line) for line in said.read_text().split()] if said.exists() else []

    def let_go(self, name: str) -> None:
        self.said.with_name(f"said.{name}.done").touch()

    def owner(self, name: str) -> int:
        """The number of the machine that runs the task."""
        (run,) = self.store.runs.list_runs(task=name, status=RunStatus.RUNNING)
        return int(str(run.owner).partition("/")[0].removeprefix("machine"))

    def history(self, name: str) -> list[tuple[int, RunStatus]]:
        return [(run.attempt, run.status) for run in reversed(self.store.runs.list_runs(task=name))]


@contextmanager
def a_world(folder: Path, times: FenceTimes) -> Iterator[World]:
    if (why := why_not() or why_no_links()) is not None:
        pytest.skip(why)
    server = PostgresServer(networked=True)
    address = server.new_database()
    try:
        with links(2) as cables, open_store(folder / "unused", address) as store:
            found = [
                Machine(folder, f"machine{number}", address.replace("127.0.0.1", cable.host), cable.prefix)
                for number, cable in enumerate(cables)
            ]
            world = World(folder, store, found, times)
            world.cables = cables
            with killed(found):
                world.start()
                yield world
    finally:
        server.stop()


def test_what_others_may_run_is_over_on_a_machine_that_is_cut_off_before_they_run_it(tmp_path: Path) -> None:
    with a_world(tmp_path, QUICK) as world:
        world.add("anybody", "any")
        cut = world.owner("anybody")
        world.add("own", f"machine{cut}")
        world.cables[cut].cut()
        eventually(lambda: 2 in world.attempts("anybody"), 120)
        eventually(lambda: world.attempts("anybody").count(2) > 5)
        assert world.owner("anybody") == 1 - cut
        assert world.history("own") == [(1, RunStatus.RUNNING)], "only its own machine may say that it is over"

        said = len(world.attempts("own"))
        eventually(lambda: len(world.attempts("own")) > said)
        world.let_go("own")
        world.cables[cut].join()
        eventually(lambda: world.history("own") == [(1, RunStatus.EXECUTED)], 120)
        world.let_go("anybody")
        ended = [(1, RunStatus.INTERRUPTED), (2, RunStatus.EXECUTED)]
        eventually(lambda: world.history("anybody") == ended)
        said_by = world.attempts("anybody")
        assert said_by == sorted(said_by), "the second attempt ran beside the first"


def test_a_cut_that_is_shorter_than_the_fence_ends_nothing(tmp_path: Path) -> None:
    with a_world(tmp_path, PATIENT) as world:
        world.add("anybody", "any")
        cable = world.cables[world.owner("anybody")]
        cable.cut()
        said = len(world.attempts("anybody"))
        eventually(lambda: len(world.attempts("anybody")) > said + 15)
        world.let_go("anybody")  # it ends while nobody can be told
        cable.join()
        eventually(lambda: world.history("anybody") == [(1, RunStatus.EXECUTED)], 120)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_the_commands_of_a_daemon_that_is_dead_or_frozen_are_over_before_others_run_them(
    postgres: PostgresServer, tmp_path: Path, number: signal.Signals
) -> None:
    """Nobody starts it again, and no cable is cut: the guard beside it ends them."""
    address = postgres.new_database()
    with (
        machines(tmp_path, address, "machine0", "machine1") as found,
        open_store(tmp_path / "unused", address) as store,
    ):
        world = World(tmp_path, store, found, QUICK)
        world.start()
        world.add("anybody", "any")
        gone = found[world.owner("anybody")]
        assert gone.daemon is not None
        gone.daemon.send_signal(number)
        eventually(lambda: world.attempts("anybody").count(2) > 5, 120)
        world.let_go("anybody")
        ended = [(1, RunStatus.INTERRUPTED), (2, RunStatus.EXECUTED)]
        eventually(lambda: world.history("anybody") == ended)
        said_by = world.attempts("anybody")
        assert said_by == sorted(said_by), "the second attempt ran beside the first"
