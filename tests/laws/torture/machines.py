"""Three machines on one server, killed, cut off and restarted at random: `make torture-machines`.

What holds afterwards: no attempt has begun twice, no command has run beside the next attempt at its
slot, and every slot has a row or is counted by a later one.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from jarvis_trio.engine.fence import FenceTimes
from jarvis_trio.errors import StoreError
from jarvis_trio.models import Run, Trigger
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.opening import open_store
from tests.support.core_fakes import a_task
from tests.support.fleet import Link, Machine, killed, links, why_no_links
from tests.support.postgres_server import PostgresServer, why_not

TIMES = FenceTimes(
    beat=timedelta(seconds=0.5),
    fenced_after=timedelta(seconds=4),
    guarded_after=timedelta(seconds=6),
    lost_after=timedelta(seconds=15),
)
EVERY = timedelta(seconds=5)
_PLACES = ("any", "any", "any", "any", "machine0", "machine1", "machine2")
_SETTLE_SECONDS = 180.0

# A line at the beginning, then one each fifth of a second: for which slot, and which attempt.
COMMAND = """
tell() { echo "$1 $JARVIS_TASK $JARVIS_SCHEDULED_FOR $JARVIS_ATTEMPT" >> "$0"; }
tell begins
for _ in $(seq "$1"); do sleep 0.2; tell runs; done
"""


class Havoc:
    """What is done to the machines and to their server."""

    def __init__(self, seed: int, server: PostgresServer, machines: list[Machine], cables: list[Link]) -> None:
        self._random = random.Random(seed)
        self._server = server
        self._machines = machines
        self._cables = cables
        self._away_until: dict[str, float] = {}
        self._cut_until: dict[Link, float] = {}
        self.done: Counter[str] = Counter()

    def once(self) -> None:
        """Do one thing, after what is over has been put right."""
        self.put_right(time.monotonic())
        act = self._random.choice((self._kill, self._kill, self._cut, self._cut, self._cut, self._crash))
        act()
        self.done[act.__name__.strip("_")] += 1

    def put_right(self, now: float) -> None:
        """Join what was cut for long enough, and start what was away for long enough or has given up."""
        for cable in [cable for cable, until in self._cut_until.items() if until <= now]:
            cable.join()
            del self._cut_until[cable]
        for machine in self._machines:
            is_dead = machine.daemon is None or machine.daemon.poll() is not None
            if is_dead and self._away_until.get(machine.name, 0.0) <= now:
                machine.start()

    def _kill(self) -> None:
        machine = self._random.choice(self._machines)
        with suppress(ProcessLookupError):
            machine.kill()
        self._away_until[machine.name] = time.monotonic() + self._random.choice((0.0, 3.0, 25.0))

    def _cut(self) -> None:
        cable = self._random.choice(self._cables)
        cable.cut()
        self._cut_until[cable] = time.monotonic() + self._random.choice((0.5, 2.0, 8.0, 25.0))

    def _crash(self) -> None:
        self._server.crash()
        time.sleep(self._random.uniform(0, 3))
        self._server.start()


@contextmanager
def a_fleet(folder: Path, server: PostgresServer) -> Iterator[tuple[list[Machine], list[Link], str]]:
    """Three machines with their tasks, running."""
    address = server.new_database()
    with links(3) as cables:
        machines = [
            Machine(folder, f"machine{number}", address.replace("127.0.0.1", cable.host), cable.prefix)
            for number, cable in enumerate(cables)
        ]
        with open_store(folder / "unused", address) as store:
            TIMES.keep(store)
        with killed(machines):
            for machine in machines:
                machine.command("allow", "/bin/sh")
                machine.start()
            with open_store(folder / "unused", address) as store:
                for number, place in enumerate(_PLACES):
                    _add(store, f"task{number}", place, folder / "said", beats=(1, 8, 40)[number % 3])
            yield machines, cables, address


def _add(store: MemoryStore, name: str, place: str, said: Path, beats: int) -> None:
    config = json.dumps({"command": ["/bin/sh", "-c", COMMAND, str(said), str(beats)]})
    every = {"seconds": EVERY.total_seconds()}
    store.store_scheduled_task(a_task(name, every=every, handler="custom", handler_config=config, policy={"on": place}))


def torture(seconds: float, seed: int) -> list[str]:
    """Torture for that long; returns what is wrong, and prints what was done."""
    with tempfile.TemporaryDirectory(prefix="jarvis-machines-") as name:
        folder, server = Path(name), PostgresServer(networked=True)
        try:
            with a_fleet(folder, server) as (machines, cables, address):
                havoc = Havoc(seed, server, machines, cables)
                end = time.monotonic() + seconds
                pauses = random.Random(seed)
                while time.monotonic() < end:
                    time.sleep(pauses.uniform(1, 4))
                    havoc.once()
                runs = _settle(havoc, address, folder)
        finally:
            server.stop()
        said = (folder / "said").read_text().splitlines()
    wrong = check(runs, said)
    counts = ", ".join(f"{count} {what}" for what, count in sorted(havoc.done.items()))
    ends = ", ".join(f"{count} {status}" for status, count in sorted(Counter(str(run.status) for run in runs).items()))
    print(f"seed {seed}: {counts}; {len(runs)} runs: {ends}; {len(wrong)} wrong")
    return wrong


def _settle(havoc: Havoc, address: str, folder: Path) -> list[Run]:
    """Put everything right, let nothing new come due, and wait until all is over."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    paused = False
    while time.monotonic() < deadline:
        havoc.put_right(float("inf"))
        with suppress(StoreError), open_store(folder / "unused", address) as store:
            if not paused:
                time.sleep(5)  # time for a few quiet slots
                store.write("UPDATE scheduled_tasks SET schedule_config = ?", ('{"days": 3000}',))
                paused = True
            live = store.value("SELECT count(*) FROM task_runs WHERE live = 1")
            retries = store.value("SELECT count(*) FROM task_queue WHERE attempt > 1")
            if not live and not retries:
                return store.runs.list_runs()
        time.sleep(1)
    raise AssertionError("what ran did not come to an end")


