"""Tests of what one tick does with several runs at once: law by law, with real threads."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.attempts import Attempt, Attempts, UnderWay
from jarvis_trio.engine.limits import Limits
from jarvis_trio.engine.outcomes import Ended
from jarvis_trio.engine.places import Places
from jarvis_trio.engine.runner import run_in_thread
from jarvis_trio.errors import StoreError
from jarvis_trio.models import Claim, Handler, HandlerContext, RunStatus, ScheduledTask, require_id
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import PATIENCE, FakeClock, Gate, MakeEngine, a_task, answer_lost, fail, wait_until
from tests.support.handler_calls import NOON, a_context

Results = list[dict[str, Any]]
MakeDue = Callable[..., SchedulerEngine]


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def with_due(store: MemoryStore, make_engine: MakeEngine, clock: FakeClock) -> MakeDue:
    """An engine with threads, whose tasks of the given names have been due for a moment, in that order."""

    def make(*names: str, at_once: int | None = 4, **options: Any) -> SchedulerEngine:
        handlers = {name: options.pop(name) for name in names if name in options}
        policies = options.pop("policies", {})
        engine = make_engine(handlers, runner=run_in_thread, **options)
        if at_once is not None:
            engine.let_run(at_once)
        for number, name in enumerate(names):
            kind = name if name in handlers else "note"
            every = {"minutes": 5, "seconds": number}
            store.store_scheduled_task(a_task(name, every=every, handler=kind, policy=policies.get(name)))
        engine.evaluate_due_tasks()
        clock.advance(minutes=6)
        return engine

    return make


def statuses(store: MemoryStore) -> dict[str, RunStatus]:
    return {run.task_name: run.status for run in store.runs.list_runs()}


def names_of(results: Results) -> set[str]:
    return {result["name"] for result in results}


def executed(store: MemoryStore) -> set[str]:
    return {name for name, status in statuses(store).items() if status is RunStatus.EXECUTED}


def commits_of(store: MemoryStore) -> list[int]:
    """How many rows each commit has added to the history, from now on; the last one is open."""
    added = [0]

    def note(sql: str, _: object) -> None:
        if sql.startswith("INSERT INTO task_runs"):
            added[-1] += 1
        elif sql == "COMMIT":
            added.append(0)

    store.connection.trace = note
    return added


def test_one_tick_has_as_many_runs_under_way_as_there_are_places(with_due: MakeDue, gate: Gate) -> None:
    engine = with_due("a", "b", "c", "d", "e", a=gate, b=gate, c=gate, d=gate, e=gate)
    with gate.holding(engine.evaluate_due_tasks):
        gate.wait(3)
        assert (gate.most_inside, len(engine.running())) == (4, 4)
        gate.opened.set()
    assert (gate.passed, gate.most_inside) == (5, 4)


@pytest.mark.law(2)
def test_law_2_what_begins_together_is_claimed_in_one_commit_before_any_of_it_begins(
    with_due: MakeDue, store: MemoryStore
) -> None:
    together = threading.Barrier(3)
    seen: list[int] = []

    def meet(*_: object) -> None:
        seen.append(added[0])
        together.wait(60)

    engine = with_due("a", "b", "c", a=meet, b=meet, c=meet)
    added = commits_of(store)
    assert names_of(engine.evaluate_due_tasks()) == {"a", "b", "c"}
    assert (added[0], seen) == (3, [3, 3, 3])


def test_without_a_word_from_a_loop_a_tick_runs_one_task_after_the_other(with_due: MakeDue) -> None:
    inside: list[str] = []
    ran: list[tuple[str, int]] = []

    def note(task: ScheduledTask, context: HandlerContext) -> None:
        inside.append(task.name)
        ran.append((task.name, len(inside)))
        inside.remove(task.name)

    engine = with_due("a", "b", "c", at_once=None, a=note, b=note, c=note)
    engine.evaluate_due_tasks()
    assert ran == [("a", 1), ("b", 1), ("c", 1)]


def test_a_runner_in_the_ticks_own_thread_is_given_one_claim_at_a_time(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    def look(task: ScheduledTask, context: HandlerContext) -> None:
        claimed.append(sum(run.status is RunStatus.RUNNING for run in store.runs.list_runs()))

    claimed: list[int] = []
    engine = make_engine({"note": look})
    engine.let_run(4)
    for name in "abc":
        store.store_scheduled_task(a_task(name))
    engine.evaluate_due_tasks()
    clock.advance(minutes=5)
    engine.evaluate_due_tasks()
    assert claimed == [1, 1, 1]


@pytest.mark.law(4)
def test_law_4_a_long_run_keeps_nobodys_outcome_back(with_due: MakeDue, gate: Gate, store: MemoryStore) -> None:
    engine = with_due("long", "a", "b", "c", "d", "e", at_once=2, long=gate)
    with gate.holding(engine.evaluate_due_tasks):
        wait_until(lambda: executed(store) == set("abcde"))
        assert statuses(store)["long"] is RunStatus.RUNNING
        gate.opened.set()


@pytest.mark.law(4)
def test_law_4_a_place_that_a_long_tick_does_not_use_is_another_ticks(
    with_due: MakeDue, gate: Gate, store: MemoryStore, clock: FakeClock
) -> None:
    engine = with_due("long", at_once=2, long=gate)
    with gate.holding(engine.evaluate_due_tasks):
        store.store_scheduled_task(a_task("later"))
        engine.evaluate_due_tasks()
        clock.advance(minutes=5)
        assert "later" in names_of(engine.evaluate_due_tasks())
        assert executed(store) == {"later"}
        gate.opened.set()


def test_a_tick_that_finds_no_place_claims_nothing_and_waits_for_nobody(
    with_due: MakeDue, gate: Gate, store: MemoryStore
) -> None:
    engine = with_due("long", "next", at_once=1, long=gate)
    with gate.holding(engine.evaluate_due_tasks):
        assert engine.evaluate_due_tasks() == []
        assert statuses(store) == {"long": RunStatus.RUNNING}
        gate.opened.set()
    assert executed(store) == {"long", "next"}


def test_the_loop_is_told_what_is_due_as_soon_as_a_place_is_free_again(
    with_due: MakeDue, gate: Gate, store: MemoryStore, clock: FakeClock
) -> None:
    told: list[datetime | None] = []
    engine = with_due("long", at_once=1, long=gate)
    engine.tell_due = told.append
    with gate.holding(engine.evaluate_due_tasks):
        store.store_scheduled_task(a_task("late", at=(clock.now() + timedelta(minutes=1)).isoformat()))
        engine.evaluate_due_tasks()
        clock.advance(minutes=2)
        assert told == []
        gate.opened.set()
    assert [at for at in told if at is not None and at < clock.now()] != []


def test_the_loop_is_told_at_once_while_places_are_free(with_due: MakeDue, gate: Gate) -> None:
    told: list[datetime | None] = []
    engine = with_due("long", at_once=2, long=gate)
    engine.tell_due = told.append
    with gate.holding(engine.evaluate_due_tasks):
        wait_until(lambda: len(told) == 1)
        gate.opened.set()


def test_the_loop_is_told_at_once_if_each_tick_brings_a_place_of_its_own(with_due: MakeDue, gate: Gate) -> None:
    told: list[datetime | None] = []
    engine = with_due("long", at_once=None, long=gate)
    engine.tell_due = told.append
    with gate.holding(engine.evaluate_due_tasks):
        wait_until(lambda: len(told) == 1)
        gate.opened.set()


def test_the_loop_is_told_of_a_retry_while_a_longer_run_of_the_tick_goes_on(
    with_due: MakeDue, gate: Gate, store: MemoryStore, clock: FakeClock
) -> None:
    told: list[datetime | None] = []
    retries = {"short": {"retries": 1, "retry_delay_seconds": 30}}
    engine = with_due("long", "short", long=gate, short=fail, policies=retries)
    engine.tell_due = told.append
    with gate.holding(engine.evaluate_due_tasks):
        wait_until(lambda: told and told[-1] is not None and told[-1] < clock.now() + timedelta(minutes=1))
        assert statuses(store) == {"long": RunStatus.RUNNING, "short": RunStatus.ERROR}


@pytest.mark.law(4)
def test_law_4_the_loop_is_told_of_a_message_though_no_place_is_free(with_due: MakeDue, store: MemoryStore) -> None:
    told: list[datetime | None] = []
    first, second = Gate(), Gate()
    engine = with_due("first", "short", "second", at_once=2, first=first, second=second)
    store.update_scheduled_task(2, delivery_channel="test")
    engine.tell_due = told.append
    with first.holding(engine.evaluate_due_tasks):
        second.wait()
        wait_until(lambda: told)
        assert statuses(store)["first"] is RunStatus.RUNNING
        assert store.outbox.letters_waiting() == 1
        second.opened.set()


@pytest.mark.law(4)
def test_law_4_what_a_loop_could_not_be_told_is_told_again_during_the_run(
    with_due: MakeDue, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[datetime | None] = []

    def tell(at: datetime | None) -> None:
        told.append(at)
        if len(told) == 1:
            raise RuntimeError("the loop is busy")

    engine = with_due("long", at_once=2, long=gate)
    engine.tell_due = tell
    with gate.holding(engine.evaluate_due_tasks):
        wait_until(lambda: len(told) == 2)
    assert caplog.messages == ["The loop could not be told what is due next: the loop is busy"]


@pytest.mark.law(3)
def test_law_3_a_run_that_ends_after_the_stop_is_reported_though_its_commit_is_not_answered(
    with_due: MakeDue, gate: Gate, store: MemoryStore
) -> None:
    results: Results = []
    engine = with_due("long", long=gate)
    with ExitStack() as stack, gate.holding(lambda: results.extend(engine.evaluate_due_tasks())):
        engine.wind_down()
        stack.enter_context(answer_lost(store))
    assert (names_of(results), executed(store)) == ({"long"}, {"long"})


@pytest.mark.law(4)
@pytest.mark.sqlite
def test_law_4_the_loop_is_told_to_look_if_the_queue_cannot_be_seen(
    with_due: MakeDue, gate: Gate, store: MemoryStore, clock: FakeClock
) -> None:
    told: list[datetime | None] = []

    written: list[str] = []

    def damaged(sql: str, _: object) -> None:
        if "outbox" in sql and any("INSERT INTO task_runs" in before for before in written):
            raise StoreError("it is damaged", fix="restore a backup")
        written.append(sql)

    engine = with_due("long", at_once=2, long=gate)
    engine.tell_due = told.append
    store.connection.trace = damaged
    with gate.holding(engine.evaluate_due_tasks):
        wait_until(lambda: told == [clock.now()])
        store.connection.trace = None


@pytest.mark.law(4)
def test_law_4_a_tick_that_cannot_claim_does_not_call_for_another_one(with_due: MakeDue, store: MemoryStore) -> None:
    """Or a full disk has the loop tick as fast as it can, and log each time."""
    told: list[datetime | None] = []
    engine = with_due("a", "b")
    engine.tell_due = told.append

    def full(sql: str, _: object) -> None:
        if sql.startswith("INSERT INTO task_runs"):
            raise StoreError("the disk is full", fix="make room")

    store.connection.trace = full
    with pytest.raises(StoreError):
        engine.evaluate_due_tasks()
    store.connection.trace = None
    assert told == []


class Begun:
    """Attempts whose handlers are given, without a database."""

    def __init__(self, **handlers: Handler) -> None:
        self.handlers = handlers
        self.kept = 0

    def keep(self) -> None:
        self.kept += 1

    def begin(self, claim: Claim, present: Callable[[], datetime], over: Callable[[Attempt], object]) -> Attempt:
        attempt = Attempt(claim, present, over)
        attempt.call = run_in_thread.start(
            self.handlers[claim.task.name], claim.task, a_context(timeout=timedelta(hours=1)), attempt.returned
        )
        return attempt

    def ended(self, attempt: Attempt) -> Ended | None:
        outcome = attempt.call.outcome()
        return None if outcome is None else Ended(attempt.claim, outcome, NOON)

    def under_way(self, moment: timedelta) -> UnderWay:
        runs = UnderWay(cast(Attempts, self), lambda: NOON, Places(8), moment)
        runs.begin([Claim(number, a_task(name), NOON, 1, NOON) for number, name in enumerate(self.handlers)])
        return runs


def told_together(runs: UnderWay, **options: float) -> list[str]:
    return sorted(ended.claim.task.name for ended in runs.wait(**options))


def nothing(*_: object) -> None:
    pass


def test_the_end_of_an_attempt_alone_waits_for_nothing() -> None:
    assert told_together(Begun(a=nothing).under_way(timedelta(hours=1))) == ["a"]


def test_what_began_together_and_ends_within_a_moment_is_told_together() -> None:
    together = threading.Barrier(3)
    meet = lambda *_: together.wait(PATIENCE) and None  # noqa: E731  # a handler in one line
    assert told_together(Begun(a=meet, b=meet, c=meet).under_way(timedelta(hours=1))) == ["a", "b", "c"]


def test_what_takes_longer_than_a_moment_is_told_later(gate: Gate) -> None:
    runs = Begun(a=nothing, long=gate).under_way(timedelta(milliseconds=1))
    assert (told_together(runs), runs.free, bool(runs)) == (["a"], 7, True)
    gate.opened.set()
    assert (told_together(runs), runs.free, bool(runs)) == (["long"], 8, False)


def test_an_attempt_is_not_held_up_by_one_that_began_before_it(gate: Gate) -> None:
    begun = Begun(long=gate)
    runs = begun.under_way(timedelta(hours=1))
    begun.handlers["a"] = nothing
    runs.begin([Claim(9, a_task("a"), NOON, 1, NOON)])
    assert told_together(runs) == ["a"]
    gate.opened.set()


def test_a_short_wait_ends_although_nothing_has_ended(gate: Gate) -> None:
    begun = Begun(long=gate, longer=gate)
    assert told_together(begun.under_way(timedelta(milliseconds=1)), at_most=0.001) == []
    assert begun.kept == 1, "that this process lives is seen to once, and not for each run"
    gate.opened.set()


@pytest.mark.law(1)
def test_law_1_a_stop_lets_all_runs_of_a_tick_finish_and_claims_no_other(
    with_due: MakeDue, gate: Gate, store: MemoryStore
) -> None:
    engine = with_due("a", "b", "c", at_once=2, a=gate, b=gate)
    with gate.holding(engine.evaluate_due_tasks):
        gate.wait()
        engine.wind_down()
        gate.opened.set()
    assert executed(store) == {"a", "b"}
    assert "c" not in statuses(store)


@pytest.mark.law(4)
def test_law_4_a_run_at_its_time_limit_is_given_up_while_others_of_its_tick_go_on(
    with_due: MakeDue, gate: Gate, store: MemoryStore
) -> None:
    hung = threading.Event()
    short = {"hangs": {"timeout_seconds": 0.05}}
    engine = with_due("hangs", "long", at_once=2, hangs=lambda *_: hung.wait(60), long=gate, policies=short)
    with gate.holding(engine.evaluate_due_tasks):
        wait_until(lambda: statuses(store).get("hangs") is RunStatus.TIMEOUT)
        assert statuses(store)["long"] is RunStatus.RUNNING
        hung.set()
        gate.opened.set()


@pytest.mark.law(4)
@pytest.mark.sqlite
def test_law_4_a_task_whose_rows_are_refused_takes_the_claims_of_no_other_with_it(
    with_due: MakeDue, store: MemoryStore, other: sqlite3.Connection
) -> None:
    engine = with_due("a", "bad", "c")
    other.execute(
        "CREATE TRIGGER theirs BEFORE INSERT ON task_runs WHEN NEW.task_name = 'bad'"
        " BEGIN SELECT RAISE(ABORT, 'not this one'); END"
    )
    assert names_of(engine.evaluate_due_tasks()) == {"a", "c"}
    assert executed(store) == {"a", "c"}


@pytest.mark.law(3)
@pytest.mark.parametrize("lasts", [False, True], ids=["once", "in the whole tick"])
@pytest.mark.parametrize("error", [StoreError("the disk is full", fix="make room"), MemoryError("no room")], ids=repr)
def test_law_3_whatever_fails_as_ends_are_written_all_runs_are_awaited_and_recorded_or_kept(
    with_due: MakeDue, gate: Gate, store: MemoryStore, error: Exception, *, lasts: bool
) -> None:
    engine = with_due("long", "a", at_once=2, long=gate)
    failed, raised = threading.Event(), list[BaseException]()

    def fail(sql: str, _: object) -> None:
        if sql.startswith("UPDATE task_runs"):
            store.connection.trace = fail if lasts else None
            failed.set()
            raise error

    def ticking() -> None:
        try:
            engine.evaluate_due_tasks()
        except MemoryError as met:  # which is no reason to go on, as a database that fails is
            raised.append(met)

    store.connection.trace = fail
    with gate.holding(ticking):
        assert failed.wait(PATIENCE)
        gate.opened.set()
    store.connection.trace = None
    assert raised == ([error] if isinstance(error, MemoryError) else [])
    assert executed(store) == (set() if lasts else {"a", "long"})

    engine.evaluate_due_tasks()
    assert executed(store) == {"a", "long"}


@pytest.mark.law(3)
def test_law_3_if_a_later_claim_of_a_tick_fails_its_runs_are_awaited_and_reported(
    with_due: MakeDue, gate: Gate, store: MemoryStore
) -> None:
    engine = with_due("long", "a", limits=Limits(decided_at_once=1), long=gate)
    results: list[Results] = []
    begun: list[str] = []

    def fail(sql: str, _: object) -> None:
        if sql.startswith("BEGIN"):
            begun.append(sql)
            if len(begun) == 2:
                gate.opened.set()
                raise StoreError("the disk is full", fix="make room")

    store.connection.trace = fail
    with gate.holding(lambda: results.append(engine.evaluate_due_tasks())):
        gate.opened.wait(PATIENCE)
    store.connection.trace = None
    assert [names_of(result) >= {"long"} for result in results] == [True]
    assert "long" in executed(store)


@pytest.mark.law(3)
def test_law_3_whatever_is_raised_at_the_start_of_a_run_each_of_its_batch_ends(
    with_due: MakeDue, store: MemoryStore
) -> None:
    """To tell of the start of the second one there is no memory."""
    config = '{"append": {"start": "now"}}'
    engine = with_due("a", "b", "c")
    for name in ("a", "b"):
        number = require_id(store.tasks.require_task(name))
        store.update_scheduled_task(number, delivery_channel="notification", delivery_config=config)
    posted: list[str] = []

    def fail_second(sql: str, _: object) -> None:
        if sql.startswith("INSERT INTO outbox"):
            posted.append(sql)
            if len(posted) == 2:
                raise MemoryError("no room")

    store.connection.trace = fail_second
    engine.evaluate_due_tasks()
    store.connection.trace = None
    assert statuses(store) == {"a": RunStatus.EXECUTED, "b": RunStatus.ERROR, "c": RunStatus.EXECUTED}


@pytest.mark.law(3)
def test_law_3_what_cannot_be_recorded_for_lack_of_memory_is_kept_with_all_that_ended_with_it(
    with_due: MakeDue, store: MemoryStore
) -> None:
    engine = with_due("a", "b", "c")

    def no_room(sql: str, _: object) -> None:
        if sql.startswith("UPDATE task_runs"):
            raise MemoryError("no room")

    store.connection.trace = no_room
    with pytest.raises(MemoryError):
        engine.evaluate_due_tasks()
    store.connection.trace = None
    assert set(statuses(store).values()) == {RunStatus.RUNNING}

    engine.evaluate_due_tasks()
    assert executed(store) == {"a", "b", "c"}


@pytest.mark.law(2)
def test_law_2_a_slot_waits_for_the_short_retry_of_its_task_that_begins_with_it(
    with_due: MakeDue, store: MemoryStore, clock: FakeClock
) -> None:
    attempts: list[tuple[datetime, int]] = []

    def fail_once(task: ScheduledTask, context: HandlerContext) -> None:
        attempts.append((context.scheduled_for, context.attempt))
        if len(attempts) == 1:
            raise ValueError("not yet")

    retried = {"again": {"retries": 1, "retry_delay_seconds": 60}}
    engine = with_due("again", again=fail_once, policies=retried, limits=Limits(moment=timedelta(minutes=1)))
    engine.evaluate_due_tasks()
    clock.advance(minutes=6)
    engine.evaluate_due_tasks()
    first = attempts[0][0]
    assert attempts == [(first, 1), (first, 2), (first + timedelta(minutes=5), 1)]


@pytest.mark.law(4)
def test_law_4_what_cannot_be_decided_in_one_commit_does_not_wait_for_a_long_run(
    with_due: MakeDue, gate: Gate, store: MemoryStore
) -> None:
    engine = with_due("long", "a", "b", limits=Limits(decided_at_once=1), long=gate)
    with gate.holding(engine.evaluate_due_tasks):
        wait_until(lambda: executed(store) == {"a", "b"})
        assert statuses(store)["long"] is RunStatus.RUNNING
        gate.opened.set()
