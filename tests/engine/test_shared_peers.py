"""Tests of this process among those of several machines: on a file, where the decisions are the same.

What a server adds is in `test_machines`.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from jarvis_trio.engine.fence import FenceTimes, Keeper
from jarvis_trio.engine.machines import Forgotten, SharedPeers, shared_peers
from jarvis_trio.engine.peers import Peers, Survivor
from jarvis_trio.errors import StoreError
from jarvis_trio.models import Claim, HandlerContext, Outcome, Run, RunStatus
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.machines import ANY_TYPE, Machine
from jarvis_trio.store.places import Here
from tests.support.core_fakes import PATIENCE, START, FakeClock, ToldGuard, a_task

TIMES = FenceTimes(beat=timedelta(milliseconds=1), fenced_after=timedelta(seconds=45))
ORPHAN = Survivor(7, None, lambda: True)
EXECUTED = Outcome(RunStatus.EXECUTED)


class Local(Peers):
    """The daemon of this machine, beside which only `alive` lives."""

    def __init__(self) -> None:
        super().__init__("daemon", lambda owner: owner == "alive", self._left_by)
        self.checked_in: list[tuple[datetime, Collection[str]]] = []

    def _left_by(self, owner: str) -> Sequence[Survivor]:
        return (ORPHAN,) if owner == "dead" else ()

    def check_in(self, now: datetime, handlers: Collection[str]) -> None:
        self.checked_in.append((now, handlers))


class Server:
    """Confirms once, and is gone from then on."""

    def __init__(self) -> None:
        self.asked = 0
        self.closed = threading.Event()

    def confirm(self) -> None:
        self.asked += 1
        if self.asked > 1:
            raise StoreError("no server")

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def laptop(path: Path, empty_database: Path, clock: FakeClock) -> Iterator[MemoryStore]:
    shutil.copy(empty_database, path)
    with MemoryStore(path, clock=clock, machine=Here("laptop", ("mac",), False)) as store:
        yield store


@pytest.fixture
def local() -> Local:
    return Local()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def peers(laptop: MemoryStore, local: Local, server: Server, clock: FakeClock) -> Iterator[SharedPeers]:
    peers = made(laptop, local, Keeper(server, TIMES, clock.monotonic))
    yield peers
    peers.close()


@pytest.fixture
def alone(laptop: MemoryStore, local: Local) -> SharedPeers:
    """One that makes no runs that others may make."""
    return made(laptop, local, None)


def made(laptop: MemoryStore, local: Local, keeper: Keeper | None) -> SharedPeers:
    return SharedPeers(laptop, Machine("laptop", "its identity", START, ("mac",), False), local, keeper, TIMES)


def a_claim(laptop: MemoryStore, place: str = "any", owner: str = "laptop/daemon") -> Claim:
    task = laptop.store_scheduled_task(a_task(f"on {place} by {owner}", policy={"on": place}))
    claim = laptop.runs.claim_run(task, START, 1, started_at=START, owner=owner)
    assert claim is not None
    return claim


def a_run(laptop: MemoryStore, owner: str, place: str = "any") -> Run:
    run = laptop.runs.get_run(a_claim(laptop, place, owner).run_id)
    assert run is not None
    return run


def a_context(laptop: MemoryStore) -> HandlerContext:
    return HandlerContext(laptop, START, 1, START, timedelta(minutes=1), logging.getLogger("a.task"))


def add_server(laptop: MemoryStore, *handlers: str, takes_any: bool = True) -> None:
    laptop.machines.check_in("server", "its own", START, labels=["linux"], takes_any=takes_any, handlers=handlers)


def test_what_others_may_run_is_for_those_in_touch(alone: SharedPeers, peers: SharedPeers) -> None:
    assert alone.may_share
    assert not peers.may_share
    peers.check_in(START, ["note"])
    assert peers.may_share


def test_a_machine_says_what_it_takes(laptop: MemoryStore, alone: SharedPeers, local: Local) -> None:
    alone.check_in(START, ["note"])
    [machine] = laptop.machines.list_machines()
    assert machine[:6] == ("laptop", "its identity", START, ("mac",), False, frozenset({"note"}))
    assert local.checked_in == [(START, ["note"])]


def test_an_application_that_takes_every_type_says_so(laptop: MemoryStore, alone: SharedPeers) -> None:
    class Everything(list[str]):
        def __contains__(self, handler_type: object) -> bool:
            return True

    alone.check_in(START, Everything(["note"]))
    assert laptop.machines.list_machines()[0].handlers == {"note", ANY_TYPE}


@pytest.mark.parametrize("direction", [1, -1], ids=["on", "set back"])
def test_a_machine_says_so_every_30_seconds(
    laptop: MemoryStore, alone: SharedPeers, local: Local, direction: int
) -> None:
    seen = []
    for seconds in (0, 29, 30, 31):
        alone.check_in(START + direction * timedelta(seconds=seconds), [])
        seen.append(laptop.machines.list_machines()[0].seen_at - START)
    assert [abs(since).seconds for since in seen] == [0, 0, 30, 30]
    assert len(local.checked_in) == 4


def test_the_processes_of_this_machine_are_judged_here(laptop: MemoryStore, alone: SharedPeers) -> None:
    assert not alone.is_gone(a_run(laptop, "laptop/alive"))
    assert alone.is_gone(run := a_run(laptop, "laptop/dead"))
    assert alone.why_gone(run) == "process dead, which ran it, ended before it was done"
    assert [alone.is_alive(f"laptop/{process}") for process in ("alive", "dead")] == [True, False]
    assert alone.is_alive("server/dead")


def test_what_a_dead_process_left_is_ended_on_its_machine(alone: SharedPeers) -> None:
    assert alone.end_orphans("laptop/dead") == (ORPHAN,)
    assert alone.end_orphans("server/dead") == ()


def test_the_owner_names_the_machine_and_the_process(alone: SharedPeers) -> None:
    assert alone.owner == "laptop/daemon"


def test_a_process_that_has_been_without_its_lock_for_a_minute_is_gone(
    laptop: MemoryStore, alone: SharedPeers, clock: FakeClock
) -> None:
    run = a_run(laptop, "server/daemon")
    assert not alone.is_gone(run)
    assert alone.look_at == START + timedelta(seconds=60)
    clock.advance(seconds=60)
    assert alone.is_gone(run)
    assert alone.why_gone(run) == "server, which ran it, was not heard of for 1m"

    assert laptop.runs.interrupt_run(run, "gone", clock.now())
    alone.settled()
    assert laptop.read("SELECT * FROM lost_processes") == []


def test_a_process_that_holds_its_lock_is_looked_at_again_in_a_quarter_of_that_time(
    laptop: MemoryStore, alone: SharedPeers, clock: FakeClock
) -> None:
    vars(laptop.connection)["is_held"] = lambda owner: owner == "server/alive"
    assert not alone.is_gone(a_run(laptop, "server/alive"))
    assert alone.look_at == START + timedelta(seconds=15)
    alone.check_in(START, [])
    assert not alone.look_at

    assert not alone.is_gone(a_run(laptop, "server/daemon"))
    clock.advance(seconds=46)
    alone.is_gone(a_run(laptop, "server/alive", "mac"))
    assert alone.look_at == START + timedelta(seconds=60)


def test_what_one_machine_alone_may_run_is_not_judged_by_another_one(laptop: MemoryStore, alone: SharedPeers) -> None:
    assert not alone.is_gone(a_run(laptop, "server/daemon", "server"))
    assert not alone.is_gone(replace(a_run(laptop, "nobody"), owner=None))
    assert alone.look_at is None


@pytest.mark.parametrize(
    ("handler", "place", "have"),
    [("brief", None, True), ("brief", "linux", True), ("brief", "mac", False), ("note", None, False)],
)
def test_others_have_a_handler_if_they_may_run_its_task(
    laptop: MemoryStore, alone: SharedPeers, handler: str, place: str | None, have: bool
) -> None:
    alone.check_in(START, ["note", "brief"])
    add_server(laptop, "brief")
    assert alone.others_have(handler, place) == have


def test_a_run_does_not_begin_while_this_machine_is_cut_off(laptop: MemoryStore, peers: SharedPeers) -> None:
    outcome = peers.begin(a_claim(laptop), a_context(laptop))
    reason = "laptop was cut off from the database for 45s before it started"
    assert outcome == Outcome(RunStatus.INTERRUPTED, reason=reason, cut_off=True)


def test_a_run_that_does_not_begin_is_not_guarded(laptop: MemoryStore, local: Local, server: Server) -> None:
    guard, claim = ToldGuard(), a_claim(laptop)
    made(laptop, local, Keeper(server, TIMES, laptop.clock.monotonic, guard)).begin(claim, a_context(laptop))
    assert guard.lines == [f"+{claim.run_id}", f"-{claim.run_id}"]


def test_a_run_that_is_only_for_this_machine_begins_anyway(laptop: MemoryStore, peers: SharedPeers) -> None:
    assert peers.begin(a_claim(laptop, "laptop"), a_context(laptop)) is None


def fenced(laptop: MemoryStore, peers: SharedPeers, clock: FakeClock) -> Claim:
    """A run during which this machine was cut off for too long."""
    claim, context = a_claim(laptop), a_context(laptop)
    peers.check_in(START, [])
    assert peers.begin(claim, context) is None
    clock.seconds += 45
    assert context.cancelled.wait(PATIENCE)
    return claim


def test_a_run_that_was_ended_because_its_machine_was_cut_off_says_so_and_keeps_its_result(
    laptop: MemoryStore, peers: SharedPeers, clock: FakeClock
) -> None:
    ended = peers.end(fenced(laptop, peers, clock), Outcome(RunStatus.ERROR, result="half", reason="killed"))
    reason = "laptop was cut off from the database for 45s"
    assert ended == Outcome(RunStatus.INTERRUPTED, result="half", reason=reason, cut_off=True)


def test_a_run_that_was_done_before_it_could_be_ended_is_done(
    laptop: MemoryStore, peers: SharedPeers, clock: FakeClock
) -> None:
    assert peers.end(fenced(laptop, peers, clock), EXECUTED) is EXECUTED


def test_the_end_of_a_run_in_touch_is_its_own(laptop: MemoryStore, peers: SharedPeers) -> None:
    claim, outcome = a_claim(laptop), Outcome(RunStatus.ERROR, reason="no net")
    peers.check_in(START, [])
    assert peers.begin(claim, a_context(laptop)) is None
    assert peers.end(claim, outcome) is outcome


def test_who_makes_no_runs_of_others_is_never_cut_off(laptop: MemoryStore, alone: SharedPeers) -> None:
    claim, outcome = a_claim(laptop), Outcome(RunStatus.ERROR, reason="no net")
    assert alone.begin(claim, a_context(laptop)) is None
    assert alone.end(claim, outcome) is outcome
    alone.close()


def test_who_closes_lets_go_of_its_lock(peers: SharedPeers, server: Server) -> None:
    peers.check_in(START, [])
    peers.close()
    assert server.closed.wait(PATIENCE)


def test_a_machine_that_is_given_up_has_no_process_that_lives(laptop: MemoryStore) -> None:
    forgetful = Forgotten("server")
    assert forgetful.is_gone(run := a_run(laptop, "server/daemon"))
    assert not forgetful.is_gone(a_run(laptop, "laptop/daemon"))
    assert forgetful.why_gone(run) == "server, which ran it, was given up"
    assert forgetful.end_orphans("server/daemon") == ()


def test_the_peers_of_a_store_are_of_its_machine_and_its_times(laptop: MemoryStore, local: Local) -> None:
    FenceTimes(lost_after=timedelta(hours=2)).keep(laptop)
    peers = shared_peers(laptop, "its identity", local)
    peers.check_in(START, [])
    assert laptop.machines.list_machines()[0][:5] == ("laptop", "its identity", START, ("mac",), False)
    assert (peers.owner, peers.may_share) == ("laptop/daemon", True)
    assert "2h" in peers.why_gone(a_run(laptop, "server/daemon"))
    assert shared_peers(laptop, "its identity").owner == f"laptop/{Peers().owner}"


@pytest.fixture
def asked(laptop: MemoryStore, server: Server) -> list[tuple[object, ...]]:
    """What the server was asked to hold."""
    asked: list[tuple[object, ...]] = []

    def hold(*what: object) -> Server:
        asked.append(what)
        return server

    vars(laptop.connection)["hold"] = hold
    return asked


def test_the_lock_of_the_process_is_held_as_long_as_the_store_says(
    laptop: MemoryStore, local: Local, clock: FakeClock, asked: list[tuple[object, ...]]
) -> None:
    FenceTimes(beat=timedelta(hours=1), fenced_after=timedelta(hours=3)).keep(laptop)
    with closing(shared_peers(laptop, "its identity", local)) as peers:
        assert asked == [("laptop/daemon", "laptop", timedelta(hours=1))]
        peers.check_in(START, [])
        for hours, in_touch in ((2, True), (1, False)):
            clock.advance(hours=hours)
            assert peers.may_share == in_touch


@pytest.mark.usefixtures("asked")
def test_a_guard_is_there_for_whoever_wants_one(
    laptop: MemoryStore, local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    guards: list[tuple[object, ...]] = []
    guard = ToldGuard()

    def made(*what: object) -> ToldGuard:
        guards.append(what)
        return guard

    monkeypatch.setattr("jarvis_trio.engine.machines.Guard", made)
    shared_peers(laptop, "its identity", local).close()
    assert guards == []
    with closing(shared_peers(laptop, "its identity", local, guarded=True)) as peers:
        peers.check_in(START, [])
    assert guards == [("daemon", FenceTimes().guarded_after)]
    assert guard.lines == [".", "closed"]


@pytest.mark.sqlite
def test_a_database_that_is_not_shared_has_no_peers_elsewhere(store: MemoryStore) -> None:
    with pytest.raises(AssertionError, match="the database is not shared"):
        shared_peers(store, "its identity")
