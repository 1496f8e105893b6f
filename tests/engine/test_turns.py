"""Tests of the turns: one tick claims at a time, and a slow handler costs nobody else its time."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.turns import Turn, Turns
from jarvis_trio.models import HandlerContext, ScheduledTask
from jarvis_trio.store import MemoryStore

LONG = timedelta(hours=1)
SHORT = timedelta(milliseconds=1)


def in_thread(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def come_and_go(turn: Turn) -> None:
    turn.take()
    turn.leave()


def test_a_tick_alone_claims_at_once() -> None:
    turn = Turns(lambda: False, LONG).join()
    turn.take()
    turn.lend()
    assert turn.is_free()


def test_while_another_tick_claims_it_is_not_free() -> None:
    turns = Turns(lambda: False, LONG)
    turns.join().take()
    assert not turns.join().is_free()


def test_while_a_handler_has_just_begun_it_is_not_free() -> None:
    turns = Turns(lambda: False, LONG)
    turns.join().lend()
    assert not turns.join().is_free()


def test_a_handler_that_takes_its_time_makes_room() -> None:
    turns = Turns(lambda: False, SHORT)
    turns.join().lend()
    turn = turns.join()
    turn.take()  # returns, since the other one is with its handler
    assert turn.is_free()


def test_a_turn_that_is_not_free_is_not_taken() -> None:
    """So a tick with a run in hand records that first, and then waits."""
    turns = Turns(lambda: False, LONG)
    first, second = turns.join(), turns.join()
    first.take()
    assert not second.take_if_free()
    first.leave()
    assert second.take_if_free()


def test_a_tick_that_has_left_makes_room() -> None:
    turns = Turns(lambda: False, LONG)
    first, second = turns.join(), turns.join()
    first.take()
    first.leave()
    assert second.is_free()


def test_who_waits_does_not_count() -> None:
    """Two that wait would wait for each other."""
    turns = Turns(lambda: False, SHORT)
    holder, *waiting = turns.join(), turns.join(), turns.join()
    holder.take()
    threads = [in_thread(functools.partial(come_and_go, turn)) for turn in waiting]
    holder.lend()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)


def test_nobody_waits_when_the_engine_is_done_with_claims() -> None:
    turns = Turns(lambda: True, LONG)
    turns.join().take()
    turns.join().take()  # returns


@pytest.mark.law(4)
def test_law_4_a_slow_handler_does_not_keep_another_tick_from_what_is_due(tmp_path: Path) -> None:
    released, ran = threading.Event(), threading.Event()

    def slow(task: ScheduledTask, context: HandlerContext) -> None:
        released.wait(30)

    def quick(task: ScheduledTask, context: HandlerContext) -> None:
        ran.set()

    with MemoryStore(tmp_path / "memory.db") as store:
        engine = SchedulerEngine(store, handlers={"slow": slow, "quick": quick})
        now = datetime.now(UTC)
        for name, at in (("slow", now - timedelta(seconds=2)), ("quick", now - timedelta(seconds=1))):
            store.store_scheduled_task(
                ScheduledTask(
                    name=name,
                    schedule_type="interval",
                    schedule_config='{"hours": 1}',
                    handler_type=name,
                    next_run_at=at.isoformat(),
                )
            )
        ticks = [in_thread(engine.evaluate_due_tasks) for _ in range(2)]
        assert ran.wait(30)
        released.set()
        for tick in ticks:
            tick.join(30)
