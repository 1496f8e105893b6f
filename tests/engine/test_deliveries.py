"""What becomes of the letters in the outbox: with a real store, a clock that tests set, and channels that hang.

A channel hangs here until the test lets it go. What real servers do is in tests/laws/test_hanging_channels.py.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from jarvis_trio.delivery import Message
from jarvis_trio.engine.deliveries import CHANNEL_PAUSES, DEADLINE, MOST_HANGING, PAUSES, SLOW, AlertChannel, Deliveries
from jarvis_trio.engine.engine import STOP_GRACE
from jarvis_trio.engine.notices import Notices
from jarvis_trio.errors import DeliveryError
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.outbox import FirstLetter, Letter, Outbox
from tests.support.core_fakes import (
    PATIENCE,
    START,
    Channel,
    FakeClock,
    Gate,
    MakeEngine,
    a_task,
    finish,
    in_thread,
    wait_until,
)

ALERTS = AlertChannel("apprise", '{"urls": ["json://example.org"]}')


class Hanging(Channel):
    """Hangs on the channels that are named, until the end of the test; the others work."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names
        self.entered = threading.Semaphore(0)
        self.let_go = threading.Event()

    def __call__(self, channel: str, config: Mapping[str, Any], message: Message) -> str:
        if channel in self.names:
            self.entered.release()
            assert self.let_go.wait(PATIENCE)
        return super().__call__(channel, config, message)

    def wait(self) -> None:
        assert self.entered.acquire(timeout=PATIENCE)


@pytest.fixture
def channel() -> Channel:
    return Channel()


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    hanging = Hanging("email")
    yield hanging
    hanging.let_go.set()


Post = Callable[..., int]


@pytest.fixture
def post(store: MemoryStore) -> Post:
    def post(name: str = "job", channel: str = "email", run_id: int | None = 1) -> int:
        return store.outbox.post(
            Letter(channel, None, name, "executed", "fine", "2026-03-02T09:00:00+00:00", run_id), START
        )

    return post


def work_off(deliveries: Deliveries) -> None:
    while deliveries.deliver_due():
        pass


def test_letters_go_out_in_the_order_in_which_they_were_posted(
    store: MemoryStore, clock: FakeClock, channel: Channel, post: Post
) -> None:
    for name in ("one", "two", "three"):
        post(name)
    work_off(Deliveries(store, clock, channel))
    assert [message.task_name for _, _, message in channel.sent] == ["one", "two", "three"]
    assert store.outbox.letters_waiting() == 0


def test_of_two_channels_the_one_whose_letter_is_due_first_goes_first(
    store: MemoryStore, clock: FakeClock, channel: Channel
) -> None:
    for name, minute in (("apprise", 1), ("email", 3), ("teams", 2), ("imessage", 0)):
        letter = Letter(name, None, name, "executed", "fine", "2026-03-02T09:00:00+00:00", 1)
        store.outbox.post(letter, START + timedelta(minutes=minute))
    clock.advance(minutes=3)
    work_off(Deliveries(store, clock, channel))
    assert [name for name, _, _ in channel.sent] == ["imessage", "apprise", "teams", "email"]


def test_a_tick_sends_what_was_due_at_its_instant(
    store: MemoryStore, clock: FakeClock, channel: Channel, post: Post
) -> None:
    post("due")
    letter = Letter("email", None, "due later", "executed", "fine", "2026-03-02T09:00:00+00:00", 1)
    store.outbox.post(letter, START + timedelta(minutes=1))
    clock.advance(minutes=2)
    Deliveries(store, clock, channel).deliver_waiting(START)
    assert [message.task_name for _, _, message in channel.sent] == ["due"]


class Contested(Outbox):
    """Another process takes each letter in the moment before this one does."""

    def take_letter(self, first: FirstLetter, now: datetime, again_at: datetime) -> Letter | None:
        super().take_letter(first, now, again_at)
        return super().take_letter(first, now, again_at)


@pytest.mark.law(2)
def test_a_letter_that_another_process_takes_meanwhile_is_not_sent_here_and_its_channel_is_free(
    store: MemoryStore, clock: FakeClock, channel: Channel, post: Post
) -> None:
    deliveries = Deliveries(store, clock, channel)
    store.outbox = Contested(store)
    post("theirs")
    assert not deliveries.deliver_due()

    store.outbox = Outbox(store)
    post("ours")
    assert deliveries.deliver_due()
    assert [message.task_name for _, _, message in channel.sent] == ["ours"]


