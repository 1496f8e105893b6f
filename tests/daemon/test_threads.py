"""Tests of the threads of engine calls, with real threads: who makes a call, and what becomes of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import trio

from jarvis_trio.daemon.threads import Threads
from tests.support.core_fakes import PATIENCE

STAYING = "engine"
"""The name of the thread that stays."""


@pytest.fixture
def threads() -> Iterator[Threads]:
    with Threads(2) as threads:
        yield threads


def name_here() -> str:
    return threading.current_thread().name


class Held:
    """A call that lasts until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.released = threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.released.wait(PATIENCE)
        return name_here()


async def test_calls_one_after_the_other_are_made_in_the_thread_that_stays(threads: Threads) -> None:
    assert [await threads.run_sync(name_here) for _ in range(3)] == [STAYING] * 3
    assert len({await threads.run_sync(threading.get_ident) for _ in range(3)}) == 1


async def test_a_call_that_overlaps_with_another_has_one_of_trios_threads(threads: Threads) -> None:
    held = Held()
    names: list[str] = []

    async def make_the_long_one() -> None:
        names.append(await threads.run_sync(held))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(make_the_long_one)
        await trio.to_thread.run_sync(held.begun.wait, PATIENCE)
        assert await threads.run_sync(name_here) != STAYING
        held.released.set()
    assert names == [STAYING]
    assert await threads.run_sync(name_here) == STAYING


@pytest.mark.law(1)
async def test_who_awaits_a_call_goes_on_when_it_has_ended_even_if_cancelled(threads: Threads) -> None:
    held = Held()
    names: list[str] = []

    async def make_it() -> None:
        names.append(await threads.run_sync(held))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(make_it)
        await trio.to_thread.run_sync(held.begun.wait, PATIENCE)
        nursery.cancel_scope.cancel()
        held.released.set()
    assert names == [STAYING]


async def test_who_is_cancelled_makes_no_call(threads: Threads) -> None:
    made: list[int] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        await threads.run_sync(lambda: made.append(1))
    assert scope.cancelled_caught
    assert made == []


@pytest.mark.law(4)
@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(3)])
async def test_what_a_call_raises_is_raised_where_it_is_awaited(threads: Threads, error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        await threads.run_sync(fail)
    assert raised.value is error
    assert await threads.run_sync(name_here) == STAYING


async def test_outside_of_its_context_all_threads_are_trios() -> None:
    threads = Threads(2)
    assert await threads.run_sync(name_here) != STAYING
    with threads:
        thread = await threads.run_sync(threading.current_thread)
        assert thread.name == STAYING
    assert await threads.run_sync(name_here) != STAYING
    await trio.to_thread.run_sync(thread.join, PATIENCE)
    assert not thread.is_alive()


@pytest.mark.law(4)
async def test_a_thread_that_cannot_be_had_is_tried_again_at_the_next_call(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as context:
        context.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"):
            await threads.run_sync(name_here)
    assert await threads.run_sync(name_here) == STAYING
