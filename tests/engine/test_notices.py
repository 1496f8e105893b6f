"""What people are told of runs and of troubles: when, how often, and what becomes of it where it cannot be sent.

Collaboration: with a real store, on a clock that tests set, and a channel that does as it is told.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.deliveries import PAUSES, AlertChannel
from jarvis_trio.engine.notices import Notices
from jarvis_trio.models import Outcome, RunStatus, ScheduledTask, TroubleKind, require_id
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import START, Channel, FakeClock, MakeEngine, a_task, fail

DENVER = ZoneInfo("America/Denver")
SECRET = "hunter2"
ALERTS = AlertChannel("apprise", f'{{"urls": ["json://me:{SECRET}@example.org"]}}')


@pytest.fixture
def channel() -> Channel:
    return Channel()


@pytest.fixture
def telling(make_engine: MakeEngine, store: MemoryStore, clock: FakeClock, channel: Channel) -> SchedulerEngine:
    """An engine that tells of runs and, by the channel of `ALERTS`, of troubles."""
    return make_engine({"fail": fail}, notices=Notices(store, clock, channel, ALERTS))


def account(store: MemoryStore) -> dict[str, Any]:
    """What the newest run's row says of its delivery."""
    told: dict[str, Any] = json.loads(store.runs.list_runs(limit=1)[0].delivery or "{}")
    return told


def tables(path: Path) -> str:
    """All that the database holds, as text."""
    connection = sqlite3.connect(path)
    try:
        return "\n".join(connection.iterdump())
    finally:
        connection.close()


