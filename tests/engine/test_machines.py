"""Tests of processes on several machines: who lives, who must stop, and what comes late."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest

from jarvis_trio.delivery import Message
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.fence import FenceTimes, Keeper
from jarvis_trio.engine.machines import Forgotten, SharedPeers
from jarvis_trio.engine.notices import Notices
from jarvis_trio.engine.peers import Peers
from jarvis_trio.engine.runner import run_in_thread, run_inline
from jarvis_trio.errors import StoreError
from jarvis_trio.models import Handler, HandlerContext, RunStatus, ScheduledTask
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.connection import Presence
from jarvis_trio.store.machines import Machine
from jarvis_trio.store.places import Here
from jarvis_trio.store.postgres import PostgresDatabase
from tests.support.cli_world import eventually
from tests.support.core_fakes import PATIENCE, START, FakeClock, Notes, a_task, finish, in_thread
from tests.support.postgres_server import PostgresServer

on_server = [pytest.mark.postgres, pytest.mark.slow]

BEAT = timedelta(seconds=5)
QUICK = FenceTimes(
    beat=timedelta(milliseconds=20),
    fenced_after=timedelta(milliseconds=200),
    guarded_after=timedelta(seconds=60),
    lost_after=timedelta(seconds=90),
)


class Fleet:
    """Engines of several machines on one server and one clock. Calls are made inline."""

    def __init__(self, address: str, clock: FakeClock, stack: ExitStack) -> None:
        self.clock = clock
        self.notes = Notes()
        self.sent: list[tuple[str, str]] = []
        self.address = address
        self._stack = stack

    def store(self, here: Here) -> MemoryStore:
        connection = PostgresDatabase(self.address, busy_timeout=timedelta(seconds=5))
        return MemoryStore("unused", clock=self.clock, connection=connection, machine=here)

    def presence(self, owner: str) -> Presence:
        """Somebody else's, known to be there until it is closed."""
        store = self._stack.enter_context(self.store(Here("somebody")))
        presence = store.connection.hold(owner, owner.partition("/")[0], BEAT)
        assert presence is not None
        presence.confirm()
        return presence

    def _peers(self, store: MemoryStore, here: Here, presence: Presence | None) -> SharedPeers:
        local = Peers(f"daemon of {here.name}", lambda owner: owner == f"daemon of {here.name}", lambda owner: ())
        machine = Machine(here.name, f"identity of {here.name}", START, here.labels, here.takes_any)
        if presence is None:
            server = store.connection.hold(f"{here.name}/{local.owner}", here.name, BEAT)
            assert server is not None
            keeper = Keeper(server, FenceTimes(), lambda: 0.0)  # in touch as soon as it is there
        else:
            keeper = Keeper(presence, QUICK, self.clock.monotonic)
        self._stack.callback(keeper.close)
        return SharedPeers(store, machine, local, keeper, FenceTimes() if presence is None else QUICK)

    def engine(
        self,
        name: str,
        handlers: Mapping[str, Handler] | None = None,
        *,
        labels: tuple[str, ...] = (),
        takes_any: bool = True,
        **options: Any,
    ) -> SchedulerEngine:
        here = Here(name, labels, takes_any)
        store = self._stack.enter_context(self.store(here))
        peers = self._peers(store, here, options.pop("presence", None))

        def send(channel: str, config: Mapping[str, Any], message: Message) -> str:
            self.sent.append((name, message.task_name))
            return channel

        return SchedulerEngine(
            store,
            handlers={"note": self.notes} if handlers is None else handlers,
            peers=peers,
            notices=Notices(store, self.clock, send),
            **{"runner": run_inline, **options},
        )


@pytest.fixture
def fleet(postgres: PostgresServer, clock: FakeClock) -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(postgres.new_schema(), clock, stack)


def add(engine: SchedulerEngine, name: str, place: str = "any", **columns: Any) -> ScheduledTask:
    policy = {"on": place, **columns.pop("policy", {})}
    return engine.memory_store.store_scheduled_task(a_task(name, at=START.isoformat(), policy=policy, **columns))