def check(runs: list[Run], said: list[str]) -> list[str]:
    """What is wrong with a history, and with what the commands have said."""
    return [*_begun_twice(said), *_beside(said), *_slots_without_row(runs)]


def _begun_twice(said: list[str]) -> list[str]:
    begins = Counter(line for line in said if line.startswith("begins "))
    return [f"begun {count} times: {line}" for line, count in begins.items() if count > 1]


def _beside(said: list[str]) -> list[str]:
    wrong, latest = [], defaultdict[str, int](int)
    for line in said:
        _, task, slot, attempt = line.split()
        latest[f"{task} {slot}"] = max(latest[f"{task} {slot}"], int(attempt))
        if int(attempt) < latest[f"{task} {slot}"]:
            wrong.append(f"attempt {attempt} beside the next one: {task} {slot}")
    return wrong


def _slots_without_row(runs: list[Run]) -> list[str]:
    """Of each task, the first attempts and what they stand for make an unbroken row of slots."""
    wrong = []
    firsts = defaultdict[str, list[Run]](list)
    for run in runs:
        if run.attempt == 1 and run.trigger is Trigger.SCHEDULE:
            firsts[run.task_name].append(run)
    for name, found in firsts.items():
        found.sort(key=lambda run: run.scheduled_for)
        for before, run in pairwise(found):
            slots = (run.scheduled_for - before.scheduled_for) / EVERY
            if slots != 1 + run.collapsed:
                wrong.append(f"{slots} slots of {name} until {run.scheduled_for}, of which {run.collapsed} are counted")
    return wrong


def main() -> int:
    """Torture for MINUTES; the exit status is 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    if (why := why_not() or why_no_links()) is not None:
        print(f"skipped: {why}")
        return 0
    wrong = torture(given.minutes * 60, given.seed)
    print(*wrong, sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
