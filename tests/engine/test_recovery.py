"""Tests of what is ended for processes that are gone. What follows for their slots is in `test_claims`."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from jarvis_trio.engine.limits import Limits
from jarvis_trio.engine.notices import Notices
from jarvis_trio.engine.peers import Peers, Survivor
from jarvis_trio.engine.recovery import Recovery
from jarvis_trio.models import Claim, TroubleKind
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import (
    PATIENCE,
    START,
    Channel,
    FakeClock,
    Gate,
    a_task,
    ends_refused,
    finish,
    history,
    in_thread,
)

pytestmark = pytest.mark.sqlite


class Alone(Peers):
    """A process beside which none lives; the hunt for what a dead one has left takes until `gate` opens."""

    def __init__(self) -> None:
        super().__init__("here", lambda owner: False, self._hunt)
        self.gate = Gate()
        self.recoveries = 0

    def _hunt(self, owner: str) -> Sequence[Survivor]:
        self.gate()
        return ()

    def settled(self) -> None:
        self.recoveries += 1


@pytest.fixture
def peers() -> Alone:
    return Alone()


@pytest.fixture
def recovery(store: MemoryStore, peers: Alone, clock: FakeClock) -> Recovery:
    return Recovery(store, clock, peers, Notices(store, clock, Channel()), Limits())


def claimed(store: MemoryStore, name: str, owner: str) -> Claim:
    claim = store.runs.claim_run(store.store_scheduled_task(a_task(name)), START, 1, started_at=START, owner=owner)
    assert claim is not None
    return claim


@pytest.mark.law(3)
def test_all_claims_that_are_in_doubt_are_looked_for(store: MemoryStore, recovery: Recovery) -> None:
    for name in ("one", "two"):
        recovery.doubt([claimed(store, name, "here")])
    assert recovery.doubted_at == START
    recovery.recover(START)
    assert history(store, "one") == history(store, "two") == [(START, 1, "interrupted")]
    assert not recovery.doubted_at
    assert {run.reason for run in store.runs.list_runs()} == {
        "it never began: the database did not confirm its claim in time"
    }


@pytest.mark.law(3)
def test_a_claim_that_was_lost_is_looked_for_once(store: MemoryStore, recovery: Recovery) -> None:
    recovery.doubt([claimed(store, "job", "here")])
    store.write("DELETE FROM task_runs")
    recovery.recover(START)
    assert recovery.doubted_at is None


def test_whoever_comes_while_a_recovery_has_just_begun_waits_for_it_and_recovers_too(
    store: MemoryStore, recovery: Recovery, peers: Alone, clock: FakeClock
) -> None:
    claimed(store, "job", "dead")
    has_come = threading.Event()

    def monotonic() -> float:
        has_come.set()
        return clock.seconds

    with peers.gate.holding(lambda: recovery.recover(START)):
        vars(clock)["monotonic"] = monotonic
        second = in_thread(lambda: recovery.recover(START))
        assert has_come.wait(PATIENCE)
    finish(second)
    assert peers.recoveries == 2


@pytest.mark.law(4)
def test_an_end_that_the_database_refuses_is_a_trouble_of_its_task(
    store: MemoryStore, recovery: Recovery, peers: Alone
) -> None:
    task = claimed(store, "job", "dead").task
    peers.gate.opened.set()
    with ends_refused(store):
        recovery.recover(START)
    [trouble] = store.troubles.list_troubles()
    assert (trouble.task_id, trouble.kind, "mine" in trouble.reason) == (task.id, TroubleKind.REFUSED, True)
