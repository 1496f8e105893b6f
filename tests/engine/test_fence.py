"""Tests of the fence: who is in touch with the server, and what ends here if this process is not.

Without a server: what asks it is an argument. What one adds is in `test_machines`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from jarvis_trio.engine.fence import FenceTimes, Keeper
from jarvis_trio.errors import StoreError
from jarvis_trio.handlers.guard import Guard
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import PATIENCE, FakeClock, ToldGuard, wait_until

TIMES = FenceTimes(beat=timedelta(hours=1), fenced_after=timedelta(seconds=45))
QUICK = replace(TIMES, beat=timedelta(milliseconds=1))


class Server:
    """A presence: counts its confirmations, each of which takes two seconds; `broken` refuses them."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.broken = False
        self.asked = 0
        self.closed = threading.Event()

    def confirm(self) -> None:
        self.asked += 1
        if self.broken:
            raise StoreError("no server")
        self._clock.seconds += 2

    def close(self) -> None:
        self.closed.set()


Keep = Callable[..., Keeper]
"""Called with the times and the guard of a keeper."""


@pytest.fixture
def server(clock: FakeClock) -> Server:
    return Server(clock)


@pytest.fixture
def keep(server: Server, clock: FakeClock) -> Iterator[Keep]:
    made: list[Keeper] = []

    def make(times: FenceTimes = TIMES, guard: Guard | None = None) -> Keeper:
        made.append(Keeper(server, times, lambda: clock.seconds, guard))
        return made[-1]

    yield make
    for keeper in made:
        keeper.close()


@pytest.mark.sqlite
def test_the_times_of_a_store_are_those_that_were_kept(store: MemoryStore) -> None:
    assert FenceTimes.of(store) == FenceTimes()
    times = FenceTimes(
        beat=timedelta(seconds=0.5),
        fenced_after=timedelta(seconds=4),
        guarded_after=timedelta(seconds=6),
        lost_after=timedelta(seconds=15),
    )
    times.keep(store)
    assert FenceTimes.of(store) == times


def test_who_has_started_nothing_is_not_in_touch(keep: Keep) -> None:
    assert not keep().is_in_touch


def test_the_fence_counts_from_before_the_server_was_asked(keep: Keep, clock: FakeClock) -> None:
    keeper = keep()
    keeper.start()
    clock.seconds += 42.9
    assert keeper.is_in_touch
    clock.seconds += 0.1
    assert not keeper.is_in_touch


def test_a_process_starts_to_be_there_once(keep: Keep, server: Server) -> None:
    keeper = keep()
    keeper.start()
    keeper.start()
    assert server.asked == 1


def test_who_is_not_there_at_once_is_told_so_and_is_there_with_a_later_beat(keep: Keep, server: Server) -> None:
    server.broken, keeper = True, keep(QUICK)
    with pytest.raises(StoreError):
        keeper.start()
    server.broken = False
    wait_until(lambda: keeper.is_in_touch)


def test_who_is_there_no_longer_lets_go_of_its_lock(keep: Keep, server: Server) -> None:
    keeper = keep()
    keeper.start()
    keeper.close()
    assert server.closed.wait(PATIENCE)


def test_a_process_that_is_cut_off_ends_its_runs_and_says_so_once(
    keep: Keep, server: Server, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    keeper, told = keep(QUICK), threading.Event()
    keeper.start()
    assert keeper.begin(1, threading.Event())
    assert keeper.begin(2, told)
    assert not keeper.end(1)
    beats(server)  # meanwhile the fence has looked

    server.broken = True
    clock.seconds += 45
    assert told.wait(PATIENCE)
    beats(server)
    assert keeper.end(2)
    assert not keeper.end(2)
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == [
        "The database cannot be reached; this ends 1 run that others may take over"
    ]


def beats(server: Server) -> None:
    """A few more beats go by."""
    asked = server.asked
    wait_until(lambda: server.asked > asked + 5)


def test_a_run_whose_claim_came_too_late_is_not_started(keep: Keep, clock: FakeClock) -> None:
    keeper = keep()
    keeper.start()
    clock.advance(seconds=45)
    assert not keeper.begin(1, threading.Event())


def test_the_guard_is_told_of_each_beat_and_each_run(keep: Keep) -> None:
    guard = ToldGuard()
    keeper = keep(guard=guard)
    keeper.start()
    keeper.begin(7, threading.Event())
    keeper.end(7)
    keeper.close()
    assert guard.lines == [".", "+7", "-7", "closed"]


def test_the_guard_is_told_of_no_beat_that_the_server_has_not_confirmed(keep: Keep, server: Server) -> None:
    server.broken, guard = True, ToldGuard()
    with pytest.raises(StoreError):
        keep(guard=guard).start()
    assert guard.lines == []


def test_a_run_that_nobody_can_guard_starts_and_that_is_told(keep: Keep, caplog: pytest.LogCaptureFixture) -> None:
    guard = ToldGuard()
    guard.broken, keeper = True, keep(guard=guard)
    keeper.start()
    assert keeper.begin(7, threading.Event())
    assert caplog.messages == ["Run 7 is not guarded: no process"]


def test_no_exit_waits_for_the_threads_of_the_fence(keep: Keep) -> None:
    before = {*threading.enumerate()}
    keep().start()
    assert {(thread.name, thread.daemon) for thread in {*threading.enumerate()} - before} == {("jarvis-presence", True)}
