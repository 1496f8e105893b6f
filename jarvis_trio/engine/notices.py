"""What people are told: a run's result by its task's channel, and a task's troubles once.

A message is written into the outbox in the transaction that records what it tells
of, so none is lost; then it is sent, and tried again with growing pauses where that
fails. A failed delivery never fails a run.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from jarvis_trio.clock import Clock
from jarvis_trio.delivery import Message, read_config
from jarvis_trio.errors import DeliveryError
from jarvis_trio.instants import duration_text, local_text
from jarvis_trio.models import Claim, Outcome, RunStatus, ScheduledTask, TroubleKind, require_id, task_policy
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.outbox import Letter
from jarvis_trio.store.troubles import Trouble
from jarvis_trio.text import moment_words

PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 240, 720))
"""How long a message that could not be delivered waits before each further try; then it is given up."""

_SENDING_SECONDS = 20.0
"""No message is begun later in a tick: with a server that hangs a stop would else wait for each of them."""

_WELL_AGAIN = (TroubleKind.FAILING, TroubleKind.MISSED, TroubleKind.STALE)
_logger = logging.getLogger(__name__)

Send = Callable[[str, Mapping[str, Any], Message], str]
"""Hands a message to a channel; returns where it went, raises DeliveryError."""


@dataclass(frozen=True, slots=True)
class AlertChannel:
    """Where troubles of tasks are told: a channel, and its configuration as JSON text."""

    channel: str
    config: str | None = None


class Notices:
    """Writes and sends the messages about runs and tasks.

    Args:
        store: the database, whose outbox is used.
        clock: the zone of the times in a message.
        send: the channels.
        alerts: where troubles are told; None to only note them.
    """

    def __init__(self, store: MemoryStore, clock: Clock, send: Send, alerts: AlertChannel | None = None) -> None:
        self._store = store
        self._clock = clock
        self._send = send
        self._alerts = alerts

    def run_ended(self, claim: Claim, outcome: Outcome, at: datetime) -> None:
        """Note the end of a run that is not tried again; call it in the transaction that records it."""
        task = claim.task
        if task.delivery_channel:
            text = outcome.result if outcome.reason is None else outcome.reason
            self._post(task.delivery_channel, task.delivery_config, task, outcome.status, text, at, claim.run_id)
        if outcome.status is RunStatus.EXECUTED:
            self._well_again(task, at)
            self.watch(task, at)
        else:
            self.trouble(task, TroubleKind.FAILING, outcome.reason or str(outcome.status), at)

    def trouble(self, task: ScheduledTask, kind: TroubleKind, reason: str, at: datetime) -> None:
        """Note what is wrong with a task; told once, until it is over."""
        if self._store.begin_trouble(require_id(task), kind, reason, at):
            self._alert(task, kind, reason, at)

    def mended(self, task: ScheduledTask, at: datetime) -> None:
        """Note that a task that was set aside can be scheduled again."""
        if ended := self._store.end_troubles(require_id(task), [TroubleKind.SET_ASIDE]):
            self._alert(task, "scheduled again", f"set aside since {self._first(ended)}", at)

    def watch(self, task: ScheduledTask, since: datetime) -> None:
        """Expect the next success of a task within its `alert_after_seconds` from `since`."""
        limit = task_policy(task.policy).alert_after_seconds
        if limit is not None:
            self._store.set_deadline(require_id(task), since + timedelta(seconds=limit))

    def check_deadlines(self, now: datetime) -> None:
        """Tell of the tasks that have not succeeded for longer than they say."""
        for task in self._store.passed_deadlines(now):
            with self._store.transaction():
                self._store.set_deadline(require_id(task), None)
                limit = task_policy(task.policy).alert_after_seconds
                if limit is not None:
                    reason = f"no success for more than {duration_text(timedelta(seconds=limit))}"
                    self.trouble(task, TroubleKind.STALE, reason, now)

    def send_due(self, now: datetime) -> None:
        """Send what is due in the outbox, until that has taken `_SENDING_SECONDS`: the rest is for the next tick."""
        until = self._clock.monotonic() + _SENDING_SECONDS
        while self._clock.monotonic() < until and (letter := self._store.take_letter(now, now + PAUSES[0])) is not None:
            self._deliver(letter, now)

    def send_run(self, run_id: int, now: datetime) -> dict[str, Any] | None:
        """Send what tells of one run. Returns an account of it, or None where nothing does."""
        letter = self._store.take_letter(now, now + PAUSES[0], run_id)
        return None if letter is None else self._deliver(letter, now)

    def _deliver(self, letter: Letter, now: datetime) -> dict[str, Any]:
        channel, config = self._address(letter)
        account: dict[str, Any] = {"channel": channel, "attempts": letter.attempt}
        message = Message(letter.task_name, letter.status, letter.result, letter.timestamp)
        try:
            account |= {"status": "sent", "to": self._send(channel, read_config(config, "delivery_config"), message)}
            self._store.discard(letter)
        except DeliveryError as error:
            account |= self._failed(letter, str(error), now)
        if letter.run_id is not None:
            self._store.record_delivery(letter.run_id, json.dumps(account))
        return account

    def _address(self, letter: Letter) -> tuple[str, str | None]:
        """The channel and its configuration: that of alerts comes from the settings, as they are now."""
        if letter.run_id is not None or self._alerts is None:
            return letter.channel, letter.config
        return self._alerts.channel, self._alerts.config

    def _failed(self, letter: Letter, reason: str, now: datetime) -> dict[str, Any]:
        if letter.attempt > len(PAUSES):
            self._store.discard(letter)
            _logger.error("The message of task %r is given up: %s", letter.task_name, reason)
            return {"status": "given up", "error": reason}
        again_at = now + PAUSES[letter.attempt - 1]
        self._store.put_back(letter, again_at)
        _logger.warning("The message of task %r could not be delivered: %s", letter.task_name, reason)
        return {"status": "failed", "error": reason, "again_at": local_text(again_at, self._clock.zone())}

    def _well_again(self, task: ScheduledTask, at: datetime) -> None:
        ended = self._store.end_troubles(require_id(task), _WELL_AGAIN)
        if ended:
            self._alert(task, "well again", f"in trouble since {self._first(ended)}", at)

    def _first(self, troubles: Iterable[Trouble]) -> str:
        return moment_words(min(trouble.since for trouble in troubles), self._clock.zone())

    def _alert(self, task: ScheduledTask, status: str, reason: str | None, at: datetime) -> None:
        if self._alerts is not None:
            # Its configuration can hold secrets of the environment, which are not for the database.
            self._post(self._alerts.channel, None, task, status, reason, at, None)

    def _post(
        self,
        channel: str,
        config: str | None,
        task: ScheduledTask,
        status: str,
        result: str | None,
        at: datetime,
        run_id: int | None,
    ) -> None:
        timestamp = local_text(at, self._clock.zone())
        self._store.post(Letter(channel, config, task.name, status, result, timestamp, run_id), at)