def claimed(engine: SchedulerEngine, task: ScheduledTask, owner: str) -> None:
    """Somebody else's run of a task's only slot."""
    store = engine.memory_store
    assert store.runs.claim_run(task, START, 1, started_at=START, owner=owner) is not None
    store.queue.settle(task, START + timedelta(days=300))


def lost_processes(engine: SchedulerEngine) -> list[str]:
    """The processes that are seen to be gone while they have runs."""
    return [row[0] for row in engine.memory_store.read("SELECT owner FROM lost_processes")]


def history(engine: SchedulerEngine) -> list[tuple[str, int, RunStatus]]:
    return [(run.task_name, run.attempt, run.status) for run in reversed(engine.memory_store.runs.list_runs())]


@pytest.mark.law(2)
class TestWhoLives:
    pytestmark = on_server

    def test_what_any_machine_may_run_is_taken_over_after_a_minute_without_the_lock(self, fleet: Fleet) -> None:
        laptop = fleet.engine("laptop")
        claimed(laptop, add(laptop, "job"), "server/its daemon")
        laptop.evaluate_due_tasks()
        fleet.clock.advance(seconds=59)
        laptop.evaluate_due_tasks()
        assert history(laptop) == [("job", 1, RunStatus.RUNNING)]
        assert laptop.next_due_at() == START + timedelta(seconds=60)

        fleet.clock.advance(seconds=1)
        laptop.evaluate_due_tasks()
        assert history(laptop) == [("job", 1, RunStatus.INTERRUPTED), ("job", 2, RunStatus.EXECUTED)]
        assert not lost_processes(laptop)

    def test_nobody_takes_over_from_a_process_that_holds_its_lock(self, fleet: Fleet) -> None:
        laptop = fleet.engine("laptop")
        claimed(laptop, add(laptop, "job"), "server/its daemon")
        presence = fleet.presence("server/its daemon")
        for _ in range(3):
            laptop.evaluate_due_tasks()
            fleet.clock.advance(hours=5)
        assert history(laptop) == [("job", 1, RunStatus.RUNNING)]
        presence.close()

    def test_who_comes_back_within_the_minute_starts_a_new_one(self, fleet: Fleet) -> None:
        laptop = fleet.engine("laptop")
        claimed(laptop, add(laptop, "job"), "server/its daemon")
        laptop.evaluate_due_tasks()
        fleet.clock.advance(seconds=50)
        presence = fleet.presence("server/its daemon")
        assert not lost_processes(laptop)
        presence.close()
        fleet.clock.advance(seconds=50)
        eventually(lambda: laptop.evaluate_due_tasks() or lost_processes(laptop))
        assert history(laptop) == [("job", 1, RunStatus.RUNNING)]

    def test_what_one_machine_may_run_is_judged_by_it_alone(self, fleet: Fleet) -> None:
        laptop, server = fleet.engine("laptop"), fleet.engine("server")
        server.evaluate_due_tasks()
        claimed(server, add(server, "job", "server"), "server/999999:1@boot")
        for _ in range(3):
            laptop.evaluate_due_tasks()
            fleet.clock.advance(days=7)
        assert history(laptop) == [("job", 1, RunStatus.RUNNING)]
        server.evaluate_due_tasks()
        assert history(laptop)[0] == ("job", 1, RunStatus.INTERRUPTED)

    def test_a_run_stays_bound_although_its_task_may_run_anywhere_by_now(self, fleet: Fleet) -> None:
        laptop = fleet.engine("laptop")
        task = add(laptop, "job", "server")
        claimed(laptop, task, "server/its daemon")
        laptop.memory_store.update_scheduled_task(task.id or 0, policy='{"on": "any"}')
        for _ in range(3):
            laptop.evaluate_due_tasks()
            fleet.clock.advance(hours=5)
        assert history(laptop)[0] == ("job", 1, RunStatus.RUNNING)


class Cable:
    """A presence whose server can be cut off. The clock, which a test moves, decides how long it is."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._is_cut = False

    def cut(self) -> None:
        self._is_cut = True
        self._clock.seconds += QUICK.fenced_after.total_seconds()

    def confirm(self) -> None:
        if self._is_cut:
            raise StoreError("no server")

    def close(self) -> None:
        pass


class Patient:
    """A handler that goes on until it is told to stop, or until `done` is set."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.done = threading.Event()
        self.told = False

    def __call__(self, task: ScheduledTask, context: HandlerContext) -> dict[str, str]:
        self.began.set()
        while not self.done.wait(0.01) and not context.cancelled.is_set():
            pass
        self.told = context.cancelled.is_set()
        return {"status": "error" if self.told else "ok"}


