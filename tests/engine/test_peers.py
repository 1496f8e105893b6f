"""Tests of what a process knows of the others that share its database, with real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from jarvis_trio.engine.engine import SchedulerEngine
from jarvis_trio.engine.peers import LOCKS, Peers, end_orphans
from jarvis_trio.handlers import processes
from jarvis_trio.handlers.patience import Patience
from jarvis_trio.models import HandlerContext, Run, RunStatus, ScheduledTask
from jarvis_trio.process.identity import current_owner
from jarvis_trio.process.offspring import MARKER
from jarvis_trio.store import MemoryStore
from tests.support.cli_world import eventually
from tests.support.core_fakes import START, a_task

DEAD = f"17:{os.getpid()}@boot"  # of this worker alone: hunts go through all processes of the machine


def a_run(number: int, owner: str | None = DEAD) -> Run:
    return Run(number, 1, "job", START, 1, START, RunStatus.RUNNING, owner=owner)


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for, so what was just asked to end outlives its hunt, as one that hangs in the kernel does."""
    at_once = Patience(term=timedelta(0), kill=timedelta(0))
    monkeypatch.setattr(processes, "end_orphans", partial(processes.end_orphans, patience=at_once))


@pytest.fixture
def left(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """A process that a dead one has left, with the mark of its run."""
    process = subprocess.Popen(["sleep", "60"], env={**os.environ, MARKER: f"{DEAD}/{request.param}/x"})
    yield process
    process.kill()
    process.wait()


@pytest.mark.law(2)
@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize("left", ["12"], indirect=True)
def test_law_2_what_cannot_be_ended_holds_its_run_until_it_is_gone(left: subprocess.Popen[bytes]) -> None:
    (survivor,) = end_orphans(DEAD)
    assert (survivor.pid, survivor.run_id) == (left.pid, 12)
    assert (survivor.holds(a_run(12)), survivor.holds(a_run(13))) == (True, False)
    left.kill()
    left.wait()
    assert not survivor.is_alive()


@pytest.mark.law(2)
@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize("left", ["of a later version"], indirect=True)
def test_law_2_what_cannot_be_ended_and_whose_run_is_unknown_holds_each_run(left: subprocess.Popen[bytes]) -> None:
    (survivor,) = end_orphans(DEAD)
    assert (survivor.pid, survivor.run_id) == (left.pid, None)
    assert (survivor.holds(a_run(12)), survivor.holds(a_run(13))) == (True, True)


def test_a_process_lives_for_the_others_until_it_lets_go_of_its_lock(tmp_path: Path) -> None:
    peers = Peers.beside(tmp_path / "memory.db")
    assert (tmp_path / LOCKS).exists()
    assert peers.owner == current_owner()
    assert not peers.is_gone(a_run(1, current_owner()))
    assert peers.is_gone(a_run(1, DEAD))


@pytest.mark.law(2)
def test_law_2_each_tick_sees_that_its_lock_is_in_the_file_that_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        engine = SchedulerEngine(store, handlers={})
        engine.evaluate_due_tasks()
        (tmp_path / LOCKS).unlink()
        engine.evaluate_due_tasks()
        engine.evaluate_due_tasks()
    assert (tmp_path / LOCKS).exists()
    told = [record.getMessage() for record in caplog.records]
    assert len([says for says in told if "its lock is in the new file" in says]) == 1


@pytest.mark.law(2)
def test_law_2_a_tick_that_waits_for_a_run_sees_that_its_lock_is_in_the_file_that_is_there(tmp_path: Path) -> None:
    lock = tmp_path / LOCKS

    def delete(task: ScheduledTask, context: HandlerContext) -> None:
        lock.unlink()
        eventually(lock.exists, 30)

    with MemoryStore(tmp_path / "memory.db") as store:
        store.store_scheduled_task(a_task())
        engine = SchedulerEngine(store, handlers={"note": delete})
        assert engine.run_now("job")["status"] == "executed"


HOLDS = """
import sys
from pathlib import Path
from jarvis_trio.engine.engine import SchedulerEngine
from jarvis_trio.engine.peers import LOCKS
from jarvis_trio.process.owners import OwnerLocks
OwnerLocks(Path(sys.argv[1]).with_name(LOCKS)).hold(sys.argv[2])
print(flush=True)
sys.stdin.read()
"""


@pytest.mark.law(2)
@pytest.mark.skipif(sys.platform != "linux", reason="a Mac has no namespaces")
def test_law_2_a_process_in_another_container_lives_also_for_who_comes_by_a_link(tmp_path: Path) -> None:
    database, link = tmp_path / "memory.db", tmp_path / "elsewhere" / "memory.db"
    database.touch()
    link.parent.mkdir()
    link.symlink_to(database)
    elsewhere = f"{current_owner().partition('/')[0]}/1.1"  # other namespaces, so its PID says nothing here
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(database), elsewhere], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        assert not Peers.beside(link).is_gone(a_run(1, elsewhere))
    finally:
        holder.communicate(b"")
    assert Peers.beside(link).is_gone(a_run(1, elsewhere))


def test_it_says_which_process_of_a_run_is_gone() -> None:
    peers = Peers("here", lambda owner: owner == "here")
    assert (peers.is_gone(a_run(1, "here")), peers.is_gone(a_run(1))) == (False, True)
    assert peers.why_gone(a_run(1)) == "process 17, which ran it, ended before it was done"


def test_one_machine_alone_may_run_all_and_has_no_others() -> None:
    peers = Peers("here")
    assert peers.may_share
    assert peers.look_at is None
    assert not peers.others_have("note", None)