def test_a_process_that_dies_while_it_sends_leaves_the_message_to_the_next(
    store: MemoryStore, clock: FakeClock, channel: Channel, post: Post
) -> None:
    class DiedError(BaseException):
        pass

    def die(*_: object) -> str:
        raise DiedError

    post()
    with pytest.raises(DiedError):
        Deliveries(store, clock, die).deliver_due()
    work_off(Deliveries(store, clock, channel))
    assert channel.sent == []
    clock.advance(seconds=PAUSES[0].total_seconds())
    work_off(Deliveries(store, clock, channel))
    assert len(channel.sent) == 1


def test_an_alert_that_waits_goes_to_the_channel_that_is_set_when_it_is_sent(
    store: MemoryStore, clock: FakeClock, channel: Channel, post: Post
) -> None:
    post(run_id=None)
    work_off(Deliveries(store, clock, channel, ALERTS))
    assert [(name, config) for name, config, _ in channel.sent] == [("apprise", json.loads(ALERTS.config or ""))]


def test_a_run_that_is_pruned_meanwhile_is_no_error(
    store: MemoryStore, clock: FakeClock, channel: Channel, post: Post
) -> None:
    post(run_id=4711)
    work_off(Deliveries(store, clock, channel))
    assert len(channel.sent) == 1


@pytest.mark.law(4)
def test_a_channel_that_hangs_holds_up_no_other(
    store: MemoryStore, clock: FakeClock, hanging: Hanging, post: Post
) -> None:
    post("hangs")
    post("good", "teams")
    deliveries = Deliveries(store, clock, hanging)
    thread = in_thread(deliveries.deliver_due)
    hanging.wait()
    work_off(deliveries)
    assert [message.task_name for _, _, message in hanging.sent] == ["good"]
    hanging.let_go.set()
    finish(thread)


@pytest.mark.law(4)
@pytest.mark.parametrize("alerts", [None, AlertChannel("email", None)], ids=["runs", "alerts"])
def test_one_message_at_a_time_is_on_its_way_on_a_channel(
    alerts: AlertChannel | None, store: MemoryStore, clock: FakeClock, hanging: Hanging, post: Post
) -> None:
    post("first")
    post("second", run_id=None if alerts else 2)
    deliveries = Deliveries(store, clock, hanging, alerts)
    thread = in_thread(deliveries.deliver_due)
    hanging.wait()
    assert not deliveries.deliver_due()
    hanging.let_go.set()
    finish(thread)
    work_off(deliveries)
    assert len(hanging.sent) == 2