@pytest.mark.law(2)
class TestTheFence:
    pytestmark = on_server

    @pytest.mark.parametrize("place", ["any", "laptop"])
    def test_a_machine_that_is_cut_off_ends_what_others_may_take_over(self, fleet: Fleet, place: str) -> None:
        cable, patient = Cable(fleet.clock), Patient()
        laptop = fleet.engine("laptop", {"note": patient}, presence=cable, runner=run_in_thread)
        add(laptop, "job", place)
        thread = in_thread(laptop.evaluate_due_tasks)
        assert patient.began.wait(PATIENCE)
        cable.cut()
        if place == "laptop":
            thread.join(20 * QUICK.beat.total_seconds())
            assert thread.is_alive()
            patient.done.set()
        finish(thread)
        assert patient.told == (place == "any")
        status = RunStatus.INTERRUPTED if place == "any" else RunStatus.EXECUTED
        assert history(laptop) == [("job", 1, status)]

    def test_what_was_ended_runs_again_where_a_machine_is_in_touch(self, fleet: Fleet) -> None:
        cable, patient = Cable(fleet.clock), Patient()
        laptop = fleet.engine("laptop", {"note": patient}, presence=cable, runner=run_in_thread)
        add(laptop, "job")
        thread = in_thread(laptop.evaluate_due_tasks)
        assert patient.began.wait(PATIENCE)
        cable.cut()
        finish(thread)
        (run,) = laptop.memory_store.runs.list_runs()
        assert run.reason == "laptop was cut off from the database for 0.2s; its slot runs again"
        laptop.evaluate_due_tasks()
        assert len(history(laptop)) == 1, "it is still cut off"
        fleet.engine("server").evaluate_due_tasks()
        assert history(laptop)[1:] == [("job", 2, RunStatus.EXECUTED)]

    def test_who_is_cut_off_runs_what_only_it_may_run(self, fleet: Fleet) -> None:
        cable = Cable(fleet.clock)
        laptop = fleet.engine("laptop", presence=cable)
        laptop.evaluate_due_tasks()
        cable.cut()
        add(laptop, "own", "laptop")
        add(laptop, "anybody's")
        eventually(
            lambda: laptop.evaluate_due_tasks() or not laptop.memory_store.queue.look_ahead("", shared=False).slot_at
        )
        assert "own" in fleet.notes.names


@pytest.mark.law(3)
class TestLateOutcomes:
    pytestmark = on_server

    def test_the_outcome_of_a_run_that_was_taken_for_dead_counts_if_nothing_began_since(self, fleet: Fleet) -> None:
        server = fleet.engine("server", {})
        forgetful = SchedulerEngine(server.memory_store, handlers={}, peers=Forgotten("laptop"))

        def be_forgotten(task: ScheduledTask, context: HandlerContext) -> dict[str, str]:
            forgetful.recover()
            assert history(server) == [("job", 1, RunStatus.INTERRUPTED)]
            return {"found": "it"}

        laptop = fleet.engine("laptop", {"note": be_forgotten})
        add(laptop, "job")
        laptop.evaluate_due_tasks()
        (run,) = laptop.memory_store.runs.list_runs()
        assert (run.status, run.result) == (RunStatus.EXECUTED, '{"found": "it"}')
        assert run.reason == "it was taken for dead before it ended"
        assert laptop.next_due_at() is None

    def test_it_is_added_and_told_if_its_slot_has_begun_again(self, fleet: Fleet) -> None:
        server = fleet.engine("server")
        forgetful = SchedulerEngine(server.memory_store, handlers={}, peers=Forgotten("laptop"))

        def be_overtaken(task: ScheduledTask, context: HandlerContext) -> dict[str, str]:
            forgetful.recover()
            server.evaluate_due_tasks()
            return {"found": "it"}

        laptop = fleet.engine("laptop", {"note": be_overtaken})
        add(laptop, "job", policy={"alert_channel": "notification"})
        laptop.evaluate_due_tasks()
        second, first = laptop.memory_store.runs.list_runs()
        assert (first.status, first.result) == (RunStatus.INTERRUPTED, '{"found": "it"}')
        assert first.reason == "laptop, which ran it, was given up; it ended after all: executed"
        assert (second.attempt, second.status) == (2, RunStatus.EXECUTED)
        assert ("laptop", "job") in fleet.sent


