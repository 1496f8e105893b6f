"""Sends what waits in the outbox: each channel one message at a time, none longer than a deadline.

Guarantees:

- At most one message is on its way on each channel.
- A message that has not gone out within the deadline counts as failed, and is tried again later.
- A channel that hangs pauses, longer each time, until a message gets through.
- Nothing is sent that is not in the outbox, and nothing leaves it before it was sent or given up.

This code assumes that a call of `send` may hang forever, in a thread that cannot be killed.

The races:

1. Two threads, or two processes, want one letter. `take_letter` decides in a transaction, and
   moves the letter beyond the deadline, so that nobody else takes it meanwhile.
2. A process dies while it sends. The letter is due again a little later: it may come twice then,
   which is better than never.
3. A send ends after it was given up. If it succeeded, the letter goes; if it failed, that is
   known already.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from jarvis_trio.clock import Clock
from jarvis_trio.delivery import Message, read_config
from jarvis_trio.errors import DeliveryError, StoreClosedError
from jarvis_trio.notation.instants import duration_text, local_text
from jarvis_trio.notation.text import error_text
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.outbox import FirstLetter, Letter

PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 240, 720))
"""The pause before each retry of a message. After the last retry the message is given up."""

DEADLINE = timedelta(seconds=40)
"""The time limit of one delivery, from the first connection to the last answer.

It is shorter than the first pause.
"""

CHANNEL_PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 15))
"""How long a channel pauses after its first, second ... delivery in a row that hung."""

SLOW = timedelta(seconds=10)
"""A delivery that failed after more than this has hung: its server answers nobody."""

MOST_HANGING = 3
"""A channel with this many threads that hang gets no other one, until one of them ends."""

_LOOK = timedelta(seconds=0.1)
"""How often a tick that waits for its messages looks whether it is in a hurry."""

_logger = logging.getLogger(__name__)

Send = Callable[[str, Mapping[str, Any], Message], str]
"""Hands a message to a channel; returns where it went, raises DeliveryError."""


class AlertChannel(NamedTuple):
    """Where troubles of tasks are told: a channel, and its configuration as JSON text."""

    channel: str
    config: str | None = None


@dataclass(eq=False, slots=True)
class _Sending:
    """A letter that is on its way. `since` is the monotonic clock's."""

    channel: str
    config: str | None
    letter: Letter
    since: float


