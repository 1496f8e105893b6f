"""A process that dies at every single write, and inside every handler and delivery, in turn (laws 2 and 3).

The script below is run once undisturbed. Then again and again, with a `kill -9` one point
further each time and a restart after it; what the history says at the end must be the same.
Between two writes nothing but a handler or a channel touches the world outside the
database, so these points are all that differ. Each point is in one of the rows below: `make test`
has the first rows, and `make thorough` the others.
"""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jarvis_trio.delivery import Message
from jarvis_trio.errors import HandlerError
from jarvis_trio.models import HandlerContext, Run, RunStatus, ScheduledTask
from jarvis_trio.policy import Policy
from jarvis_trio.store import MemoryStore
from jarvis_trio.testing import Simulation
from jarvis_trio.testing.machine import SimulatedCrash
from tests.support.core_fakes import a_task

START = datetime(2026, 3, 1, tzinfo=UTC)
CHECKOUT = Path(__file__).parents[2]

MENDED = '{"minutes": 10}'
NEED_A_REASON = (RunStatus.TIMEOUT, RunStatus.INTERRUPTED, RunStatus.MISSED, RunStatus.SKIPPED)

Call = tuple[str, datetime, int]
"""A task's name, the slot and the attempt that its handler was told."""


class Script:
    """One scripted stretch of a machine's life, during which its daemon dies once, or never."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.calls: list[Call] = []
        self.sent: list[tuple[str, str]] = []
        self.history: list[Run] = []
        self.restarts = 0
        self.dies_in_event = 0
        simulation.delivered = Mailbox(self._delivered)
        self._add_tasks()

    def _add_tasks(self) -> None:
        add, store = self.simulation.add, self.simulation.store
        add("interval", every="5m", handler=self._note)
        add("cron", cron="*/6 * * * *", handler=self._note)
        add("once", at=START + timedelta(minutes=5), handler=self._note)
        add("flaky", every="7m", handler=self._fail_first, policy=Policy(retries=2, retry_delay_seconds=20))
        add("hopeless", every="9m", handler=self._fail)
        add("punctual", every="6m", handler=self._note, policy=Policy(misfire_grace_seconds=30))
        add("manual", at=START + timedelta(days=1), handler=self._note)
        told = add("told", every="9m", handler=self._note)
        store.update_scheduled_task(told.id or 0, delivery_channel="notification")
        store.store_scheduled_task(a_task("broken", every={"minutes": 0}, handler="interval"))
        store.store_scheduled_task(a_task("foreign", every={"minutes": 7}, handler="nobody's"))

    def run(self) -> None:
        """Live through it; each crash is followed by a restart at once."""
        self._pass(minutes=5, seconds=30)
        with suppress(SimulatedCrash):
            self.simulation.run_now("manual")
        self._pass(minutes=2)
        with suppress(SimulatedCrash):
            self._mend()
        self._revive()
        self._mend()
        self._pass(minutes=3)
        self.simulation.suspend(minutes=20)
        self._pass(minutes=8)
        self.history = self.simulation.history()

    def _pass(self, **units: float) -> None:
        end = self.simulation.clock.now() + timedelta(**units)
        while (left := end - self.simulation.clock.now()) > timedelta(0):
            self._revive()
            self.simulation.run(left)
        self._revive()

    def _revive(self) -> None:
        if self.simulation.crashed:
            self.restarts += 1
            self.simulation.restart()

    def _mend(self) -> None:
        store = self.simulation.store
        task = store.tasks.require_task("broken")
        if task.schedule_config != MENDED:
            first = (START + timedelta(minutes=12)).isoformat()
            store.update_scheduled_task(task.id or 0, schedule_config=MENDED, next_run_at=first)

    def _note(self, task: ScheduledTask, context: HandlerContext) -> None:
        self.calls.append((task.name, context.scheduled_for, context.attempt))
        self._perhaps_die()

    def _fail(self, task: ScheduledTask, context: HandlerContext) -> None:
        self._note(task, context)
        raise HandlerError("as it always does")

    def _fail_first(self, task: ScheduledTask, context: HandlerContext) -> None:
        self._note(task, context)
        if context.attempt == 1:
            raise HandlerError("as it does at first")

    def _delivered(self, letter: tuple[str, Message]) -> None:
        self.sent.append((letter[1].task_name, letter[1].status))
        self._perhaps_die()

    def _perhaps_die(self) -> None:
        """Die here, after the deed and before the next write tells of it."""
        if len(self.calls) + len(self.sent) == self.dies_in_event:
            self.simulation.crash_after()


class Mailbox(list[tuple[str, Message]]):
    """Where the simulated channels put what they deliver; tells of each letter."""

    def __init__(self, tell: Callable[[tuple[str, Message]], None]) -> None:
        self._tell = tell

    def append(self, letter: tuple[str, Message]) -> None:
        super().append(letter)
        self._tell(letter)


@contextmanager
def a_script() -> Iterator[Script]:
    with Simulation(START) as simulation:
        yield Script(simulation)


def ends(history: list[Run]) -> dict[tuple[str, datetime], tuple[RunStatus, int]]:
    """For each slot how its last attempt ended, and how many slots its attempts stand for."""
    found: dict[tuple[str, datetime], tuple[RunStatus, int]] = {}
    for run in sorted(history, key=lambda run: run.attempt):
        slot = (run.task_name, run.scheduled_for)
        found[slot] = (run.status, run.collapsed + found.get(slot, (run.status, 0))[1])
    return {slot: end for slot, end in found.items() if slot[0] != "manual"}


def undisturbed() -> Script:
    """The script, lived through without a crash."""
    with a_script() as script:
        script.run()
        return script


def the_same_happened(script: Script, expected: Script) -> None:
    """Assert laws 2 and 3 of a script that was disturbed, and that its slots ended as those of the other."""
    assert ends(script.history) == ends(expected.history)
    doubled = [call for call, times in Counter(script.calls).items() if times > 1]
    assert not doubled, "an attempt ran twice"
    recorded = {(run.task_name, run.scheduled_for, run.attempt) for run in script.history}
    assert set(script.calls) <= recorded, "something ran that was not claimed"
    assert not [run for run in script.history if run.status in NEED_A_REASON and not run.reason]
    assert not [run for run in script.history if run.status is RunStatus.RUNNING]
    interrupted = sum(run.status is RunStatus.INTERRUPTED for run in script.history)
    assert interrupted <= script.restarts
    # A letter may come twice where the process dies between its sending and its noting, never not at all.
    surplus = Counter(script.sent) - Counter(expected.sent)
    assert not Counter(expected.sent) - Counter(script.sent)
    assert surplus.total() <= (1 if script.dies_in_event else 0)


@pytest.mark.law(3)
@pytest.mark.slow
@pytest.mark.parametrize("first", [1, *(pytest.param(first, marks=pytest.mark.thorough) for first in (2, 3))])
def test_whatever_write_it_dies_after_every_slot_ends_as_without_the_death(first: int) -> None:
    expected = undisturbed()
    for writes in itertools.count(first, 3):
        with a_script() as script:
            script.simulation.crash_after(writes)
            script.run()
        the_same_happened(script, expected)
        if not script.restarts:
            break
    assert writes > 40, "the script became trivial"


@pytest.mark.law(2)
@pytest.mark.slow
@pytest.mark.parametrize("first", [1, pytest.param(2, marks=pytest.mark.thorough)])
def test_whatever_handler_or_delivery_it_dies_in_no_attempt_is_made_twice(first: int) -> None:
    expected = undisturbed()
    for event in range(first, len(expected.calls) + len(expected.sent) + 1, 2):
        with a_script() as script:
            script.dies_in_event = event
            script.run()
        assert script.restarts == 1
        the_same_happened(script, expected)


# A real process on the database argv[1]: it runs what is due until nothing is, appends to argv[2] what
# its handlers were told, and kills itself after as many commits as argv[3] says.
MORTAL = """
import json, os, signal, sys, time
from jarvis_trio.clock import SystemClock
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.sqlite import SqliteFile