class TestPlaces:
    pytestmark = on_server

    def test_a_label_is_any_of_the_machines_that_bear_it(self, fleet: Fleet) -> None:
        laptop = fleet.engine("laptop", labels=("mac",))
        add(laptop, "job", "mac")
        fleet.engine("server").evaluate_due_tasks()
        assert history(laptop) == []
        laptop.evaluate_due_tasks()
        assert history(laptop) == [("job", 1, RunStatus.EXECUTED)]

    def test_a_machine_that_takes_its_own_leaves_the_rest(self, fleet: Fleet) -> None:
        laptop = fleet.engine("laptop", takes_any=False)
        add(laptop, "anybody's")
        add(laptop, "own", "laptop")
        laptop.evaluate_due_tasks()
        assert history(laptop) == [("own", 1, RunStatus.EXECUTED)]

    def test_a_slot_waits_for_the_machine_that_has_its_handler(self, fleet: Fleet) -> None:
        server = fleet.engine("server", {"brief": fleet.notes})
        server.evaluate_due_tasks()
        laptop = fleet.engine("laptop")
        add(laptop, "job", handler="brief")
        laptop.evaluate_due_tasks()
        assert history(laptop) == []
        server.evaluate_due_tasks()
        assert history(laptop) == [("job", 1, RunStatus.EXECUTED)]

    def test_a_slot_waits_for_the_machine_whose_application_takes_every_type(self, fleet: Fleet) -> None:
        class Everything(dict[str, Handler]):
            def __contains__(self, handler_type: object) -> bool:
                return True

            def __missing__(self, handler_type: str) -> Handler:
                return fleet.notes

        laptop, server = fleet.engine("laptop", {}), fleet.engine("server", Everything())
        server.recover()
        add(laptop, "job", handler="brief")
        assert laptop.evaluate_due_tasks() == []
        server.evaluate_due_tasks()
        assert history(server) == [("job", 1, RunStatus.EXECUTED)]

    def test_a_slot_is_skipped_if_no_machine_that_may_run_it_has_its_handler(self, fleet: Fleet) -> None:
        server = fleet.engine("server", {"brief": fleet.notes}, takes_any=False)
        server.evaluate_due_tasks()
        laptop = fleet.engine("laptop")
        add(laptop, "job", handler="brief")
        laptop.evaluate_due_tasks()
        assert history(laptop) == [("job", 1, RunStatus.SKIPPED)]

    def test_a_message_is_sent_where_its_task_runs(self, fleet: Fleet) -> None:
        laptop, server = fleet.engine("laptop"), fleet.engine("server")
        add(laptop, "job", "laptop", delivery_channel="notification")
        laptop.delivers_itself = False
        laptop.evaluate_due_tasks()
        server.evaluate_due_tasks()
        assert fleet.sent == []
        laptop.deliver_due()
        assert fleet.sent == [("laptop", "job")]

    def test_what_one_machine_tells_of_another_ones_task_goes_from_anywhere(self, fleet: Fleet) -> None:
        """The other one may be off for good."""
        laptop, server = fleet.engine("laptop"), fleet.engine("server")
        laptop.evaluate_due_tasks()
        laptop.memory_store.store_scheduled_task(
            a_task(
                "job", every={"days": 1}, policy={"on": "laptop", "alert_after_seconds": 60, "alert_channel": "email"}
            )
        )
        server.evaluate_due_tasks()
        fleet.clock.advance(seconds=61)
        server.evaluate_due_tasks()
        assert fleet.sent == [("server", "job")]
        laptop.evaluate_due_tasks()
        assert fleet.sent == [("server", "job")]