class Deliveries:
    """Sends the letters of an outbox. Several threads may call it.

    Args:
        store: the database, whose outbox is used.
        clock: the time.
        send: the channels.
        alerts: the channel of letters that name none; None if there is none.
        deadline: how long one delivery may take.
    """

    def __init__(
        self,
        store: MemoryStore,
        clock: Clock,
        send: Send,
        alerts: AlertChannel | None = None,
        *,
        deadline: timedelta = DEADLINE,
    ) -> None:
        self.deadline = deadline
        self._store = store
        self._clock = clock
        self._send = send
        self._alerts = alerts
        self._guard = threading.Lock()
        self._on_their_way: dict[str, _Sending | None] = {}
        self._hanging: Counter[str] = Counter()
        self._hung_in_a_row: Counter[str] = Counter()
        self._paused_until: dict[str, float] = {}

    def next_at(self) -> datetime | None:
        """When `deliver_due` has something to do (aware UTC); None if nothing waits."""
        self._give_up_what_hangs()
        now, seconds = self._clock.now(), self._clock.monotonic()
        return min((self._free_at(first, now, seconds) for first in self._store.outbox.first_letters()), default=None)

    def deliver_due(self, now: datetime | None = None) -> bool:
        """Send one letter that is due and whose channel is free. Returns whether there was one.

        `now` (aware UTC) is the present by default. Raises StoreError.
        """
        self._give_up_what_hangs()
        sending = self._take(now or self._clock.now())
        if sending is None:
            return False
        try:
            to = self._hand_over(sending)
        except DeliveryError as error:
            self._note_failure(sending, str(error))
        except BaseException:
            self._is_in_time(sending)
            raise
        else:
            self._note_success(sending, to)
        return True

    def deliver_waiting(self, now: datetime, is_in_a_hurry: Callable[[], bool] = lambda: False) -> None:
        """Send all that is due at `now` (aware UTC), for at most the deadline.

        This is for ticks without a daemon. Each channel has a thread of its own meanwhile.
        `is_in_a_hurry` ends the wait; what is unsent then stays in the outbox.
        """
        channels = {self._channel_of(first) for first in self._store.outbox.first_letters() if first.due_at <= now}
        threads = [threading.Thread(target=self._work_off, args=[now], daemon=True) for _ in channels]
        for thread in threads:
            thread.start()

        for _ in range(int(self.deadline / _LOOK) + 2):
            for thread in threads:
                thread.join(_LOOK.total_seconds() / len(threads))
            threads = [thread for thread in threads if thread.is_alive()]
            if not threads or is_in_a_hurry():
                return
        self._give_up_what_hangs()

    def _work_off(self, now: datetime) -> None:
        try:
            while self.deliver_due(now):
                pass
        except StoreClosedError:  # the process ends; the letter stays in the outbox
            return
        except BaseException as error:  # noqa: BLE001  # the end of this thread; the letter stays in the outbox
            _logger.error("A message could not be dealt with: %s", error_text(error))

    def _take(self, now: datetime) -> _Sending | None:
        seconds = self._clock.monotonic()
        for first in sorted(self._store.outbox.first_letters(), key=lambda first: first.due_at):
            channel = self._channel_of(first)
            if first.due_at <= now and self._reserve(channel, seconds):
                sending = self._take_reserved(first, channel, now, seconds)
                if sending is not None:
                    return sending
        return None

    def _take_reserved(self, first: FirstLetter, channel: str, now: datetime, seconds: float) -> _Sending | None:
        sending = None
        try:
            letter = self._store.outbox.take_letter(first, now, now + PAUSES[0])
            if letter is not None:  # nobody else has taken it meanwhile
                sending = _Sending(channel, self._config(letter), letter, seconds)
        finally:
            with self._guard:
                if sending is None:
                    del self._on_their_way[channel]
                else:
                    self._on_their_way[channel] = sending
        return sending

    def _reserve(self, channel: str, seconds: float) -> bool:
        with self._guard:
            is_free = channel not in self._on_their_way and self._hanging[channel] < MOST_HANGING
            if not is_free or self._paused_until.get(channel, seconds) > seconds:
                return False
            self._on_their_way[channel] = None
            return True

    def _hand_over(self, sending: _Sending) -> str:
        letter = sending.letter
        message = Message(letter.task_name, letter.status, letter.result, letter.timestamp)
        return self._send(sending.channel, read_config(sending.config, "delivery_config"), message)

    def _note_success(self, sending: _Sending, to: str) -> None:
        self._is_in_time(sending)
        with self._guard:
            self._hung_in_a_row[sending.channel] = 0
        self._note(sending, {"status": "sent", "to": to})

    def _note_failure(self, sending: _Sending, reason: str) -> None:
        if not self._is_in_time(sending):
            return  # it was noted when it was given up
        if self._clock.monotonic() - sending.since > SLOW.total_seconds():
            self._pause(sending.channel)
        self._try_again(sending, reason)

    def _is_in_time(self, sending: _Sending) -> bool:
        """The send has ended: free its channel. Returns whether it was still waited for."""
        with self._guard:
            if self._on_their_way.get(sending.channel) is sending:
                del self._on_their_way[sending.channel]
                return True
            self._hanging[sending.channel] -= 1
            return False

    def _give_up_what_hangs(self) -> None:
        oldest = self._clock.monotonic() - self.deadline.total_seconds()
        with self._guard:
            hung = [sending for sending in self._on_their_way.values() if sending and sending.since <= oldest]
            for sending in hung:
                del self._on_their_way[sending.channel]
                self._hanging[sending.channel] += 1
        for sending in hung:
            self._pause(sending.channel)
            self._try_again(sending, f"{sending.channel}: no end after {duration_text(self.deadline)}")

    def _pause(self, channel: str) -> None:
        with self._guard:
            self._hung_in_a_row[channel] += 1
            pause = CHANNEL_PAUSES[min(self._hung_in_a_row[channel], len(CHANNEL_PAUSES)) - 1]
            self._paused_until[channel] = self._clock.monotonic() + pause.total_seconds()
        _logger.warning("The channel %s hangs; it pauses for %s", channel, duration_text(pause))

    def _free_at(self, first: FirstLetter, now: datetime, seconds: float) -> datetime:
        """When the letter can be sent.

        It must be due, and its channel must be neither busy nor in a pause.
        """
        channel = self._channel_of(first)
        with self._guard:
            free_at = self._paused_until.get(channel, seconds)
            sending = self._on_their_way.get(channel)
            if channel in self._on_their_way or self._hanging[channel] >= MOST_HANGING:
                since = sending.since if sending else seconds
                free_at = max(free_at, since + self.deadline.total_seconds())
        return max(first.due_at, now + timedelta(seconds=free_at - seconds))

    def _try_again(self, sending: _Sending, reason: str) -> None:
        """Note that a letter could not be delivered, and when it is tried again, if it is."""
        letter = sending.letter
        if letter.attempt > len(PAUSES):
            _logger.error("The message of task %r is given up: %s", letter.task_name, reason)
            self._note(sending, {"status": "given up", "error": reason})
            return

        again_at = self._clock.now() + PAUSES[letter.attempt - 1]
        _logger.warning("The message of task %r could not be delivered: %s", letter.task_name, reason)
        account = {"status": "failed", "error": reason, "again_at": local_text(again_at, self._clock.zone())}
        self._note(sending, account, again_at)

    def _note(self, sending: _Sending, outcome: Mapping[str, str], again_at: datetime | None = None) -> None:
        """Write what became of a letter into its run's row and into the outbox.

        The letter waits until `again_at`; without that time it leaves the outbox.
        """
        letter = sending.letter
        account = {"channel": sending.channel, "attempts": letter.attempt, **outcome}
        with self._store.transaction():
            if again_at is None:
                self._store.outbox.discard(letter)
            else:
                self._store.outbox.put_back(letter, again_at)
            if letter.run_id is not None:
                self._store.runs.record_delivery(letter.run_id, json.dumps(account))

    def _channel_of(self, first: FirstLetter) -> str:
        return first.channel if first.is_addressed or self._alerts is None else self._alerts.channel

    def _config(self, letter: Letter) -> str | None:
        """The channel's configuration: that of alerts comes from the settings, as they are now."""
        return letter.config if letter.is_addressed or self._alerts is None else self._alerts.config