def test_a_message_that_cannot_be_sent_is_tried_again_with_growing_pauses_and_then_given_up(
    telling: SchedulerEngine,
    due: Callable[..., ScheduledTask],
    store: MemoryStore,
    clock: FakeClock,
    channel: Channel,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock.machine_zone = DENVER
    due(at="2026-03-02T09:05:00+00:00", delivery_channel="email", delivery_config='{"to": "me@example.org"}')
    channel.broken = True
    telling.evaluate_due_tasks()
    for attempt, pause in enumerate(PAUSES, start=1):
        told = account(store)
        assert (told["status"], told["attempts"], told["error"]) == ("failed", attempt, "email: the server is away")
        assert told["again_at"] == (clock.now() + pause).astimezone(DENVER).isoformat()
        clock.advance(seconds=pause.total_seconds() - 1)
        telling.evaluate_due_tasks()
        assert account(store) == told
        clock.advance(seconds=1)
        telling.evaluate_due_tasks()
    given_up = {"channel": "email", "attempts": len(PAUSES) + 1, "status": "given up"}
    assert account(store) == given_up | {"error": "email: the server is away"}
    assert store.outbox.letters_waiting() == 0
    assert caplog.messages[-1] == "The message of task 'job' is given up: email: the server is away"


def test_a_message_that_waits_survives_a_restart(
    telling: SchedulerEngine,
    due: Callable[..., ScheduledTask],
    make_engine: MakeEngine,
    store: MemoryStore,
    clock: FakeClock,
    channel: Channel,
) -> None:
    due(at="2026-03-02T09:05:00", delivery_channel="email", delivery_config='{"to": "me@example.org"}')
    channel.broken = True
    telling.evaluate_due_tasks()
    channel.broken = False
    clock.advance(minutes=1)
    make_engine(owner="restarted", notices=Notices(store, clock, channel)).evaluate_due_tasks()
    assert [(name, config) for name, config, _ in channel.sent] == [("email", {"to": "me@example.org"})]
    assert account(store) == {"channel": "email", "attempts": 2, "status": "sent", "to": "the test"}


@pytest.mark.law(4)
def test_a_task_that_is_set_aside_for_another_reason_is_told_again(
    store: MemoryStore, telling: SchedulerEngine, channel: Channel
) -> None:
    task = store.store_scheduled_task(a_task(every={"minutes": 0}))
    for _ in range(2):
        telling.evaluate_due_tasks()
    store.update_scheduled_task(require_id(task), schedule_config='{"minutes": -1}')
    telling.evaluate_due_tasks()
    assert channel.statuses == ["set aside", "set aside"]


@pytest.mark.law(4)
def test_a_task_that_was_set_aside_is_told_to_be_scheduled_again(
    store: MemoryStore, telling: SchedulerEngine, channel: Channel
) -> None:
    task = store.store_scheduled_task(a_task(every={"minutes": 0}))
    telling.evaluate_due_tasks()
    store.update_scheduled_task(require_id(task), schedule_config='{"minutes": 1}')
    telling.evaluate_due_tasks()
    assert channel.statuses == ["set aside", "scheduled again"]
    assert channel.sent[-1][2].result == "set aside since Mon 2026-03-02 09:00 UTC"


def test_a_task_that_fails_on_and_on_is_told_once_and_once_that_it_is_well_again(
    telling: SchedulerEngine, due: Callable[..., ScheduledTask], store: MemoryStore, clock: FakeClock, channel: Channel
) -> None:
    due(handler="fail")
    for _ in range(3):
        telling.evaluate_due_tasks()
        clock.advance(minutes=5)
    assert channel.statuses == ["failing"]
    store.update_scheduled_task(1, handler_type="note")
    for _ in range(3):
        telling.evaluate_due_tasks()
        clock.advance(minutes=5)
    assert channel.statuses == ["failing", "well again"]


def test_a_task_without_success_for_longer_than_its_limit_is_told_once(
    telling: SchedulerEngine, due: Callable[..., ScheduledTask], store: MemoryStore, clock: FakeClock, channel: Channel
) -> None:
    due(policy={"alert_after_seconds": 3600})
    telling.evaluate_due_tasks()
    store.update_scheduled_task(1, schedule_config='{"days": 2}')
    for _ in range(3):
        clock.advance(minutes=59)
        telling.evaluate_due_tasks()
    assert [(message.status, message.result) for _, _, message in channel.sent] == [
        ("stale", "no success for more than 1h")
    ]
    assert store.troubles.passed_deadlines(clock.now()) == []


@pytest.mark.sqlite
def test_a_deadline_that_is_gone_as_the_one_before_it_is_told_holds_up_none_behind_it(
    store: MemoryStore, clock: FakeClock, channel: Channel, other: sqlite3.Connection
) -> None:
    """Another process deals with the second while this one tells of the first."""
    for minute, name in enumerate(("first", "second", "third")):
        task = store.store_scheduled_task(a_task(name, policy={"alert_after_seconds": 60}))
        store.troubles.set_deadline(require_id(task), START + timedelta(minutes=minute))
    other.execute(
        "CREATE TRIGGER theirs AFTER DELETE ON task_deadlines WHEN OLD.task_id = 1"
        " BEGIN DELETE FROM task_deadlines WHERE task_id = 2; END"
    )
    Notices(store, clock, channel, ALERTS).check_deadlines(START + timedelta(hours=1))
    assert [trouble.task_id for trouble in store.troubles.list_troubles()] == [1, 3]


def test_the_configuration_of_alerts_which_can_hold_secrets_never_reaches_the_database(
    telling: SchedulerEngine, due: Callable[..., ScheduledTask], path: Path, clock: FakeClock, channel: Channel
) -> None:
    due(handler="fail")
    channel.broken = True
    telling.evaluate_due_tasks()
    assert 'INSERT INTO "outbox"' in tables(path)
    assert SECRET not in tables(path)
    channel.broken = False
    clock.advance(minutes=1)
    telling.evaluate_due_tasks()
    assert [(name, config) for name, config, _ in channel.sent] == [("apprise", json.loads(ALERTS.config or ""))]


@pytest.mark.parametrize(
    "config", [f'{{"urls": "json://me:{SECRET}@example.org"', f'["json://me:{SECRET}@example.org"]']
)
def test_a_configuration_that_cannot_be_read_is_told_without_what_it_holds(
    telling: SchedulerEngine,
    due: Callable[..., ScheduledTask],
    store: MemoryStore,
    caplog: pytest.LogCaptureFixture,
    config: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    due(delivery_channel="apprise", delivery_config=config)
    telling.evaluate_due_tasks()
    assert account(store)["error"].startswith("delivery_config is not a JSON object")
    assert SECRET not in caplog.text + json.dumps(account(store))


def test_without_a_channel_for_alerts_troubles_are_noted_and_nobody_is_told(
    make_engine: MakeEngine,
    due: Callable[..., ScheduledTask],
    store: MemoryStore,
    clock: FakeClock,
    channel: Channel,
) -> None:
    due(handler="fail")
    make_engine({"fail": fail}, notices=Notices(store, clock, channel)).evaluate_due_tasks()
    assert [str(trouble.kind) for trouble in store.troubles.list_troubles()] == ["failing"]
    assert channel.sent == []
    assert clock.now() - START == timedelta(minutes=5)


def test_a_task_that_flaps_tells_at_once_twice_and_then_once_an_hour_with_the_count(
    telling: SchedulerEngine, due: Callable[..., ScheduledTask], store: MemoryStore, clock: FakeClock, channel: Channel
) -> None:
    due(handler="fail")
    for minute in range(0, 120, 5):
        store.update_scheduled_task(1, handler_type="note" if minute % 10 else "fail")
        telling.evaluate_due_tasks()
        clock.advance(minutes=5)
    assert channel.statuses == ["failing", "well again", "well again"]
    assert channel.sent[-1][2].result == (
        "in trouble since Mon 2026-03-02 10:05 UTC; 12 changes since Mon 2026-03-02 09:15 UTC"
    )


@pytest.mark.law(5)
def test_the_times_in_messages_are_local_to_the_machine(store: MemoryStore, clock: FakeClock, channel: Channel) -> None:
    clock.machine_zone = DENVER
    notices = Notices(store, clock, channel, ALERTS)
    task = store.store_scheduled_task(a_task())
    for kind in (TroubleKind.SET_ASIDE, TroubleKind.FAILING, TroubleKind.MISSED):
        notices.trouble(task, kind, "no net", START)
    notices.scheduled_again(task, START)
    clock.advance(hours=1)
    while notices.deliveries.deliver_due():
        pass
    assert [(message.result, message.timestamp) for _, _, message in channel.sent] == [
        ("no net", "2026-03-02T02:00:00-07:00"),
        ("no net", "2026-03-02T02:00:00-07:00"),
        (
            "set aside since Mon 2026-03-02 02:00 MST; 2 changes since Mon 2026-03-02 02:00 MST",
            "2026-03-02T02:00:00-07:00",
        ),
    ]


def test_what_a_flapping_task_says_last_is_how_it_stands(
    telling: SchedulerEngine, due: Callable[..., ScheduledTask], store: MemoryStore, clock: FakeClock, channel: Channel
) -> None:
    due(handler="fail")
    for handler in ("fail", "note", "fail"):
        store.update_scheduled_task(1, handler_type=handler)
        telling.evaluate_due_tasks()
        clock.advance(minutes=5)
    assert channel.statuses == ["failing", "well again"]
    for _ in range(12):
        telling.evaluate_due_tasks()
        clock.advance(minutes=5)
    assert channel.statuses == ["failing", "well again", "failing"]


def test_a_task_may_name_a_channel_of_its_own_for_its_troubles(
    telling: SchedulerEngine, due: Callable[..., ScheduledTask], channel: Channel
) -> None:
    due(handler="fail", policy={"alert_channel": "email", "alert_config": {"to": "me@example.org"}})
    telling.evaluate_due_tasks()
    assert [(name, config) for name, config, _ in channel.sent] == [("email", {"to": "me@example.org"})]


def test_a_task_of_its_own_channel_tells_although_there_is_none_for_all(
    make_engine: MakeEngine, due: Callable[..., ScheduledTask], store: MemoryStore, clock: FakeClock, channel: Channel
) -> None:
    due(handler="fail", policy={"alert_channel": "notification"})
    make_engine({"fail": fail}, notices=Notices(store, clock, channel)).evaluate_due_tasks()
    assert [(name, config) for name, config, _ in channel.sent] == [("notification", {})]


def test_a_start_is_told_to_those_who_ask_for_it(
    telling: SchedulerEngine, due: Callable[..., ScheduledTask], store: MemoryStore, channel: Channel
) -> None:
    due(delivery_channel="webhook", delivery_config='{"append": {"start": "/start"}}')
    store.store_scheduled_task(a_task("another", delivery_channel="webhook", next_run_at="2026-03-02T09:04:00"))
    telling.evaluate_due_tasks()
    told = sorted((message.task_name, message.status) for _, _, message in channel.sent)
    assert told == [("another", "executed"), ("job", "executed"), ("job", "started")]
    assert [message.status for _, _, message in channel.sent if message.task_name == "job"] == ["started", "executed"]


@pytest.mark.sqlite
@pytest.mark.law(4)
def test_a_start_that_cannot_be_told_holds_up_no_run(
    telling: SchedulerEngine, due: Callable[..., ScheduledTask], other: sqlite3.Connection, channel: Channel
) -> None:
    due(delivery_channel="webhook", delivery_config='{"append": {"start": "/start"}}')
    other.execute(
        "CREATE TRIGGER theirs BEFORE INSERT ON outbox WHEN NEW.status = 'started'"
        " BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    assert [result["status"] for result in telling.evaluate_due_tasks()] == ["executed"]
    assert channel.statuses == ["executed"]


def test_what_became_of_a_delivery_stands_in_the_last_result_too(
    telling: SchedulerEngine, due: Callable[..., ScheduledTask], store: MemoryStore, clock: FakeClock, channel: Channel
) -> None:
    due(delivery_channel="email", delivery_config='{"to": "me@example.org"}')
    telling.evaluate_due_tasks()
    first = json.loads(store.tasks.require_task("job").last_result or "")
    assert first == {"ok": True, "delivery": account(store)}
    assert account(store)["status"] == "sent"


@pytest.mark.law(5)
def test_what_a_message_says_of_a_run(store: MemoryStore, clock: FakeClock, channel: Channel) -> None:
    """Each outcome as (status, text), told by the task's channel and, as a trouble, by the one for all."""
    clock.machine_zone = DENVER
    notices = Notices(store, clock, channel, ALERTS)
    task = store.store_scheduled_task(a_task(delivery_channel="email", delivery_config='{"append": {"start": "s"}}'))
    outcomes = [
        Outcome(RunStatus.EXECUTED, result="3 found"),
        Outcome(RunStatus.EXECUTED, result="3 found", reason="but one is old"),
        Outcome(RunStatus.EXECUTED),
        Outcome(RunStatus.INTERRUPTED, reason="stopped by kim"),
        Outcome(RunStatus.TIMEOUT),
        Outcome(RunStatus.ERROR, reason="no net"),
    ]
    for minute, outcome in enumerate(outcomes):
        slot = START + timedelta(minutes=minute)
        claim = store.runs.claim_run(task, slot, 1, started_at=slot, owner="me")
        assert claim is not None
        if not minute:
            notices.run_started(claim)
        store.runs.finish_run(claim, outcome, slot)
        notices.run_ended(claim, outcome, slot)
    notices.ran_beside(claim, Outcome(RunStatus.EXECUTED), slot)

    clock.advance(hours=2)
    while notices.deliveries.deliver_due():
        pass
    told = [(name, message.status, message.result) for name, _, message in channel.sent]
    since = "its run since Mon 2026-03-02 02:05 MST was taken for dead and ended after all: executed"
    expected: list[tuple[str, str, str | None]] = [
        ("email", "started", None),
        ("email", "executed", "3 found"),
        ("email", "executed", "but one is old"),
        ("email", "executed", None),
        ("email", "interrupted", "stopped by kim"),
        ("email", "timeout", None),
        ("email", "error", "no net"),
        ("apprise", "failing", "timeout"),
        ("apprise", "ran twice", since),
    ]
    assert sorted(told, key=str) == sorted(expected, key=str)
    assert {message.task_name for _, _, message in channel.sent} == {"job"}
    of_runs = [message.timestamp for name, _, message in channel.sent if name == "email"]
    assert sorted(of_runs) == [f"2026-03-02T02:0{minute}:00-07:00" for minute in (0, 0, 1, 2, 3, 4, 5)]