class MortalFile(SqliteFile):
    commits_left = int(sys.argv[3])

    def commit(self):
        super().commit()
        self.commits_left -= 1
        if self.commits_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

def note(task, context):
    trace = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(trace, (json.dumps([task.name, context.scheduled_for.isoformat(), context.attempt]) + "\\n").encode())
    os.close(trace)

def fail_first(task, context):
    note(task, context)
    return {"status": "error"} if context.attempt == 1 else None

with MemoryStore(sys.argv[1], connection=MortalFile(sys.argv[1])) as store:
    engine = SchedulerEngine(store, handlers={"note": note, "fail_first": fail_first})
    engine.evaluate_due_tasks()
    while (due_at := engine.next_due_at()) is not None:
        time.sleep(max((due_at - SystemClock().now()).total_seconds(), 0))
        engine.evaluate_due_tasks()
"""


@pytest.mark.law(3)
@pytest.mark.slow
@pytest.mark.parametrize("commits", [3, *(pytest.param(count, marks=pytest.mark.thorough) for count in (1, 5, 7, 9))])
def test_a_real_process_killed_after_a_commit_is_taken_up_by_the_next(commits: int, tmp_path: Path) -> None:
    database, trace = tmp_path / "memory.db", tmp_path / "trace"
    slots = [START + timedelta(minutes=minute) for minute in range(4)]
    with MemoryStore(database) as store:
        for slot in slots:
            handler = "fail_first" if slot == slots[0] else "note"
            policy = {"retries": 2, "retry_delay_seconds": 0.05}
            # With its next run: a row without one is taken for done if it was made after its only time.
            times = {"at": slot.isoformat(), "next_run_at": slot.isoformat()}
            store.store_scheduled_task(a_task(f"{slot:%H:%M}", **times, handler=handler, policy=policy))
    assert _live(database, trace, commits) == -signal.SIGKILL
    assert _live(database, trace, 0) == 0
    with MemoryStore(database) as store:
        history = store.runs.list_runs()
    assert ends(history) == {(f"{slot:%H:%M}", slot): (RunStatus.EXECUTED, 0) for slot in slots}
    calls = trace.read_text().splitlines()
    assert len(calls) == len(set(calls)) <= len(history)


def _live(database: Path, trace: Path, commits: int) -> int:
    arguments = [sys.executable, "-c", MORTAL, str(database), str(trace), str(commits)]
    return subprocess.run(arguments, cwd=CHECKOUT, check=False, timeout=180).returncode