@pytest.mark.law(4)
def test_what_outlives_the_deadline_has_failed_and_its_channel_pauses(
    store: MemoryStore, clock: FakeClock, hanging: Hanging, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post("hangs")
    post("waits")
    deliveries = Deliveries(store, clock, hanging)
    thread = in_thread(deliveries.deliver_due)
    hanging.wait()
    clock.advance(seconds=DEADLINE.total_seconds())
    assert deliveries.next_at() == clock.now() + CHANNEL_PAUSES[0]
    assert not deliveries.deliver_due()
    assert "The channel email hangs; it pauses for 1m" in caplog.messages
    assert "The message of task 'hangs' could not be delivered: email: no end after 40s" in caplog.messages
    hanging.let_go.set()
    finish(thread)


def test_a_message_that_gets_through_after_its_deadline_is_not_sent_again(
    store: MemoryStore, clock: FakeClock, hanging: Hanging, post: Post
) -> None:
    post()
    deliveries = Deliveries(store, clock, hanging)
    thread = in_thread(deliveries.deliver_due)
    hanging.wait()
    clock.advance(minutes=1)
    assert deliveries.next_at() is not None
    hanging.let_go.set()
    finish(thread)
    assert (len(hanging.sent), store.outbox.letters_waiting()) == (1, 0)


def test_a_message_that_fails_after_its_deadline_was_counted_already(
    store: MemoryStore, clock: FakeClock, hanging: Hanging, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post()
    hanging.broken = True
    deliveries = Deliveries(store, clock, hanging)
    thread = in_thread(deliveries.deliver_due)
    hanging.wait()
    clock.advance(minutes=1)
    deliveries.next_at()
    hanging.let_go.set()
    finish(thread)
    assert sum("could not be delivered" in message for message in caplog.messages) == 1


def test_the_pauses_of_a_channel_that_hangs_grow_and_end_with_a_success(
    store: MemoryStore, clock: FakeClock, channel: Channel, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that refuses only after a long time hangs too."""
    channel.broken = True

    def slowly(*told: Any) -> str:
        if channel.broken:
            clock.advance(seconds=SLOW.total_seconds() + 1)
        return channel(*told)

    post()
    deliveries = Deliveries(store, clock, slowly)
    for _ in range(3):
        assert deliveries.deliver_due()
        at = deliveries.next_at()
        assert at is not None
        clock.advance(seconds=(at - clock.now()).total_seconds())
    channel.broken = False
    assert deliveries.deliver_due()
    channel.broken = True
    post()
    deliveries.deliver_due()
    pauses = [message for message in caplog.messages if "it pauses" in message]
    assert [pause.rpartition(" ")[2] for pause in pauses] == ["1m", "2m", "5m", "1m"]


def test_a_restart_tries_a_channel_that_hung_once_and_keeps_the_pause_of_each_message(
    store: MemoryStore, clock: FakeClock, channel: Channel, hanging: Hanging, post: Post
) -> None:
    """Whoever has put the server right starts the daemon again, and expects messages to go out."""
    for name in ("one", "two", "three"):
        post(name)
    threads = []
    for tried in ([1, 0, 0], [1, 1, 0]):  # by one process after the other
        restarted = Deliveries(store, clock, hanging)
        threads.append(in_thread(restarted.deliver_due))
        hanging.wait()
        clock.advance(seconds=DEADLINE.total_seconds())
        assert not restarted.deliver_due()
        assert [row["attempt"] for row in store.read("SELECT attempt FROM outbox ORDER BY id")] == tried
    work_off(Deliveries(store, clock, channel))
    assert [message.task_name for _, _, message in channel.sent] == ["three"]
    hanging.let_go.set()
    for thread in threads:
        finish(thread)


def test_what_waits_behind_a_message_that_is_on_its_way_is_due_when_that_is_given_up(
    store: MemoryStore, clock: FakeClock, hanging: Hanging, post: Post
) -> None:
    for name in ("first", "second"):
        post(name)
    deliveries = Deliveries(store, clock, hanging)
    thread = in_thread(deliveries.deliver_due)
    hanging.wait()
    clock.advance(seconds=1)
    assert deliveries.next_at() == START + DEADLINE
    hanging.let_go.set()
    finish(thread)


def test_a_channel_with_many_threads_that_hang_gets_no_other(
    store: MemoryStore, clock: FakeClock, hanging: Hanging, post: Post
) -> None:
    threads = []
    deliveries = Deliveries(store, clock, hanging)
    for _ in range(MOST_HANGING):
        post()
        threads.append(in_thread(deliveries.deliver_due))
        hanging.wait()
        clock.advance(hours=1)
        deliveries.next_at()
        clock.advance(hours=1)
    post()
    assert not deliveries.deliver_due()
    at = deliveries.next_at()
    assert at is not None
    assert at >= clock.now() + DEADLINE
    hanging.let_go.set()
    finish(*threads)
    clock.advance(days=1)
    assert deliveries.deliver_due()


def test_a_thread_that_ends_after_all_makes_room_for_one_other_on_its_channel(
    store: MemoryStore, clock: FakeClock, post: Post
) -> None:
    gates = [Gate() for _ in range(MOST_HANGING + 1)]
    waiting = iter(gates)
    deliveries = Deliveries(store, clock, lambda *told: str(next(waiting)(*told)))
    threads = []
    for gate in gates:
        post()
        threads.append(in_thread(deliveries.deliver_due))
        gate.wait()
        clock.advance(days=1)
        deliveries.next_at()  # it is given up
        clock.advance(days=1)
        if gate is gates[MOST_HANGING - 1]:
            gates[0].opened.set()
            finish(threads[0])
    post()
    assert not deliveries.deliver_due()
    for gate in gates:
        gate.opened.set()
    finish(*threads)


def test_a_tick_without_a_daemon_waits_for_its_messages_no_longer_than_the_deadline(
    store: MemoryStore, clock: FakeClock, hanging: Hanging, post: Post
) -> None:
    post("hangs")
    post("good", "teams")
    Deliveries(store, clock, hanging, deadline=timedelta(seconds=0.3)).deliver_waiting(clock.now())
    assert [message.task_name for _, _, message in hanging.sent] == ["good"]
    assert store.outbox.letters_waiting() == 1


def test_a_tick_without_a_daemon_waits_for_a_message_that_takes_a_while(
    store: MemoryStore, clock: FakeClock, post: Post
) -> None:
    gate, looks, daemons = Gate(), iter([False, True]), []

    def send(*told: Any) -> str:
        daemons.append(threading.current_thread().daemon)
        return str(gate(*told))

    def look() -> bool:
        """Not in a hurry; and after the second look the message gets through."""
        if next(looks, False):
            gate.opened.set()
        return False

    post()
    Deliveries(store, clock, send).deliver_waiting(clock.now(), look)
    assert store.outbox.letters_waiting() == 0
    assert daemons == [True], "one that hangs must not keep the process from its end"


def test_a_tick_in_a_hurry_leaves_its_messages_in_the_outbox(
    store: MemoryStore, clock: FakeClock, hanging: Hanging, post: Post
) -> None:
    post()
    Deliveries(store, clock, hanging).deliver_waiting(clock.now(), lambda: True)
    assert store.outbox.letters_waiting() == 1


@pytest.mark.parametrize("is_tick", [True, False], ids=["a tick", "a run that was asked for"])
def test_what_ends_after_the_stop_and_its_grace_waits_for_no_message(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, hanging: Hanging, is_tick: bool
) -> None:
    def stop(*_: object) -> None:
        engine.wind_down()
        clock.advance(seconds=STOP_GRACE.total_seconds() + 1)

    notices = Notices(store, clock, hanging)
    notices.deliveries.deadline = timedelta(seconds=2 * PATIENCE)
    engine = make_engine({"stop": stop}, notices=notices)
    store.store_scheduled_task(a_task(handler="stop", delivery_channel="email", delivery_config="{}"))
    engine.evaluate_due_tasks()
    clock.advance(minutes=5)
    finish(in_thread(engine.evaluate_due_tasks if is_tick else lambda: engine.run_now("job")))
    assert not hanging.let_go.is_set()
    assert store.outbox.letters_waiting() == 1


def test_what_ends_within_the_grace_of_the_stop_waits_for_its_message(
    store: MemoryStore, make_engine: MakeEngine, hanging: Hanging
) -> None:
    class Looked(FakeClock):
        looks = 0

        def monotonic(self) -> float:
            self.looks += 1
            return super().monotonic()

    clock = Looked()
    engine = make_engine(notices=Notices(store, clock, hanging), clock=clock)
    store.store_scheduled_task(a_task(delivery_channel="email", delivery_config="{}"))
    engine.wind_down()
    clock.advance(seconds=STOP_GRACE.total_seconds() - 1)
    tick = in_thread(lambda: engine.run_now("job"))
    hanging.wait()
    before = clock.looks
    wait_until(lambda: clock.looks > before + 2)
    hanging.let_go.set()
    finish(tick)
    assert store.outbox.letters_waiting() == 0


def test_a_channel_that_breaks_in_an_unknown_way_is_free_again(
    store: MemoryStore, clock: FakeClock, channel: Channel, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    breaks = iter([RuntimeError("no luck")])

    def send(*told: Any) -> str:
        for error in breaks:
            raise error
        return channel(*told)

    post()
    post()
    deliveries = Deliveries(store, clock, send)
    deliveries.deliver_waiting(clock.now())
    assert "A message could not be dealt with: no luck" in caplog.messages
    assert deliveries.deliver_due()
    assert len(channel.sent) == 1


def test_a_delivery_error_is_kept_in_the_outbox_with_its_reason(
    store: MemoryStore, clock: FakeClock, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> str:
        raise DeliveryError("email: the server is away")

    post()
    with caplog.at_level(logging.WARNING):
        work_off(Deliveries(store, clock, refuse))
    assert caplog.messages == ["The message of task 'job' could not be delivered: email: the server is away"]
    assert store.outbox.letters_waiting() == 1
