"""Several machines on one PostgreSQL server: each slot once, whatever dies. Each data folder stands for a machine."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.machines import Forgotten, shared_peers
from jarvis_trio.engine.runner import run_inline
from jarvis_trio.models import RunStatus, ScheduledTask, require_id
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.opening import open_store
from jarvis_trio.store.postgres import PostgresDatabase
from tests.support.cli_world import eventually
from tests.support.core_fakes import START, FakeClock, Notes, a_task
from tests.support.fleet import machines
from tests.support.postgres_server import PostgresServer

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.fixture
def address(postgres: PostgresServer) -> str:
    return postgres.new_database()


def add(store: MemoryStore, name: str, at: datetime, place: str, handler: str = "note") -> ScheduledTask:
    policy = {"on": place, "retries": 1, "retry_delay_seconds": 0.1}
    return store.store_scheduled_task(a_task(name, at=at.isoformat(), handler=handler, policy=policy))


@pytest.mark.thorough
@pytest.mark.law(2)
@pytest.mark.law(3)
def test_two_machines_share_the_slots_and_one_that_is_killed_loses_none(address: str, tmp_path: Path) -> None:
    with machines(tmp_path, address, "laptop", "server") as (laptop, server):
        assert laptop.command("init").returncode == 0
        with open_store(tmp_path / "unused", address) as store:
            for task in store.list_scheduled_tasks():
                store.delete_scheduled_task(require_id(task))
            laptop.start()
            server.start()
            eventually(lambda: len(store.machines.list_machines()) == 2)
            start = store.clock.now() + timedelta(seconds=2)
            for number in range(40):
                place = ("any", "laptop", "server")[number % 3]
                at = start + timedelta(milliseconds=100 * number)
                store.store_scheduled_task(
                    a_task(f"t{number}", at=at.isoformat(), handler="alert_eval", policy={"on": place})
                )
            eventually(lambda: len(store.runs.list_runs()) >= 10)
            server.kill()
            server.start()
            eventually(lambda: len({run.task_name for run in store.runs.list_runs(status=RunStatus.EXECUTED)}) == 40)
            runs = store.runs.list_runs()
        assert (laptop.stop(), server.stop()) == (0, 0)
    attempts = Counter((run.task_name, run.scheduled_for, run.attempt) for run in runs)
    assert max(attempts.values()) == 1
    assert {run.status for run in runs} <= {RunStatus.EXECUTED, RunStatus.INTERRUPTED}
    owners = {run.task_name: str(run.owner).partition("/")[0] for run in runs}
    assert {owners[f"t{number}"] for number in range(1, 40, 3)} == {"laptop"}
    assert {owners[f"t{number}"] for number in range(2, 40, 3)} == {"server"}


@pytest.mark.thorough
@pytest.mark.law(3)
def test_daemons_live_through_a_restart_of_the_server(tmp_path: Path) -> None:
    """The interval of a tick is an hour: who listens to the server hears that it is back."""
    server = PostgresServer()
    try:
        address = server.new_database()
        with machines(tmp_path, address, "one", "two") as (one, two):
            assert one.command("init").returncode == 0
            with open_store(tmp_path / "unused", address) as store:
                store.store_scheduled_task(
                    a_task("job", every={"seconds": 1}, handler="alert_eval", policy={"on": "any"})
                )
                one.start("3600")
                two.start("3600")
                eventually(lambda: len(store.runs.list_runs(task="job")) >= 3)
            server.crash()
            server.start()
            with open_store(tmp_path / "unused", address) as store:
                before = store.runs.list_runs(task="job")[0].id
                eventually(lambda: store.runs.list_runs(task="job")[0].id > before + 2, 90)
                runs = store.runs.list_runs(task="job")
            assert (one.stop(), two.stop()) == (0, 0)
    finally:
        server.stop()
    slots = Counter((run.scheduled_for, run.attempt) for run in runs)
    assert max(slots.values()) == 1


def engine_on(address: str, machine: str, clock: FakeClock, notes: Notes) -> tuple[MemoryStore, SchedulerEngine]:
    store = MemoryStore("unused", clock=clock, connection=PostgresDatabase(address), machine=machine)
    peers = shared_peers(store, f"identity of {machine}")
    return store, SchedulerEngine(store, handlers={"note": notes}, runner=run_inline, peers=peers)


@pytest.mark.law(2)
def test_a_run_of_another_machine_is_left_alone_until_a_person_says_that_it_is_gone(address: str) -> None:
    clock, notes = FakeClock(), Notes()
    laptop, of_laptop = engine_on(address, "laptop", clock, notes)
    with laptop:
        task = add(laptop, "job", START, "any")
        laptop.machines.check_in("server", "identity of server", START)
        claim = laptop.runs.claim_run(task, START, 1, started_at=START, owner="server/999999:1@boot")
        assert claim is not None
        laptop.queue.settle(task, START + timedelta(days=1))
        clock.advance(hours=5)
        of_laptop.evaluate_due_tasks()
        assert [run.status for run in laptop.runs.list_runs()] == [RunStatus.RUNNING]

        SchedulerEngine(laptop, handlers={}, peers=Forgotten("server")).recover()
        of_laptop.evaluate_due_tasks()
        assert [(run.attempt, run.status) for run in laptop.runs.list_runs()] == [
            (2, RunStatus.EXECUTED),
            (1, RunStatus.INTERRUPTED),
        ]


@pytest.mark.law(3)
def test_a_machine_ends_what_a_dead_process_of_its_own_left(address: str) -> None:
    clock, notes = FakeClock(), Notes()
    store, engine = engine_on(address, "laptop", clock, notes)
    with store:
        task = add(store, "job", START, "laptop")
        assert store.runs.claim_run(task, START, 1, started_at=START, owner="laptop/999999:1@boot") is not None
        store.queue.settle(task, START + timedelta(days=1))
        engine.evaluate_due_tasks()
        assert [run.status for run in store.runs.list_runs()] == [RunStatus.EXECUTED, RunStatus.INTERRUPTED]


@pytest.mark.law(3)
def test_a_task_that_is_added_on_one_machine_runs_on_another_at_once(address: str, tmp_path: Path) -> None:
    """The interval of a tick is an hour: the server tells."""
    with machines(tmp_path, address, "laptop", "server") as (laptop, server):
        assert laptop.command("init").returncode == 0
        server.start("3600")
        with open_store(tmp_path / "unused", address, machine="laptop") as store:
            eventually(lambda: store.machines.list_machines())
            for name in ("first", "second"):  # the first may still be seen by the tick at the start
                now = store.clock.now()
                task = a_task(name, at=now.isoformat(), handler="alert_eval", policy={"on": "server"})
                store.store_scheduled_task(task)
                eventually(lambda name=name: store.runs.list_runs(task=name))
            (run,) = store.runs.list_runs(task="second")
        assert run.started_at - now < timedelta(minutes=10)
        assert server.stop() == 0


@pytest.mark.thorough
@pytest.mark.parametrize("asked_on", ["laptop", "server"])
def test_a_run_is_stopped_from_any_machine(address: str, tmp_path: Path, asked_on: str) -> None:
    with machines(tmp_path, address, "laptop", "server") as found:
        laptop, _ = found
        assert laptop.command("init").returncode == 0
        assert laptop.command("allow", "/bin/sleep").returncode == 0
        laptop.start()
        with open_store(tmp_path / "unused", address) as store:
            eventually(lambda: store.machines.list_machines())
            at, config = store.clock.now().isoformat(), '{"command": ["/bin/sleep", "300"]}'
            store.store_scheduled_task(
                a_task("job", at=at, handler="custom", handler_config=config, policy={"on": "laptop"})
            )
            eventually(lambda: store.runs.list_runs(task="job"))
            asker = next(machine for machine in found if machine.name == asked_on)
            stopped = asker.command("stop", "job")
            assert stopped.returncode == 0, stopped.stdout + stopped.stderr
            eventually(lambda: store.runs.list_runs(task="job", status=RunStatus.INTERRUPTED))
            (run,) = store.runs.list_runs(task="job")
        assert str(run.reason).startswith("stopped by ")
